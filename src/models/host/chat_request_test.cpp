#include "models/host/chat_request.hpp"

#include <gtest/gtest.h>

#include <string>

namespace leeway::models {
namespace {

constexpr std::string_view kHello = R"("messages":[{"role":"user","content":"hi"}])";

Result<ChatRequest> parse(std::string_view more) {
    return parse_chat_request(R"({"model":"m",)" + std::string(kHello) +
                              (more.empty() ? "" : "," + std::string(more)) + "}");
}

void expect_refused(std::string_view more, std::string_view param, std::string_view reason) {
    const auto request = parse(more);
    ASSERT_FALSE(request) << more;
    EXPECT_EQ(request.error().code, ErrorCode::kInvalidRequest) << more;
    EXPECT_EQ(request.error().param, param) << more;
    EXPECT_EQ(request.error().reason, reason) << more;
}

TEST(ChatRequest, a_plain_request_has_openais_defaults) {
    const auto request = parse("");
    ASSERT_TRUE(request);
    EXPECT_EQ(request->model, "m");
    EXPECT_FALSE(request->stream);
    EXPECT_EQ(request->choices, 1u);
    ASSERT_EQ(request->messages.size(), 1u);
    EXPECT_EQ(request->messages[0].role, "user");
    EXPECT_EQ(request->messages[0].content, "hi");
    EXPECT_EQ(request->sampling.temperature, 1.0F);
    EXPECT_EQ(request->sampling.top_p, 1.0F);
    EXPECT_EQ(request->sampling.max_tokens, 0);
    EXPECT_FALSE(request->sampling.seed);
    EXPECT_FALSE(request->wants_logprobs());
}

TEST(ChatRequest, all_sampling_fields_are_read) {
    const auto request = parse(
        R"("temperature":0.5,"top_p":0.9,"top_k":40,"min_p":0.05,"frequency_penalty":1.5,)"
        R"("presence_penalty":-1,"seed":42,"stop":["a","b"],"max_completion_tokens":7,"logprobs":true,)"
        R"("top_logprobs":3,"logit_bias":{"50":-100,"7":1.5},"n":2,"stream":true,)"
        R"("stream_options":{"include_usage":true})");
    ASSERT_TRUE(request) << request.error().message;
    const Sampling& sampling = request->sampling;
    EXPECT_EQ(sampling.temperature, 0.5F);
    EXPECT_EQ(sampling.top_p, 0.9F);
    EXPECT_EQ(sampling.top_k, 40);
    EXPECT_EQ(sampling.min_p, 0.05F);
    EXPECT_EQ(sampling.frequency_penalty, 1.5F);
    EXPECT_EQ(sampling.presence_penalty, -1.0F);
    EXPECT_EQ(sampling.seed, 42u);
    EXPECT_EQ(sampling.stop, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(sampling.max_tokens, 7);
    EXPECT_EQ(sampling.top_logprobs, 3);
    ASSERT_EQ(sampling.logit_bias.size(), 2u);
    EXPECT_EQ(sampling.logit_bias[0], (std::pair<std::int32_t, float>(50, -100.0F)));
    EXPECT_EQ(request->choices, 2u);
    EXPECT_TRUE(request->stream);
    EXPECT_TRUE(request->include_usage);
}

TEST(ChatRequest, null_means_not_given) {
    const auto request = parse(
        R"("temperature":null,"stop":null,"seed":null,"tools":null,"response_format":null,"n":null,)"
        R"("logit_bias":null,"max_tokens":null,"logprobs":null,"top_logprobs":null,"modalities":null)");
    ASSERT_TRUE(request) << request.error().message;
    EXPECT_EQ(request->sampling.temperature, 1.0F);
    EXPECT_TRUE(request->sampling.stop.empty());
}

TEST(ChatRequest, a_stop_string_may_stand_alone_and_empty_ones_do_not_count) {
    EXPECT_EQ(parse(R"("stop":"END")")->sampling.stop, std::vector<std::string>{"END"});
    EXPECT_TRUE(parse(R"("stop":["",""])")->sampling.stop.empty());
}

TEST(ChatRequest, the_lower_of_two_limits_counts) {
    EXPECT_EQ(parse(R"("max_tokens":5,"max_completion_tokens":9)")->sampling.max_tokens, 5);
    EXPECT_EQ(parse(R"("max_tokens":99999999999)")->sampling.max_tokens, 0);
}

TEST(ChatRequest, text_parts_are_joined_and_developer_is_system) {
    const auto request = parse_chat_request(
        R"({"model":"m","messages":[{"role":"developer","content":"be kind"},)"
        R"({"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]})");
    ASSERT_TRUE(request) << request.error().message;
    EXPECT_EQ(request->messages[0].role, "system");
    EXPECT_EQ(request->messages[1].content, "ab");
}

TEST(ChatRequest, what_says_nothing_is_fine) {
    EXPECT_TRUE(parse(R"("tools":[],"tool_choice":"auto","response_format":{"type":"text"})"));
    EXPECT_TRUE(
        parse(R"("modalities":["text"],"repetition_penalty":1.0,"user":"u","unheard_of":1)"));
}

TEST(ChatRequest, what_cannot_be_done_is_refused_by_name) {
    constexpr std::string_view kWhy = "unsupported_parameter";
    expect_refused(R"("tools":[{"type":"function","function":{"name":"f"}}])", "tools", kWhy);
    expect_refused(R"("functions":[{"name":"f"}])", "functions", kWhy);
    expect_refused(R"("tool_choice":"required")", "tool_choice", kWhy);
    expect_refused(R"("response_format":{"type":"json_object"})", "response_format", kWhy);
    expect_refused(R"("response_format":{"type":"json_schema","json_schema":{}})",
                   "response_format", kWhy);
    expect_refused(R"("modalities":["text","audio"])", "modalities", kWhy);
    expect_refused(R"("repetition_penalty":1.1)", "repetition_penalty", kWhy);
}

TEST(ChatRequest, images_and_tool_messages_are_refused_where_they_stand) {
    const auto image = parse_chat_request(
        R"({"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"},)"
        R"({"type":"image_url","image_url":{"url":"data:"}}]}]})");
    ASSERT_FALSE(image);
    EXPECT_EQ(image.error().param, "messages[0].content[1].type");
    const auto calls = parse_chat_request(
        R"({"model":"m","messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"1"}]}]})");
    ASSERT_FALSE(calls);
    EXPECT_EQ(calls.error().param, "messages[0].tool_calls");
    const auto empty = parse_chat_request(R"({"model":"m","messages":[{"role":"user"}]})");
    ASSERT_FALSE(empty);
    EXPECT_EQ(empty.error().param, "messages[0].content");
    const auto role =
        parse_chat_request(R"({"model":"m","messages":[{"role":"boss","content":"x"}]})");
    ASSERT_FALSE(role);
    EXPECT_EQ(role.error().param, "messages[0].role");
}

TEST(ChatRequest, ranges_are_openais) {
    expect_refused(R"("temperature":2.1)", "temperature", "decimal_above_max_value");
    expect_refused(R"("temperature":-0.1)", "temperature", "decimal_below_min_value");
    expect_refused(R"("top_p":1.5)", "top_p", "decimal_above_max_value");
    expect_refused(R"("frequency_penalty":-3)", "frequency_penalty", "decimal_below_min_value");
    expect_refused(R"("presence_penalty":3)", "presence_penalty", "decimal_above_max_value");
    expect_refused(R"("max_tokens":0)", "max_tokens", "integer_below_min_value");
    expect_refused(R"("n":0)", "n", "integer_below_min_value");
    expect_refused(R"("n":17)", "n", "integer_above_max_value");
    expect_refused(R"("logprobs":true,"top_logprobs":21)", "top_logprobs",
                   "integer_above_max_value");
    expect_refused(R"("top_logprobs":1)", "top_logprobs", "invalid_value");
    expect_refused(R"("logit_bias":{"x":1})", "logit_bias", "invalid_value");
    expect_refused(R"("logit_bias":{"1":101})", "logit_bias", "invalid_value");
    expect_refused(R"("stop":[1])", "stop[0]", "invalid_type");
    expect_refused(
        R"("stop":["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17"])",
        "stop", "array_above_max_length");
    expect_refused(R"("seed":1.5)", "seed", "invalid_type");
}

TEST(ChatRequest, seeds_are_told_apart_and_small_ones_stay) {
    EXPECT_EQ(parse(R"("seed":0)")->sampling.seed, 0u);
    EXPECT_EQ(parse(R"("seed":4294967295)")->sampling.seed, 4294967295u);
    EXPECT_NE(parse(R"("seed":-1)")->sampling.seed, parse(R"("seed":-2)")->sampling.seed);
    EXPECT_NE(parse(R"("seed":4294967297)")->sampling.seed, parse(R"("seed":1)")->sampling.seed);
}

}  // namespace
}  // namespace leeway::models
