#include "wire/cohere/chat_codec.hpp"

#include "wire/openai/chat_codec.hpp"
#include "wire/openai/chat_parts.hpp"
#include "wire/openai/sse.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace leeway::wire::cohere {
namespace {

using Kind = StreamEvent::Kind;

struct Written {
    std::string body;
    std::vector<std::string> dropped;
    std::string reason;  ///< why it was refused
};

/// What a request in OpenAI's form becomes.
Written write(std::string_view chat) {
    Written out;
    auto request = openai::ChatCodec().read_request(chat);
    EXPECT_TRUE(request.has_value()) << chat;
    if (!request) return out;
    RequestTarget target;
    target.model = "command-a";
    Losses losses;
    auto body = ChatCodec().write_request(*request, target, losses);
    out.dropped = losses.dropped;
    if (body) {
        out.body = *body;
    } else {
        out.reason = body.error().reason;
    }
    return out;
}

TEST(CohereChat, WritesMessagesNumbersAndFormat) {
    const Written got = write(
        R"({"model":"m","messages":[{"role":"developer","content":"Be brief."},{"role":"user","content":[{"type":"text","text":"what?"},)"
        R"({"type":"image_url","image_url":{"url":"data:image/png;base64,AA==","detail":"low"}}]}],"max_completion_tokens":5,"temperature":0.30,)"
        R"("top_p":0.9,"stop":["x"],"seed":7,"user":"u","logprobs":true,"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}},)"
        R"("reasoning_effort":"low","stream":true})");
    EXPECT_EQ(
        got.body,
        R"({"model":"command-a","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":[{"type":"text","text":"what?"},)"
        R"({"type":"image_url","image_url":{"url":"data:image/png;base64,AA==","detail":"low"}}]}],"max_tokens":5,"temperature":0.30,"p":0.9,)"
        R"("seed":7,"stop_sequences":["x"],"response_format":{"type":"json_object","json_schema":{"type":"object"}},)"
        R"("thinking":{"type":"enabled","token_budget":2048},"stream":true})");
    EXPECT_EQ(got.dropped, (std::vector<std::string>{"logprobs", "user"}));
}

TEST(CohereChat, WritesToolsTheirCallsAndResults) {
    const Written got = write(
        R"({"model":"m","messages":[{"role":"user","content":"go"},{"role":"assistant","content":"I look.","tool_calls":[)"
        R"({"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"c1","content":"sunny"}],)"
        R"("tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"},"strict":true}},)"
        R"({"type":"function","function":{"name":"g","strict":true}}],"tool_choice":{"type":"function","function":{"name":"f"}},"parallel_tool_calls":false})");
    EXPECT_EQ(
        got.body,
        R"({"model":"command-a","messages":[{"role":"user","content":"go"},{"role":"assistant","tool_plan":"I look.","tool_calls":[)"
        R"({"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"c1","content":"sunny"}],)"
        R"("tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"strict_tools":true,"tool_choice":"REQUIRED","stream":false})");
    EXPECT_EQ(got.dropped, std::vector<std::string>{"parallel_tool_calls"});
    EXPECT_NE(
        write(
            R"({"model":"m","messages":[{"role":"user","content":"go"}],"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"none"})")
            .body.find(R"("tool_choice":"NONE")"),
        std::string::npos);
}

TEST(CohereChat, RefusesWhatItCannotSay) {
    EXPECT_EQ(write(R"({"model":"m","messages":[{"role":"user","content":"x"}],"n":2})").reason,
              "untranslatable");
    EXPECT_EQ(
        write(
            R"({"model":"m","messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"aa","format":"wav"}}]}]})")
            .reason,
        "untranslatable");
}

std::string reason_of(std::string_view finish_reason) {
    const auto answer = ChatCodec().read_answer(
        R"({"id":"1","message":{"role":"assistant","content":[{"type":"text","text":"x"}]},"finish_reason":")" +
            std::string(finish_reason) + "\"}",
        usage::Flavour::kCohere);
    if (!answer) return answer.error().reason;
    return std::string(openai::finish_reason(answer->choices.front().stop));
}

TEST(CohereChat, ReadsAnswers) {
    const auto answer = ChatCodec().read_answer(
        R"({"id":"a","message":{"role":"assistant","content":[{"type":"thinking","thinking":"Hm."},{"type":"text","text":"Hi"}],)"
        R"("citations":[{"start":0,"end":2,"text":"Hi","sources":[]}]},"finish_reason":"COMPLETE",)"
        R"("usage":{"billed_units":{"input_tokens":13,"output_tokens":61},"tokens":{"input_tokens":542,"output_tokens":63},"cached_tokens":5}})",
        usage::Flavour::kCohere);
    ASSERT_TRUE(answer.has_value());
    const Choice& choice = answer->choices.front();
    ASSERT_EQ(choice.parts.size(), 2u);
    EXPECT_EQ(choice.parts[0].kind, Part::Kind::kThinking);
    EXPECT_EQ(choice.parts[1].text, "Hi");
    EXPECT_EQ(answer->usage.usage.input_total(), 13);  // what is billed
    EXPECT_EQ(answer->usage.usage.output_total(), 61);
    EXPECT_EQ(answer->usage.usage[prices::Bucket::kCachedInput], 5);
    for (const auto& [told, ours] :
         std::vector<std::pair<std::string, std::string>>{{"COMPLETE", "stop"},
                                                          {"STOP_SEQUENCE", "stop"},
                                                          {"MAX_TOKENS", "length"},
                                                          {"TOOL_CALL", "tool_calls"},
                                                          {"ERROR", "upstream_error"},
                                                          {"TIMEOUT", "timeout"}}) {
        EXPECT_EQ(reason_of(told), ours) << told;
    }
    EXPECT_FALSE(ChatCodec().read_answer("{}", usage::Flavour::kCohere).has_value());
    const Error error = ChatCodec().read_error(429, R"({"message":"slow down"})");
    EXPECT_EQ(error.message, "slow down");
    EXPECT_EQ(error.code, ErrorCode::kRateLimited);
}

std::string event(std::string_view data) { return "data: " + std::string(data) + "\n\n"; }

std::vector<StreamEvent> events_of(const std::string& stream) {
    const ChatCodec codec;
    const auto reader = codec.stream_reader(usage::Flavour::kCohere);
    openai::SseScanner scanner;
    scanner.feed(stream);
    openai::SseEvent one;
    std::vector<StreamEvent> out;
    for (auto more = scanner.next(one); more && *more; more = scanner.next(one))
        EXPECT_TRUE(reader->read(one, out).has_value()) << one.data;
    reader->end(out);
    return out;
}

TEST(CohereChat, ReadsAStreamOfCalls) {
    const auto events = events_of(
        event(
            R"({"type":"message-start","id":"s","delta":{"message":{"role":"assistant","content":[],"tool_plan":"","tool_calls":[],"citations":[]}}})") +
        event(R"({"type":"tool-plan-delta","delta":{"message":{"tool_plan":"I "}}})") +
        event(R"({"type":"tool-plan-delta","delta":{"message":{"tool_plan":"look."}}})") +
        event(
            R"({"type":"tool-call-start","index":0,"delta":{"message":{"tool_calls":{"id":"c1","type":"function","function":{"name":"f","arguments":""}}}}})") +
        event(
            R"({"type":"tool-call-delta","index":0,"delta":{"message":{"tool_calls":{"function":{"arguments":"{\"a\""}}}}})") +
        event(
            R"({"type":"tool-call-delta","index":0,"delta":{"message":{"tool_calls":{"function":{"arguments":":1}"}}}}})") +
        event(R"({"type":"tool-call-end","index":0})") +
        event(
            R"({"type":"tool-call-start","index":1,"delta":{"message":{"tool_calls":{"id":"c2","type":"function","function":{"name":"g","arguments":""}}}}})") +
        event(R"({"type":"tool-call-end","index":1})") +
        event(
            R"({"type":"citation-start","index":0,"delta":{"message":{"citations":{"start":0,"end":1,"text":"I"}}}})") +
        event(
            R"({"type":"message-end","delta":{"finish_reason":"TOOL_CALL","usage":{"billed_units":{"input_tokens":3,"output_tokens":4}}}})"));
    std::vector<std::pair<Kind, std::uint32_t>> got;
    for (const StreamEvent& one : events) got.emplace_back(one.kind, one.part);
    const std::vector<std::pair<Kind, std::uint32_t>> wanted{{Kind::kStart, 0},
                                                             {Kind::kText, 0},
                                                             {Kind::kText, 0},
                                                             {Kind::kToolCall, 1},
                                                             {Kind::kToolArguments, 1},
                                                             {Kind::kToolArguments, 1},
                                                             {Kind::kToolCall, 2},
                                                             {Kind::kToolArguments, 2},
                                                             {Kind::kStop, 2},
                                                             {Kind::kUsage, 2},
                                                             {Kind::kEnd, 2}};
    EXPECT_EQ(got, wanted);
    EXPECT_EQ(events[3].id, "c1");
    EXPECT_EQ(events[7].text, "{}");  // it had none
    EXPECT_EQ(events[8].stop, StopReason::kToolUse);
    EXPECT_EQ(events[9].usage.usage.output_total(), 4);
}

TEST(CohereChat, AStreamThatFailsNeverEnds) {
    const auto events = events_of(
        event(R"({"type":"message-start","id":"s"})") +
        event(
            R"({"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"Hi"}}}})") +
        event(R"({"type":"message-end","delta":{"error":"it broke","finish_reason":"ERROR"}})") +
        event(R"({"type":"message-end","delta":{"finish_reason":"COMPLETE"}})"));
    ASSERT_EQ(events.size(), 3u);
    EXPECT_EQ(events.back().kind, Kind::kError);
    EXPECT_EQ(events.back().error.message, "it broke");
}

}  // namespace
}  // namespace leeway::wire::cohere
