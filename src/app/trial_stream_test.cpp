#include "app/trial_stream.hpp"

#include "tokens/tokens_testing.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace leeway::app {
namespace {

using State = TrialStream::State;

TokenRule small_rule() {
    return {
        {tokens::ModelFamily::kOpenAi, "small", true}, tokens::testing::small_vocabulary(), false};
}

/// A stream with its vocabulary. `tokens` are judged.
struct Held {
    explicit Held(std::size_t tokens, bool whole = false, double least = 0,
                  std::size_t most = 1 << 20)
        : tokenizer(rule.vocabulary),
          stream(wire::usage::Flavour::kOpenAiChat, rule, &tokenizer,
                 {tokens, whole, least, most}) {}
    TokenRule rule = small_rule();
    tokens::Tokenizer tokenizer;
    TrialStream stream;
};

std::string event(std::string_view choice) {
    return fmt::format(
        "data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0,{}}}]}}\n\n", choice);
}
std::string token(double logprob) {
    return event(fmt::format(
        R"("delta":{{"content":" world"}},"logprobs":{{"content":[{{"token":"w","logprob":{}}}]}},"finish_reason":null)",
        logprob));
}
std::string stop(std::string_view why = "stop") {
    return event(fmt::format(R"("delta":{{}},"finish_reason":"{}")", why));
}
const std::string kSilent = event(R"("delta":{"content":" world"},"finish_reason":null)");
const std::string kUsage =
    "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,"
    "\"total_tokens\":9}}\n\n";
const std::string kDone = "data: [DONE]\n\n";

TEST(TrialStream, IsJudgedByItsFirstTokens) {
    Held held(2);
    held.stream.add(event(R"("delta":{"role":"assistant","content":""},"finish_reason":null)"));
    held.stream.add(token(-1));
    EXPECT_EQ(held.stream.state(), State::kOpen);
    // What comes in the same piece is held, too, and is no part of the mean.
    held.stream.add(token(-2) + token(-30));
    EXPECT_EQ(held.stream.state(), State::kBegun);
    EXPECT_DOUBLE_EQ(held.stream.beginning().mean_logprob.value_or(0), -1.5);
    EXPECT_EQ(held.stream.beginning().stop, wire::StopReason::kUnset);
    EXPECT_EQ(held.stream.model(), "m");
    EXPECT_EQ(held.stream.meter().counted().all.tokens, 3);
    EXPECT_TRUE(held.stream.text().ends_with(token(-30)));
}

TEST(TrialStream, IsTheSameHoweverItIsCut) {
    const std::string all = ": ping\n\n" + token(-1) + token(-3) + stop() + kUsage + kDone;
    for (std::size_t size = 1; size < 60; ++size) {
        Held held(9);
        for (std::size_t at = 0; at < all.size() && held.stream.state() == State::kOpen; at += size)
            held.stream.add(std::string_view(all).substr(at, size));
        ASSERT_EQ(held.stream.state(), State::kEnded) << size;
        EXPECT_DOUBLE_EQ(held.stream.beginning().mean_logprob.value_or(0), -2) << size;
        EXPECT_EQ(held.stream.usage().usage.input_total(), 7) << size;
        EXPECT_TRUE(all.starts_with(held.stream.text())) << size;
    }
}

TEST(TrialStream, OneThatEndsIsHeldUntilItsUsageIsThere) {
    Held held(1);
    held.stream.add(token(-1) + stop("length"));
    EXPECT_EQ(held.stream.state(), State::kOpen);
    held.stream.add(kUsage);
    EXPECT_EQ(held.stream.state(), State::kEnded);
    EXPECT_EQ(held.stream.beginning().stop, wire::StopReason::kLength);
    // Without one: until its last event, or the end of it all, which then says so.
    Held done(1);
    done.stream.add(token(-1) + stop() + kDone);
    EXPECT_EQ(done.stream.state(), State::kEnded);
    Held bare(9);
    std::string last = stop();
    last.resize(last.size() - 2);
    bare.stream.add(token(-1) + last);
    bare.stream.end();
    EXPECT_EQ(bare.stream.state(), State::kEnded);
    EXPECT_EQ(bare.stream.text(), token(-1) + stop() + kDone);
}

TEST(TrialStream, WhatTellsNothingIsNotWaitedFor) {
    Held held(2);
    held.stream.add(kSilent);
    EXPECT_EQ(held.stream.state(), State::kOpen);
    held.stream.add(kSilent);
    EXPECT_EQ(held.stream.state(), State::kBegun);
    EXPECT_FALSE(held.stream.beginning().mean_logprob.has_value());
    Held refusing(9);
    refusing.stream.add(event(R"("delta":{"refusal":"No"},"finish_reason":null)"));
    EXPECT_EQ(refusing.stream.state(), State::kBegun);
    EXPECT_TRUE(refusing.stream.beginning().refuses);
    // Thoughts come before the answer, and have none of their own.
    Held thinking(1);
    for (int i = 0; i < 9; ++i)
        thinking.stream.add(event(R"("delta":{"reasoning_content":"hm"},"finish_reason":null)"));
    EXPECT_EQ(thinking.stream.state(), State::kOpen);
}

TEST(TrialStream, BreaksWithAReason) {
    const std::string error = "data: {\"error\":{\"message\":\"overloaded\"}}\n\n";
    Held at_once(2);
    at_once.stream.add(error);
    EXPECT_EQ(at_once.stream.state(), State::kBroken);
    EXPECT_TRUE(at_once.stream.refused());
    EXPECT_EQ(at_once.stream.error().message, "overloaded");
    Held later(2);
    later.stream.add(token(-1) + error);
    EXPECT_EQ(later.stream.state(), State::kBroken);
    EXPECT_FALSE(later.stream.refused());
    // Also behind what would have decided.
    Held behind(1);
    behind.stream.add(token(-1) + error);
    EXPECT_EQ(behind.stream.state(), State::kBroken);
    for (const std::string& text : {std::string("data: {\n\n"), token(-1) + kDone}) {
        Held held(9);
        held.stream.add(text);
        EXPECT_EQ(held.stream.state(), State::kBroken) << text;
    }
    for (const std::string& text : {std::string(), token(-1), std::string("data: {")}) {
        Held held(9);
        held.stream.add(text);
        held.stream.end();
        EXPECT_EQ(held.stream.state(), State::kBroken) << text;
    }
    Held large(1000, false, 0, 1000);
    for (int i = 0; i < 20 && large.stream.state() == State::kOpen; ++i)
        large.stream.add(token(-1));
    EXPECT_EQ(large.stream.state(), State::kBroken);
    EXPECT_EQ(large.stream.error().reason, "upstream_answer_too_large");
}

TEST(TrialStream, IsGivenUpByItsFirstTokensOnly) {
    const double least = std::log(0.5);
    Held sure(2, true, least);
    sure.stream.add(token(-0.1));
    sure.stream.add(token(-0.1));
    EXPECT_EQ(sure.stream.state(), State::kOpen);
    for (int i = 0; i < 9; ++i) sure.stream.add(token(-9));
    EXPECT_EQ(sure.stream.state(), State::kOpen);
    sure.stream.add(stop() + kUsage);
    EXPECT_EQ(sure.stream.state(), State::kEnded);
    Held unsure(2, true, least);
    unsure.stream.add(token(-0.1) + token(-3));
    EXPECT_EQ(unsure.stream.state(), State::kGivenUp);
    // One that has ended by then is judged whole.
    Held brief(2, true, least);
    brief.stream.add(token(-3) + token(-3) + stop() + kDone);
    EXPECT_EQ(brief.stream.state(), State::kEnded);
}

}  // namespace
}  // namespace leeway::app
