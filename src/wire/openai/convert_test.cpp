#include "wire/openai/convert.hpp"

#include "json/canonical.hpp"
#include "json/testing/test_data.hpp"
#include "json/write.hpp"
#include "wire/openai/stream_observer.hpp"
#include "wire/openai/testing/cassette.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <string>

namespace leeway::wire::openai {
namespace {

/// Equal exactly for equal JSON values.
std::string canonical(std::string_view text) {
    std::string out;
    const auto result = json::append_canonical(text, {}, out);
    return result ? out : "error: " + result.error().message;
}

std::string round_trip(std::string_view completion) {
    const auto stream = completion_to_stream(completion, true);
    if (!stream) return stream.error().message;
    const auto back = stream_to_completion(*stream);
    return back ? *back : back.error().message;
}

std::string completion(const std::string& choices) {
    return R"({"id":"chatcmpl-1","object":"chat.completion","created":17,"model":"m","choices":[)" +
           choices +
           R"(],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3},"system_fingerprint":"fp"})";
}

TEST(Convert, WritesAStreamAsOpenAiDoes) {
    const auto stream = completion_to_stream(
        completion(
            R"({"index":0,"message":{"role":"assistant","content":"hi","refusal":null},"finish_reason":"stop"})"),
        true);
    ASSERT_TRUE(stream);
    const std::string head =
        R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":17,"model":"m","system_fingerprint":"fp","choices":[)";
    EXPECT_EQ(
        *stream,
        head +
            R"({"index":0,"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}],"usage":null})" +
            "\n\n" + head +
            R"({"index":0,"delta":{"content":"hi"},"finish_reason":null}],"usage":null})" + "\n\n" +
            head + R"({"index":0,"delta":{},"finish_reason":"stop"}],"usage":null})" + "\n\n" +
            head + R"(],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}})" +
            "\n\n" + "data: [DONE]\n\n");
}

TEST(Convert, LeavesUsageOutUnlessAsked) {
    const auto stream = completion_to_stream(
        completion(
            R"({"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"})"),
        false);
    ASSERT_TRUE(stream);
    EXPECT_EQ(stream->find("usage"), std::string::npos);
}

TEST(Convert, RoundTripsEverything) {
    const std::string answers[] = {
        completion(
            R"({"index":0,"message":{"role":"assistant","content":""},"finish_reason":"length"})"),
        completion(
            R"({"index":0,"message":{"role":"assistant","content":null,"refusal":"no \"way\"","annotations":[],"tool_calls":null},"logprobs":null,"finish_reason":"stop"})"),
        completion(R"({"index":0,"message":{"role":"assistant","content":null,"tool_calls":[
            {"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},
            {"id":"call_2","type":"function","function":{"name":"g","arguments":""}},
            {"id":"call_3","type":"custom","custom":{"name":"h","input":"x"}}]},"finish_reason":"tool_calls"})"),
        completion(
            R"({"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"},
            {"index":1,"message":{"role":"assistant","content":"b","reasoning_content":"because"},"finish_reason":"length"})"),
        completion(
            R"({"index":0,"message":{"role":"assistant","content":"Hé\ud83d\ude00"},"logprobs":{"content":[
            {"token":"H","logprob":-0.1,"bytes":[72],"top_logprobs":[{"token":"H","logprob":-0.1}]},
            {"token":"é","logprob":-1e-7,"bytes":null,"top_logprobs":[]}],"refusal":null},"finish_reason":"stop"})"),
        completion(
            R"({"index":0,"message":{"role":"assistant","content":"a","audio":{"id":"x","data":"AAA","expires_at":12}},
            "finish_reason":"stop","content_filter_results":{"hate":{"filtered":false}}})"),
    };
    for (const std::string& answer : answers) {
        EXPECT_EQ(canonical(round_trip(answer)), canonical(answer)) << round_trip(answer);
    }
}

RC_GTEST_PROP(Convert, RoundTripsAnyText, (const std::string& ascii, const std::string& bytes)) {
    const auto repeat = *rc::gen::inRange(1, 20);
    std::string text;
    for (int i = 0; i < repeat; ++i) text.append(ascii).append("é\xf0\x9f\x98\x80").append(bytes);
    const std::string answer = completion(
        "{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":" + json::quoted(text) +
        "},\"finish_reason\":\"stop\"}");
    RC_ASSERT(canonical(round_trip(answer)) == canonical(answer));
}

TEST(Convert, MergesWhatProvidersStream) {
    const auto chunk = [](const std::string& delta, const std::string& finish = "null") {
        return "data: {\"id\":\"i\",\"choices\":[{\"index\":0,\"delta\":" + delta +
               ",\"finish_reason\":" + finish + "}],\"obfuscation\":\"zz\"}\n\n";
    };
    const auto merged = stream_to_completion(
        ": hello\n\n" + chunk(R"({"role":"assistant","content":null})") +
        chunk(
            R"({"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":""}}]})") +
        chunk(
            R"({"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{"}}]})") +
        chunk(
            R"({"tool_calls":[{"index":0,"id":"","type":"function","function":{"name":"f","arguments":"}"}},{"index":1,"function":{"arguments":"[]"}}]})") +
        chunk(R"({"role":"assistant","reasoning":"be"})") + chunk(R"({"reasoning":"cause"})") +
        chunk("{}", "\"tool_calls\"") +
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]");
    ASSERT_TRUE(merged) << merged.error().message;
    EXPECT_EQ(
        *merged,
        R"({"id":"i","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[)"
        R"({"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},)"
        R"({"id":"b","type":"function","function":{"name":"g","arguments":"[]"}}],"reasoning":"because"},"finish_reason":"tool_calls"}],)"
        R"("usage":{"prompt_tokens":1}})");
}

TEST(Convert, NeverPassesOffACutStream) {
    const std::string role =
        "data: "
        "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
    const auto reason = [](const std::string& stream) {
        const auto result = stream_to_completion(stream);
        return result ? "ok" : result.error().reason;
    };
    EXPECT_EQ(reason(role), "stream_cut");
    EXPECT_EQ(reason(role + "data: [DONE]\n\n"), "stream_cut");
    EXPECT_EQ(reason("data: [DONE]\n\n"), "stream_cut");
    EXPECT_EQ(reason(""), "stream_cut");
    EXPECT_EQ(reason(role + "data: {\"error\":{\"message\":\"m\"}}\n\n"), "stream_error");
    EXPECT_EQ(reason(role + "data: {\"choices\":[{\"ind"), "bad_event");
}

TEST(Convert, RefusesWhatIsNoCompletion) {
    for (const char* text :
         {"", "[]", "{}", "{\"choices\":[]}", "{\"choices\":[{}]}", "{\"choices\":[1]}",
          "{\"choices\":{\"message\":{}}}", "{\"choices\":[{\"message\":null}]}", "{\"a\":"}) {
        EXPECT_FALSE(completion_to_stream(text, true)) << text;
    }
}

TEST(Convert, RoundTripsRecordedAnswers) {
    const auto folder = json::testing::test_data("wire/openai-cassettes");
    if (folder.empty()) GTEST_SKIP() << json::testing::skip_message("wire/openai-cassettes");
    int answers = 0;
    int streams = 0;
    for (const auto& file : json::testing::files_in(folder)) {
        const std::string name = file.filename().string();
        if (!name.starts_with("chat-")) continue;
        for (const auto& exchange : testing::exchanges(json::testing::read_file(file))) {
            if (exchange.response.starts_with("data:")) {
                const auto merged = stream_to_completion(exchange.response);
                ASSERT_TRUE(merged) << name << merged.error().message;
                EXPECT_EQ(canonical(round_trip(*merged)), canonical(*merged)) << name;
                ++streams;
            } else if (exchange.response.find("\"choices\"") != std::string::npos) {
                EXPECT_EQ(canonical(round_trip(exchange.response)), canonical(exchange.response))
                    << name;
                ++answers;
            }
        }
    }
    EXPECT_GE(answers, 8);
    EXPECT_GE(streams, 3);
}

}  // namespace
}  // namespace leeway::wire::openai
