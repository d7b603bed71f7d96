#include "models/host/chat_render.hpp"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <string>

namespace leeway::models {
namespace {

TEST(ChatRender, chunks_have_openais_shape) {
    const ChatRender render("chatcmpl-1", 7, "m", false, false);
    std::string out;
    render.role_chunk(out, 0);
    render.content_chunk(out, 0, "a\"b", {});
    render.finish_chunk(out, 0, FinishReason::kLength);
    render.usage_chunk(out, {});  // none is to follow
    ChatRender::done(out);
    const std::string head =
        R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":7,"model":"m","choices":[{"index":0,"delta":)";
    EXPECT_EQ(
        out,
        head +
            R"({"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}]})"
            "\n\n" +
            head +
            R"({"content":"a\"b"},"logprobs":null,"finish_reason":null}]})"
            "\n\n" +
            head +
            R"({},"logprobs":null,"finish_reason":"length"}]})"
            "\n\n" +
            "data: [DONE]\n\n");
}

TEST(ChatRender, the_usage_chunk_comes_alone_and_the_others_announce_it) {
    const ChatRender render("i", 7, "m", true, false);
    std::string out;
    render.finish_chunk(out, 1, FinishReason::kStop);
    EXPECT_NE(out.find(R"("index":1)"), std::string::npos);
    EXPECT_NE(out.find(R"("finish_reason":"stop"}],"usage":null})"), std::string::npos) << out;
    out.clear();
    render.usage_chunk(out, {10, 4, 3});
    EXPECT_NE(
        out.find(
            R"("choices":[],"usage":{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13,)"
            R"("prompt_tokens_details":{"cached_tokens":4}}})"),
        std::string::npos)
        << out;
}

TEST(ChatRender, log_probabilities_show_bytes_of_cut_characters) {
    const ChatRender render("i", 7, "m", false, true);
    TokenInfo token;
    token.bytes = "\xC3";
    token.logprob = -0.5F;
    token.top = {{"\xC3", -0.5F}, {"a", -std::numeric_limits<float>::infinity()}};
    std::string out;
    render.content_chunk(out, 0, "", std::span(&token, 1));
    EXPECT_NE(
        out.find("\"logprobs\":{\"content\":[{\"token\":\"\xEF\xBF\xBD\",\"logprob\":-0.5,"
                 "\"bytes\":[195],"
                 "\"top_logprobs\":[{\"token\":\"\xEF\xBF\xBD\",\"logprob\":-0.5,\"bytes\":[195]},"
                 "{\"token\":\"a\",\"logprob\":-9999,\"bytes\":[97]}]}],\"refusal\":null}"),
        std::string::npos)
        << out;
}

TEST(ChatRender, a_whole_answer_has_all_choices_and_usage) {
    const ChatRender render("i", 7, "m\n", false, false);
    std::array<ChatChoice, 2> choices;
    choices[0].text = "one";
    choices[1].text = "two";
    choices[1].reason = FinishReason::kLength;
    EXPECT_EQ(
        render.completion(choices, {5, 0, 2}),
        R"({"id":"i","object":"chat.completion","created":7,"model":"m\n","choices":[)"
        R"({"index":0,"message":{"role":"assistant","content":"one","refusal":null},"logprobs":null,)"
        R"("finish_reason":"stop"},{"index":1,"message":{"role":"assistant","content":"two",)"
        R"("refusal":null},"logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":5,)"
        R"("completion_tokens":2,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":0}}})");
}

}  // namespace
}  // namespace leeway::models
