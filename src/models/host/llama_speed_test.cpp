// Measures, so it runs only when asked: LEEWAY_BENCH=1 leeway_tests --gtest_filter='ModelSpeed*'

#include "models/host/engine.hpp"
#include "models/host/llama_backend.hpp"
#include "models/host/llama_prompt.hpp"
#include "models/host/models_testing.hpp"
#include "models/host/sampler.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <future>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace leeway::models {
namespace {

constexpr int kRounds = 5;
constexpr int kTokens = 128;
const std::string kQuestion = "Write a long story about a ship on the sea.";
const std::string kQuery = "How do I get my money back for a lost ticket?";  // 12 tokens and marks

double cpu_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

class ModelSpeed : public ::testing::Test {
protected:
    void SetUp() override {
        if (std::getenv("LEEWAY_BENCH") == nullptr) GTEST_SKIP() << "set LEEWAY_BENCH=1 to measure";
    }
};

/// The least that can be done: the prompt, then one token per llama_decode, the likeliest each time.
class BareChat {
public:
    explicit BareChat(const std::filesystem::path& file) {
        EngineOptions options;
        options.file = file;
        (void)start_llama();
        model_ = load_model(options).value();
        llama_context_params params = llama_context_default_params();
        params.n_ctx = 1024;
        context_ = make_context(*model_, params, 1).value();
        prompt_ = PromptBuilder(*model_, "").build({{"user", kQuestion}}, 1024).value();
    }

    /// CPU seconds from the first to the last token.
    double run() {
        llama_context* context = context_.context.get();
        const auto vocabulary =
            static_cast<std::size_t>(llama_vocab_n_tokens(llama_model_get_vocab(model_.get())));
        llama_memory_clear(llama_get_memory(context), false);
        auto prompt = prompt_;
        llama_decode(context, llama_batch_get_one(prompt.data(), static_cast<int>(prompt.size())));
        llama_token token = arg_max({llama_get_logits_ith(context, -1), vocabulary});
        const double start = cpu_seconds();
        for (int i = 1; i < kTokens; ++i) {
            llama_decode(context, llama_batch_get_one(&token, 1));
            token = arg_max({llama_get_logits_ith(context, -1), vocabulary});
        }
        return cpu_seconds() - start;
    }

private:
    ModelPtr model_;
    ContextWithThreads context_;
    std::vector<llama_token> prompt_;
};

/// Notes the CPU time of the first and the last token.
class TimingSink final : public ChatSink {
public:
    void on_delta(const ChatDelta&) noexcept override {
        if (first_ == 0) first_ = cpu_seconds();
    }
    void on_done(const ChatEnd& end) noexcept override {
        EXPECT_EQ(end.usage.completion_tokens, static_cast<std::uint32_t>(kTokens));
        seconds_.set_value(cpu_seconds() - first_);
    }
    double wait() { return seconds_.get_future().get(); }

private:
    double first_ = 0;
    std::promise<double> seconds_;
};

TEST_F(ModelSpeed, DecodesAtTheSpeedOfBareLlama) {
    const auto file = testing::model_file(testing::kChatModel);
    if (!file) GTEST_SKIP() << testing::skip_text(testing::kChatModel);
    BareChat bare(*file);
    EngineOptions options;
    options.file = *file;
    options.context_tokens = 1024;
    auto engine = std::move(*Engine::load(options));
    std::vector<double> ratios;
    std::vector<double> ours;
    std::vector<double> theirs;
    for (int round = 0; round <= kRounds; ++round) {
        const double least = bare.run();
        auto sink = std::make_shared<TimingSink>();
        ChatJob job;
        job.messages = {{"user", kQuestion}};
        job.sampling = {.temperature = 0, .max_tokens = kTokens};
        job.sink = sink;
        ASSERT_TRUE(engine->submit_chat(std::move(job)));
        const double taken = sink->wait();
        if (round == 0) continue;  // warms up
        theirs.push_back((kTokens - 1) / least);
        ours.push_back((kTokens - 1) / taken);
        ratios.push_back(least / taken);
    }
    fmt::print(
        "decode tokens per CPU-second: engine {:.1f}, bare llama_decode {:.1f}, ratio {:.3f}\n",
        median(ours), median(theirs), median(ratios));
    EXPECT_GE(median(ratios), 0.95);
}

TEST_F(ModelSpeed, EmbedsAtTheSpeedOfBareLlama) {
    const auto file = testing::model_file(testing::kEmbeddingModel);
    if (!file) GTEST_SKIP() << testing::skip_text(testing::kEmbeddingModel);
    EngineOptions options;
    options.file = *file;
    (void)start_llama();
    const ModelPtr model = load_model(options).value();
    llama_context_params params = llama_context_default_params();
    params.embeddings = true;
    params.n_ctx = params.n_batch = params.n_ubatch = 512;
    const ContextWithThreads context = make_context(*model, params, 1).value();
    auto tokens = tokenize(*llama_model_get_vocab(model.get()), kQuery, true, false).value();
    auto engine = std::move(*Engine::load(options));
    const auto embed = [&](std::vector<std::string> texts) {
        auto done = std::make_shared<std::promise<void>>();
        EmbedJob job;
        job.texts = std::move(texts);
        job.done = [done](Result<Embeddings> result) {
            EXPECT_TRUE(result);
            done->set_value();
        };
        ASSERT_TRUE(engine->submit_embeddings(std::move(job)));
        done->get_future().get();
    };
    constexpr int kCalls = 40;
    std::vector<double> ours;
    std::vector<double> theirs;
    std::vector<double> batched;
    std::vector<double> ratios;
    for (int round = 0; round <= kRounds; ++round) {
        const double start = cpu_seconds();
        for (int i = 0; i < kCalls; ++i) {
            llama_decode(context.context.get(),
                         llama_batch_get_one(tokens.data(), static_cast<int>(tokens.size())));
            ASSERT_NE(llama_get_embeddings_seq(context.context.get(), 0), nullptr);
        }
        const double middle = cpu_seconds();
        for (int i = 0; i < kCalls; ++i) embed({kQuery});
        const double late = cpu_seconds();
        embed(std::vector<std::string>(32, kQuery));
        const double end = cpu_seconds();
        if (round == 0) continue;
        theirs.push_back((middle - start) / kCalls * 1e3);
        ours.push_back((late - middle) / kCalls * 1e3);
        batched.push_back((end - late) / 32 * 1e3);
        ratios.push_back((late - middle) / (middle - start));
    }
    fmt::print(
        "embedding of {} tokens, CPU-ms: engine {:.2f}, bare llama.cpp {:.2f}, ratio {:.3f}; in a "
        "batch of 32: {:.2f} per text\n",
        tokens.size(), median(ours), median(theirs), median(ratios), median(batched));
    EXPECT_LE(median(ratios), 1.1);
}

}  // namespace
}  // namespace leeway::models
