#include "models/host/server.hpp"

#include "base/file_hash.hpp"
#include "models/embed/fingerprint.hpp"
#include "models/host/gguf_testing.hpp"
#include "models/host/http_testing.hpp"
#include "models/host/models_testing.hpp"
#include "models/host/request_fields.hpp"
#include "net/event_loop.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace leeway::models {
namespace {

using json::Node;
using testing::Answer;
using testing::ask;
using testing::Client;

/// The HTTP side over a store, on a Unix socket, with its loop in a thread.
class Host {
public:
    explicit Host(ModelStoreOptions options)
        : folder_(std::filesystem::temp_directory_path() /
                  fmt::format("leeway-host-{}", ::getpid())) {
        std::filesystem::create_directories(folder_);
        socket = (folder_ / "s").string();
        store_ = std::make_unique<ModelStore>(std::move(options));
        handler_ = std::make_unique<HostServer>(loop_, *store_);
        server_ = std::make_unique<net::HttpServer>(loop_, net::ServerOptions{}, *handler_);
        net::Address address;
        address.unix_path = socket;
        const auto listening = server_->listen(address, false);
        EXPECT_TRUE(listening) << listening.error().text();
        thread_ = std::thread([this] { loop_.run(); });
    }
    ~Host() {
        loop_.post([this] {
            server_->stop_accepting();
            server_->interrupt_all();
        });
        while (server_->connections() != 0) std::this_thread::yield();
        loop_.stop();
        thread_.join();
        std::filesystem::remove_all(folder_);
    }
    [[nodiscard]] ModelStore& store() { return *store_; }

    std::string socket;

private:
    std::filesystem::path folder_;
    net::EventLoop loop_;
    std::unique_ptr<ModelStore> store_;
    std::unique_ptr<HostServer> handler_;
    std::unique_ptr<net::HttpServer> server_;
    std::thread thread_;
};

ModelStoreOptions real_models() {
    ModelStoreOptions options;
    options.folders.push_back(testing::model_folder());
    options.models.push_back({"chat", testing::kChatModel, {}, {}});
    options.models.push_back({"vectors", testing::kEmbeddingModel, {}, {}});
    options.only_listed = true;
    options.engine.context_tokens = 1024;
    return options;
}

std::string chat_body(std::string_view more) {
    return fmt::format(R"({{"model":"chat","temperature":0,"messages":[{{"role":"user","content":)"
                       R"("Say hello."}}]{}{}}})",
                       more.empty() ? "" : ",", more);
}

Node tree(const std::string& json) {
    auto node = read_tree(json);
    EXPECT_TRUE(node) << json;
    return node ? std::move(*node) : Node();
}

std::string error_code(const Answer& answer) {
    const Node body = tree(answer.body);
    const Node* error = body.find("error");
    return error == nullptr ? "none" : error->find("code")->text;
}

/// The JSON of the events with data, in order; "[DONE]" as a text.
std::vector<Node> events(const std::string& stream) {
    std::vector<Node> out;
    constexpr std::string_view kData = "data: ";
    for (std::size_t at = 0; at < stream.size();) {
        const std::size_t end = stream.find("\n\n", at);
        EXPECT_NE(end, std::string::npos) << stream.substr(at);
        if (end == std::string::npos) break;
        const std::string data = stream.substr(at + kData.size(), end - at - kData.size());
        out.push_back(data == "[DONE]" ? Node::string(data) : tree(data));
        at = end + 2;
    }
    return out;
}

const Node& choice_of(const Node& event) { return event.find("choices")->elements.at(0); }

// ---------------------------------------------------------------- without a model

ModelStoreOptions broken_models(const std::filesystem::path& folder) {
    ModelStoreOptions options;
    options.folders.push_back(folder);
    options.models.push_back({"missing", "missing.gguf", {}, {}});
    options.models.push_back({"cut", "cut.gguf", {}, {}});
    options.only_listed = true;
    return options;
}

class HostWithoutModels : public ::testing::Test {
protected:
    HostWithoutModels()
        : folder_(std::filesystem::temp_directory_path() /
                  fmt::format("leeway-models-{}", ::getpid())) {
        std::filesystem::create_directories(folder_);
        const std::string whole = testing::tiny_gguf().bytes();
        std::ofstream(folder_ / "cut.gguf") << whole.substr(0, whole.size() / 2);
        host_ = std::make_unique<Host>(broken_models(folder_));
    }
    ~HostWithoutModels() override {
        host_.reset();
        std::filesystem::remove_all(folder_);
    }
    Answer chat(std::string_view model) {
        return ask(
            host_->socket, "POST", "/v1/chat/completions",
            fmt::format(R"({{"model":"{}","messages":[{{"role":"user","content":"x"}}]}})", model));
    }

    std::filesystem::path folder_;
    std::unique_ptr<Host> host_;
};

TEST_F(HostWithoutModels, an_unknown_model_is_not_found) {
    const Answer answer = chat("nobody");
    EXPECT_EQ(answer.status, 404);
    EXPECT_EQ(error_code(answer), "model_not_found");
}

TEST_F(HostWithoutModels, a_missing_or_cut_file_is_our_fault_not_the_clients) {
    for (const char* model : {"missing", "cut"}) {
        const Answer answer = chat(model);
        EXPECT_EQ(answer.status, 503) << answer.body;
        EXPECT_EQ(error_code(answer), "model_load_failed");
        EXPECT_NE(answer.head.find("retry-after:"), std::string::npos);
    }
}

TEST_F(HostWithoutModels, wrong_paths_methods_and_bodies_get_openais_errors) {
    EXPECT_EQ(ask(host_->socket, "GET", "/v2").status, 404);
    EXPECT_EQ(ask(host_->socket, "GET", "/v1/embeddings").status, 405);
    EXPECT_EQ(ask(host_->socket, "POST", "/v1/models", "{}").status, 405);
    const Answer broken = ask(host_->socket, "POST", "/v1/chat/completions", "{");
    EXPECT_EQ(broken.status, 400);
    EXPECT_EQ(error_code(broken), "invalid_json");
    EXPECT_EQ(ask(host_->socket, "GET", "/v1/models/nobody").status, 404);
}

TEST_F(HostWithoutModels, models_and_health_are_shown) {
    const Answer models = ask(host_->socket, "GET", "/v1/models");
    EXPECT_EQ(models.status, 200);
    const Node list = tree(models.body);
    ASSERT_EQ(list.find("data")->elements.size(), 2u);
    EXPECT_EQ(list.find("data")->elements[0].find("id")->text, "missing");
    EXPECT_EQ(ask(host_->socket, "GET", "/v1/models/cut").status, 200);
    const Answer health = ask(host_->socket, "GET", "/health");
    EXPECT_EQ(health.status, 200);
    EXPECT_EQ(tree(health.body).find("status")->text, "ok");
}

// ---------------------------------------------------------------- with the default models

class HostWithModels : public ::testing::Test {
protected:
    void SetUp() override {
        for (const char* name : {testing::kChatModel, testing::kEmbeddingModel}) {
            if (!testing::model_file(name)) GTEST_SKIP() << testing::skip_text(name);
        }
        host_ = std::make_unique<Host>(real_models());
    }
    Answer chat(std::string_view more) {
        return ask(host_->socket, "POST", "/v1/chat/completions", chat_body(more));
    }
    Answer embed(std::string_view fields) {
        return ask(host_->socket, "POST", "/v1/embeddings",
                   fmt::format(R"({{"model":"vectors",{}}})", fields));
    }

    std::unique_ptr<Host> host_;
};

TEST_F(HostWithModels, a_stream_says_the_same_as_a_buffered_answer) {
    const Answer whole = chat(R"("max_tokens":12)");
    ASSERT_EQ(whole.status, 200) << whole.body;
    const Node body = tree(whole.body);
    const std::string text = choice_of(body).find("message")->find("content")->text;
    EXPECT_FALSE(text.empty());
    const Node* usage = body.find("usage");
    EXPECT_GT(usage->find("prompt_tokens")->integer(), 5);
    EXPECT_LE(usage->find("completion_tokens")->integer(), 12);

    const Answer stream =
        chat(R"("max_tokens":12,"stream":true,"stream_options":{"include_usage":true})");
    ASSERT_EQ(stream.status, 200);
    EXPECT_NE(stream.head.find("text/event-stream"), std::string::npos);
    const std::vector<Node> all = events(stream.body);
    ASSERT_GE(all.size(), 5u);
    EXPECT_EQ(choice_of(all[0]).find("delta")->find("role")->text, "assistant");
    std::string streamed;
    for (std::size_t i = 1; i + 3 < all.size(); ++i) {
        streamed += choice_of(all[i]).find("delta")->find("content")->text;
    }
    EXPECT_EQ(streamed, text);
    const std::string reason = choice_of(all[all.size() - 3]).find("finish_reason")->text;
    EXPECT_EQ(reason, choice_of(body).find("finish_reason")->text);
    EXPECT_TRUE(all[all.size() - 2].find("choices")->elements.empty());
    EXPECT_EQ(all[all.size() - 2].find("usage")->find("completion_tokens")->integer(),
              usage->find("completion_tokens")->integer());
    EXPECT_EQ(all.back().text, "[DONE]");
}

TEST_F(HostWithModels, long_texts_are_cut_when_asked_and_answers_tell_which_weights_made_them) {
    std::string text;
    for (int i = 0; i < 20'000; ++i) text += "many words ";
    const std::string input = fmt::format(R"("input":"{}")", text);
    EXPECT_EQ(embed(input).status, 400) << "what callers ask for is never cut";
    const Answer cut = embed(input + R"(,"truncate":true)");
    ASSERT_EQ(cut.status, 200) << cut.body;
    EXPECT_EQ(tree(cut.body).find("usage")->find("prompt_tokens")->integer(), 512);
    const auto hash = sha256_of_file(*testing::model_file(testing::kEmbeddingModel));
    ASSERT_TRUE(hash);
    const std::string field =
        fmt::format("{}: {}\r\n", kFingerprintField, file_fingerprint(*hash, 384, 512));
    EXPECT_NE(cut.head.find(field), std::string::npos) << cut.head;
}

TEST_F(HostWithModels, the_limit_of_tokens_is_told_as_length) {
    const Answer answer = chat(R"("max_tokens":1)");
    ASSERT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(choice_of(tree(answer.body)).find("finish_reason")->text, "length");
}

TEST_F(HostWithModels, several_choices_come_with_their_index) {
    const Answer answer = chat(R"("max_tokens":4,"n":3,"stream":true)");
    ASSERT_EQ(answer.status, 200) << answer.body;
    std::vector<int> finished(3);
    for (const Node& event : events(answer.body)) {
        if (event.is_string()) continue;
        const Node& choice = choice_of(event);
        const auto index = static_cast<std::size_t>(*choice.find("index")->integer());
        if (!choice.find("finish_reason")->is_null()) ++finished.at(index);
    }
    EXPECT_EQ(finished, (std::vector<int>{1, 1, 1}));
    const Node body = tree(chat(R"("max_tokens":4,"n":3)").body);
    EXPECT_EQ(body.find("choices")->elements.size(), 3u);
}

TEST_F(HostWithModels, log_probabilities_have_openais_shape) {
    const Answer answer = chat(R"("max_tokens":3,"logprobs":true,"top_logprobs":2)");
    ASSERT_EQ(answer.status, 200) << answer.body;
    const Node body = tree(answer.body);
    const Node* content = choice_of(body).find("logprobs")->find("content");
    ASSERT_FALSE(content->elements.empty());
    const Node& first = content->elements[0];
    EXPECT_EQ(first.find("top_logprobs")->elements.size(), 2u);
    // Greedy: the token is the likeliest.
    EXPECT_EQ(first.find("token")->text,
              first.find("top_logprobs")->elements[0].find("token")->text);
    EXPECT_FALSE(first.find("bytes")->elements.empty());
}

TEST_F(HostWithModels, a_prompt_beyond_the_context_is_refused) {
    std::string words;
    for (int i = 0; i < 3000; ++i) words += "word ";
    const Answer answer =
        ask(host_->socket, "POST", "/v1/chat/completions",
            R"({"model":"chat","messages":[{"role":"user","content":")" + words + R"("}]})");
    EXPECT_EQ(answer.status, 400);
    EXPECT_EQ(error_code(answer), "context_length_exceeded");
}

TEST_F(HostWithModels, a_client_that_hangs_up_stops_its_job) {
    {
        Client client(host_->socket);
        client.send("POST", "/v1/chat/completions",
                    chat_body(R"("max_tokens":900,"stream":true,"n":2)"));
        ASSERT_TRUE(client.read_some());
    }
    const auto engine = host_->store().loaded("chat");
    ASSERT_TRUE(engine);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (engine->stats().running != 0 && std::chrono::steady_clock::now() < end)
        std::this_thread::yield();
    EXPECT_EQ(engine->stats().running, 0u);
    EXPECT_LT(engine->stats().completion_tokens, 1500u);
    EXPECT_EQ(chat(R"("max_tokens":2)").status, 200);
}

TEST_F(HostWithModels, requests_of_many_clients_are_answered_together) {
    std::vector<std::thread> clients;
    std::vector<int> statuses(6);
    clients.reserve(statuses.size());
    for (int& status : statuses) {
        clients.emplace_back([&status, this] { status = chat(R"("max_tokens":5)").status; });
    }
    for (std::thread& client : clients) client.join();
    EXPECT_EQ(statuses, std::vector<int>(6, 200));
}

TEST_F(HostWithModels, vectors_have_unit_length_in_both_encodings) {
    const Answer answer = embed(R"("input":["a cat","a dog"])");
    ASSERT_EQ(answer.status, 200) << answer.body;
    const Node body = tree(answer.body);
    ASSERT_EQ(body.find("data")->elements.size(), 2u);
    double square = 0;
    for (const Node& value : body.find("data")->elements[1].find("embedding")->elements) {
        square += std::pow(std::stod(value.text), 2);
    }
    EXPECT_NEAR(square, 1.0, 1e-3);
    EXPECT_GT(body.find("usage")->find("prompt_tokens")->integer(), 4);

    const Node coded =
        tree(embed(R"("input":"a cat","encoding_format":"base64","dimensions":384)").body);
    const Node* embedding = coded.find("data")->elements.at(0).find("embedding");
    EXPECT_EQ(embedding->text.size(), 384u * 4 / 3 * 4);
}

TEST_F(HostWithModels, a_model_is_not_asked_for_what_it_is_not) {
    const Answer chat_with_vectors =
        ask(host_->socket, "POST", "/v1/chat/completions",
            R"({"model":"vectors","messages":[{"role":"user","content":"x"}]})");
    EXPECT_EQ(chat_with_vectors.status, 400);
    const Answer wrong_size = embed(R"("input":"a","dimensions":128)");
    EXPECT_EQ(wrong_size.status, 400);
    EXPECT_EQ(tree(wrong_size.body).find("error")->find("param")->text, "dimensions");
}

}  // namespace
}  // namespace leeway::models
