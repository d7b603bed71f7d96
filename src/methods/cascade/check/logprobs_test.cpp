#include "methods/cascade/check/logprobs.hpp"

#include <gtest/gtest.h>

namespace leeway::cascade {
namespace {

TEST(Logprobs, AreSummedOverAnAnswerThatComesWhole) {
    LogprobSum sum;
    EXPECT_FALSE(sum.mean().has_value());
    sum.add_answer(
        R"({"id":"a","choices":[{"index":0,"message":{"content":"a b"},"logprobs":{"content":[)"
        R"({"token":"a","logprob":-0.5,"top_logprobs":[{"token":"a","logprob":-0.5}]},)"
        R"({"token":"b","logprob":-1.5}]},"finish_reason":"stop"}],"usage":{"total_tokens":2}})");
    ASSERT_TRUE(sum.mean().has_value());
    EXPECT_DOUBLE_EQ(*sum.mean(), -1);
}

TEST(Logprobs, AreSummedOverAStream) {
    LogprobSum sum;
    for (
        const char* event :
        {R"({"choices":[{"index":0,"delta":{"role":"assistant"},"logprobs":null}]})",
         R"({"choices":[{"index":0,"delta":{"content":"a"},"logprobs":{"content":[{"token":"a","logprob":-1}]}}]})",
         R"({"choices":[{"index":0,"delta":{"content":"bc"},"logprobs":{"content":[{"token":"b","logprob":-2},{"token":"c","logprob":-3}]}}]})",
         R"({"choices":[],"usage":{"total_tokens":2}})", "[DONE]"})
        sum.add_answer(event);
    ASSERT_TRUE(sum.mean().has_value());
    EXPECT_DOUBLE_EQ(*sum.mean(), -2);
}

TEST(Logprobs, OfOtherTextsAreNone) {
    LogprobSum sum;
    for (const char* text :
         {"", "{", "[]", R"({"logprob":-1})", R"({"choices":{"logprob":1}})",
          R"({"choices":[{"message":{"content":"\"logprob\": -1"}}]})",
          R"({"choices":[{"logprobs":{"content":[{"token":"a","logprob":"x"}]}}]})"})
        sum.add_answer(text);
    EXPECT_FALSE(sum.mean().has_value());
}

}  // namespace
}  // namespace leeway::cascade
