#include "wire/openai/request_view.hpp"

#include "json/splice.hpp"
#include "json/testing/test_data.hpp"
#include "wire/openai/request_edit.hpp"
#include "wire/openai/testing/cassette.hpp"

#include <gtest/gtest.h>

#include <string>

namespace leeway::wire::openai {
namespace {

constexpr auto kChat = Endpoint::kChatCompletions;
constexpr auto kEmbed = Endpoint::kEmbeddings;

std::string chat(std::string_view more) {
    return R"({"model":"m","messages":[{"role":"user","content":"hi"}])" + std::string(more) + "}";
}
std::string with_message(std::string_view message) {
    return R"({"model":"m","messages":[)" + std::string(message) + "]}";
}
/// "param reason" of the refusal, or "ok".
std::string verdict(Endpoint endpoint, std::string_view body) {
    const auto view = parse_request(endpoint, body);
    return view ? "ok" : view.error().param + " " + view.error().reason;
}
std::string edited(std::string_view body, std::optional<json::Edit> edit) {
    json::Splice splice(body);
    if (edit) EXPECT_TRUE(splice.add(*edit));
    return splice.str();
}

TEST(RequestView, FindsTheFieldsOfACompletion) {
    constexpr auto kText = Endpoint::kCompletions;
    const std::string body =
        R"({"model":"m","prompt":["a","b"],"suffix":"z","logprobs":2,"echo":true,)"
        R"("n":2,"best_of":3,"max_tokens":0,"stream":true,"temperature":0.5})";
    const auto view = parse_request(kText, body);
    ASSERT_TRUE(view) << view.error().message;
    EXPECT_EQ(view->input.in(body), R"(["a","b"])");
    EXPECT_EQ(view->input_count, 2u);
    EXPECT_EQ(view->n, 6) << "the best of three for each prompt";
    EXPECT_TRUE(view->echo && view->stream);
    EXPECT_EQ(view->answer_limit(), 0);
    EXPECT_EQ(parse_request(kText, R"({"model":"m","prompt":[1,2,3]})")->n, 1)
        << "one prompt in tokens";
    EXPECT_EQ(parse_request(kText, R"({"model":"m","prompt":[[1],[2]],"n":2})")->n, 4);
    EXPECT_EQ(verdict(kText, R"({"model":"m","prompt":null})"), "ok");
    EXPECT_EQ(verdict(kText, R"({"model":"m"})"), "ok") << "a provider may have a default";
    EXPECT_EQ(verdict(kText, R"({"model":"m","prompt":"a","n":9223372036854775807})"), "ok");
    EXPECT_EQ(verdict(kText, R"({"prompt":"a"})"), "model missing_required_parameter");
    EXPECT_EQ(verdict(kText, R"({"model":"m","prompt":[]})"), "prompt empty_array");
    EXPECT_EQ(verdict(kText, R"({"model":"m","prompt":{}})"), "prompt invalid_type");
    EXPECT_EQ(verdict(kText, R"({"model":"m","prompt":["a",1]})"), "prompt[1] invalid_type");
    EXPECT_EQ(verdict(kText, R"({"model":"m","prompt":"a","best_of":0})"),
              "best_of integer_below_min_value");
    EXPECT_EQ(verdict(kText, R"({"model":"m","prompt":"a","echo":"yes"})"), "echo invalid_type");
}

TEST(RequestView, FindsTheFieldsOfAChat) {
    const std::string body = R"( { "messages": [ {"role":"system","content":"s"},
        {"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"x"}}]}],
        "mod\u0065l" : "gpt-\u0034o", "stream":true, "stream_options":{"x":[],"include_usage":true},
        "temperature":0.5,"max_tokens":10,"max_completion_tokens":20,"n":3,"user":"u\n","tools":[{}],
        "store":true,"unknown":{"a":[1,2,{"b":null}]} } )";
    const auto view = parse_request(kChat, body);
    ASSERT_TRUE(view) << view.error().message;
    EXPECT_EQ(view->model, "gpt-4o");
    EXPECT_EQ(view->model_value.in(body), R"("gpt-\u0034o")");
    EXPECT_EQ(view->user, "u\n");
    EXPECT_TRUE(view->stream);
    EXPECT_TRUE(view->include_usage);
    EXPECT_EQ(view->stream_options.in(body), R"({"x":[],"include_usage":true})");
    EXPECT_EQ(view->include_usage_value.in(body), "true");
    EXPECT_EQ(view->temperature, 0.5);
    EXPECT_EQ(view->max_tokens, 10);
    EXPECT_EQ(view->answer_limit(), 10);
    EXPECT_EQ(view->n, 3);
    EXPECT_TRUE(view->has_tools);
    EXPECT_TRUE(view->has_media);
    EXPECT_EQ(view->message_count, 2u);
    EXPECT_EQ(body[view->object_begin - 1], '{');
    EXPECT_EQ(body[view->object_end], '}');
    EXPECT_EQ(view->messages.in(body).front(), '[');
    EXPECT_EQ(view->messages.in(body).back(), ']');
}

TEST(RequestView, KnowsWhichServiceTierIsAskedFor) {
    const auto tier = [](std::string_view more) {
        const auto view = parse_request(kChat, chat(more));
        EXPECT_TRUE(view) << more;
        return view ? view->tier : std::nullopt;
    };
    EXPECT_EQ(tier(""), std::nullopt);
    EXPECT_EQ(tier(R"(,"service_tier":"flex")"), prices::Tier::kFlex);
    EXPECT_EQ(tier(R"(,"service_tier":"priority")"), prices::Tier::kPriority);
    EXPECT_EQ(tier(R"(,"service_tier":"auto")"), prices::Tier::kStandard);
    EXPECT_EQ(tier(R"(,"service_tier":"fl\u0065x")"), prices::Tier::kFlex);
    // Theirs to judge.
    EXPECT_EQ(tier(R"(,"service_tier":"soon")"), std::nullopt);
    EXPECT_EQ(tier(R"(,"service_tier":null)"), std::nullopt);
    EXPECT_EQ(tier(R"(,"service_tier":7)"), std::nullopt);
    const auto embedding =
        parse_request(Endpoint::kEmbeddings, R"({"model":"m","input":"x","service_tier":"flex"})");
    ASSERT_TRUE(embedding);
    EXPECT_EQ(embedding->tier, prices::Tier::kFlex);
}

TEST(RequestView, TakesNullAsNotGiven) {
    const auto view =
        parse_request(kChat, chat(R"(,"stream":null,"temperature":null,"n":null,"user":null,
        "max_tokens":null,"tools":null,"stream_options":null)"));
    ASSERT_TRUE(view);
    EXPECT_FALSE(view->stream);
    EXPECT_FALSE(view->temperature);
    EXPECT_EQ(view->n, 1);
    EXPECT_FALSE(view->has_tools);
    EXPECT_FALSE(view->has_media);
}

TEST(RequestView, RefusesWhatIsMissingOrOfTheWrongType) {
    EXPECT_EQ(verdict(kChat, R"({"messages":[{"role":"user"}]})"),
              "model missing_required_parameter");
    EXPECT_EQ(verdict(kChat, R"({"model":null,"messages":[{"role":"user"}]})"),
              "model missing_required_parameter");
    EXPECT_EQ(verdict(kChat, R"({"model":5,"messages":[]})"), "model invalid_type");
    EXPECT_EQ(verdict(kChat, R"({"model":"","messages":[]})"), "model empty_string");
    EXPECT_EQ(verdict(kChat, R"({"model":"m"})"), "messages missing_required_parameter");
    EXPECT_EQ(verdict(kChat, R"({"model":"m","messages":[]})"), "messages empty_array");
    EXPECT_EQ(verdict(kChat, R"({"model":"m","messages":"hi"})"), "messages invalid_type");
    EXPECT_EQ(verdict(kChat, with_message("7")), "messages[0] invalid_type");
    EXPECT_EQ(verdict(kChat, with_message(R"({"content":"x"})")),
              "messages[0].role missing_required_parameter");
    EXPECT_EQ(verdict(kChat, with_message(R"({"role":1})")), "messages[0].role invalid_type");
    EXPECT_EQ(verdict(kChat, with_message(R"({"role":"a"},{"role":"b","content":5})")),
              "messages[1].content invalid_type");
    EXPECT_EQ(verdict(kChat, with_message(R"({"role":"a","content":["x"]})")),
              "messages[0].content[0] invalid_type");
    EXPECT_EQ(verdict(kChat, with_message(R"({"role":"a","content":[{"text":"x"}]})")),
              "messages[0].content[0].type missing_required_parameter");
    EXPECT_EQ(verdict(kChat, chat(R"(,"stream":"yes")")), "stream invalid_type");
    EXPECT_EQ(verdict(kChat, chat(R"(,"stream_options":1)")), "stream_options invalid_type");
    EXPECT_EQ(verdict(kChat, chat(R"(,"stream_options":{"include_usage":1})")),
              "stream_options.include_usage invalid_type");
    EXPECT_EQ(verdict(kChat, chat(R"(,"temperature":"hot")")), "temperature invalid_type");
    EXPECT_EQ(verdict(kChat, chat(R"(,"temperature":99)")), "ok");
    EXPECT_EQ(verdict(kChat, chat(R"(,"n":0)")), "n integer_below_min_value");
    EXPECT_EQ(verdict(kChat, chat(R"(,"n":1.5)")), "n invalid_type");
    EXPECT_EQ(verdict(kChat, chat(R"(,"max_tokens":99999999999999999999)")),
              "max_tokens integer_out_of_range");
    EXPECT_EQ(verdict(kChat, "[]"), " invalid_type");
}

TEST(RequestView, SaysItInOpenAisWords) {
    const auto type = parse_request(kChat, with_message(R"({"role":"a","content":5})"));
    EXPECT_EQ(type.error().message,
              "Invalid type for 'messages[0].content': expected a string or an array of parts, but "
              "got an "
              "integer instead.");
    const auto syntax = parse_request(kChat, "{\"model\": \"m\",\n \"messages\": [}");
    EXPECT_EQ(
        syntax.error().message,
        "We could not parse the JSON body of your request: expected a value at byte 29 (line 2, "
        "column 15).");
    EXPECT_EQ(syntax.error().code, ErrorCode::kInvalidRequest);
}

TEST(RequestView, RefusesDuplicateKeysThatMatter) {
    EXPECT_EQ(verdict(kChat, chat(R"(,"model":"n")")), "model duplicate_key");
    EXPECT_EQ(verdict(kChat, chat(R"(,"x":1,"\u0078":1)")), "x duplicate_key");
    EXPECT_EQ(verdict(kChat, with_message(R"({"role":"a","role":"b"})")),
              "messages[0].role duplicate_key");
    EXPECT_EQ(
        verdict(kChat,
                with_message(R"({"role":"a","content":[{"type":"text","text":"a","text":"b"}]})")),
        "messages[0].content[0].text duplicate_key");
    EXPECT_EQ(verdict(kChat, with_message(R"({"role":"a","tool_calls":[{"id":1,"id":2}]})")),
              "messages.id duplicate_key");
    EXPECT_EQ(verdict(kChat, chat(R"(,"metadata":{"a":1,"a":2})")), "ok");
}

TEST(RequestView, RefusesBrokenText) {
    for (const char* body :
         {"", "{", "\xEF\xBB\xBF{}", "{\"model\":\"m\"} x", "{\"model\":\"\xff\"}",
          "{\"model\":\"\\ud800\"}", "{\"a\":tru}", "{\"model\":nul}"}) {
        EXPECT_EQ(verdict(kChat, body), " invalid_json") << body;
    }
    std::string deep = chat(",\"x\":" + std::string(64, '[') + std::string(64, ']'));
    EXPECT_EQ(verdict(kChat, deep), " nesting_too_deep");
}

TEST(RequestView, ReadsEmbeddings) {
    const auto texts =
        parse_request(kEmbed, R"({"input":["a","b"],"model":"e","encoding_format":"base64"})");
    ASSERT_TRUE(texts);
    EXPECT_EQ(texts->input_count, 2u);
    EXPECT_EQ(parse_request(kEmbed, R"({"input":"a","model":"e"})")->input_count, 1u);
    EXPECT_EQ(parse_request(kEmbed, R"({"input":[1,2,3],"model":"e"})")->input_count, 1u);
    EXPECT_EQ(parse_request(kEmbed, R"({"input":[[1],[2,3]],"model":"e"})")->input_count, 2u);
    EXPECT_EQ(verdict(kEmbed, R"({"model":"e"})"), "input missing_required_parameter");
    EXPECT_EQ(verdict(kEmbed, R"({"model":"e","input":null})"), "input invalid_type");
    EXPECT_EQ(verdict(kEmbed, R"({"model":"e","input":[]})"), "input empty_array");
    EXPECT_EQ(verdict(kEmbed, R"({"model":"e","input":["a",1]})"), "input[1] invalid_type");
    EXPECT_EQ(verdict(kEmbed, R"({"model":"e","input":[1,2.5]})"), "input[1] invalid_type");
    EXPECT_EQ(verdict(kEmbed, R"({"model":"e","input":[[1],["a"]]})"), "input[1][0] invalid_type");
    EXPECT_EQ(verdict(kEmbed, R"({"model":"e","input":"a","encoding_format":1})"),
              "encoding_format invalid_type");
    EXPECT_EQ(verdict(kEmbed, R"({"model":"e","input":"a","dimensions":0})"),
              "dimensions integer_below_min_value");
    EXPECT_EQ(verdict(kEmbed, R"({"model":"e","input":"a","dimensions":"1"})"),
              "dimensions invalid_type");
}

TEST(RequestView, AgreesWithEveryJsonTestSuiteFile) {
    const auto folder = json::testing::test_data("hostile-input/jsontestsuite/test_parsing");
    if (folder.empty()) GTEST_SKIP() << json::testing::skip_message("hostile-input/jsontestsuite");
    for (const auto& file : json::testing::files_in(folder)) {
        const std::string name = file.filename().string();
        const std::string text = json::testing::read_file(file);
        EXPECT_FALSE(parse_request(kChat, text)) << name;
        const bool accepted = parse_request(kChat, chat(",\"x\":" + text)).has_value();
        if (name.starts_with("y_")) {
            EXPECT_TRUE(accepted) << name;
        }
        // Wrapped, a file that ends early or goes on too long can become whole; the rest cannot.
        if (name.starts_with("n_") && accepted) {
            EXPECT_TRUE(text.find('}') != std::string::npos || text.find(',') != std::string::npos)
                << name;
        }
    }
}

TEST(RequestView, AcceptsRecordedRequests) {
    const auto folder = json::testing::test_data("wire/openai-cassettes");
    if (folder.empty()) GTEST_SKIP() << json::testing::skip_message("wire/openai-cassettes");
    int chats = 0;
    for (const auto& file : json::testing::files_in(folder)) {
        const std::string name = file.filename().string();
        if (!name.starts_with("chat-")) continue;
        for (const auto& exchange : testing::exchanges(json::testing::read_file(file))) {
            if (exchange.request.empty() || exchange.request.front() != '{') continue;
            const std::string expected =
                name == "chat-no-messages.yaml" ? "messages empty_array" : "ok";
            EXPECT_EQ(verdict(kChat, exchange.request), expected) << name;
            ++chats;
        }
    }
    EXPECT_GE(chats, 15);
}

TEST(RequestEdit, ReplacesTheModelOnly) {
    const std::string body = R"({"model" : "a\u0062", "messages":[{"role":"u"}]})";
    const auto view = parse_request(kChat, body);
    ASSERT_TRUE(view);
    EXPECT_EQ(edited(body, replace_model(*view, "x\"y")),
              R"({"model" : "x\"y", "messages":[{"role":"u"}]})");
    EXPECT_FALSE(replace_model(*view, "ab"));
}

TEST(RequestEdit, AsksForUsageWithTheSmallestEdit) {
    const auto asked = [](std::string_view more) {
        const std::string body = chat(more);
        const auto view = parse_request(kChat, body);
        EXPECT_TRUE(view);
        const std::string out = edited(body, ask_for_usage(*view));
        const auto again = parse_request(kChat, out);
        EXPECT_TRUE(again) << out;
        EXPECT_TRUE(!again->stream || again->include_usage) << out;
        return out;
    };
    const std::string head =
        R"({"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true)";
    EXPECT_EQ(asked(R"(,"stream":true)"),
              R"({"stream_options":{"include_usage":true},)" + head.substr(1) + "}");
    EXPECT_EQ(asked(R"(,"stream":true,"stream_options":{"include_usage":false,"x":1})"),
              head + R"(,"stream_options":{"include_usage":true,"x":1}})");
    EXPECT_EQ(asked(R"(,"stream":true,"stream_options":{ "x":1})"),
              head + R"(,"stream_options":{"include_usage":true, "x":1}})");
    EXPECT_EQ(asked(R"(,"stream":true,"stream_options":{ })"),
              head + R"(,"stream_options":{"include_usage":true}})");
    EXPECT_EQ(asked(R"(,"stream":true,"stream_options":null)"),
              head + R"(,"stream_options":{"include_usage":true}})");
    EXPECT_EQ(asked(R"(,"stream":true,"stream_options":{"include_usage":true})"),
              head + R"(,"stream_options":{"include_usage":true}})");
    EXPECT_EQ(asked(R"(,"stream":false)"), chat(R"(,"stream":false)"));
}

TEST(RequestView, RerankNeedsAQueryAndDocuments) {
    constexpr auto kRank = Endpoint::kRerank;
    const auto good = parse_request(
        kRank, R"({"model":"m","query":"q","documents":["a",{"text":"b"}],"top_n":1})");
    ASSERT_TRUE(good) << good.error().message;
    EXPECT_EQ(good->input_count, 2U);
    EXPECT_EQ(good->model, "m");
    for (const auto& [body, param] :
         {std::pair{R"({"model":"m","documents":["a"]})", "query"},
          std::pair{R"({"model":"m","query":null,"documents":["a"]})", "query"},
          std::pair{R"({"model":"m","query":"q"})", "documents"},
          std::pair{R"({"model":"m","query":"q","documents":[]})", "documents"},
          std::pair{R"({"model":"m","query":"q","documents":"a"})", "documents"},
          std::pair{R"({"query":"q","documents":["a"]})", "model"}}) {
        const auto bad = parse_request(kRank, body);
        ASSERT_FALSE(bad) << body;
        EXPECT_EQ(bad.error().param, param) << body;
    }
}

}  // namespace
}  // namespace leeway::wire::openai
