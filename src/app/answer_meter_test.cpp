#include "app/answer_meter.hpp"

#include "tokens/tokens_testing.hpp"

#include <gtest/gtest.h>

#include <random>

namespace leeway::app {
namespace {

TokenRule small_rule() {
    return {
        {tokens::ModelFamily::kOpenAi, "small", true}, tokens::testing::small_vocabulary(), false};
}

std::string chunk(std::string_view delta, int choice = 0) {
    return R"({"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":)" +
           std::to_string(choice) + R"(,"delta":)" + std::string(delta) +
           R"(,"finish_reason":null}],"usage":null})";
}
std::string text(std::string_view content, int choice = 0) {
    return chunk(R"({"content":")" + std::string(content) + "\"}", choice);
}

TEST(AnswerMeter, StopsAtTheExactToken) {
    const TokenRule rule = small_rule();
    tokens::Tokenizer tokenizer(rule.vocabulary);
    AnswerMeter meter(rule, &tokenizer);
    for (int i = 1; i <= 40; ++i) {
        meter.add(text(" world"));  // one token each
        EXPECT_EQ(meter.passed(20), i > 20) << i;
    }
    EXPECT_EQ(meter.counted().all.tokens, 40);
    EXPECT_EQ(meter.counted().all.quality, tokens::Quality::kExact);
}

TEST(AnswerMeter, CountsTheWholeHoweverItIsCut) {
    const TokenRule rule = small_rule();
    tokens::Tokenizer tokenizer(rule.vocabulary);
    std::string whole;
    for (int i = 0; i < 300; ++i)
        whole += i % 3 == 0 ? "hello world" : i % 3 == 1 ? " abcd 12" : "  aaaa";
    const auto want = static_cast<std::int64_t>(tokenizer.count(whole));
    std::mt19937 rng(1);
    for (int round = 0; round < 20; ++round) {
        AnswerMeter meter(rule, &tokenizer);
        for (std::size_t at = 0; at < whole.size();) {
            const std::size_t size = 1 + rng() % 9;
            meter.add(text(whole.substr(at, size)));
            at += size;
            if (round % 2 == 0) (void)meter.passed(static_cast<std::int64_t>(rng() % 900));
        }
        EXPECT_EQ(meter.counted().all.tokens, want);
        EXPECT_FALSE(meter.passed(want));
        EXPECT_TRUE(meter.passed(want - 1));
    }
}

TEST(AnswerMeter, ReadsAllThatIsBilledOfADelta) {
    const TokenRule rule = small_rule();
    tokens::Tokenizer tokenizer(rule.vocabulary);
    const auto tokens_of = [&](std::string_view data) {
        AnswerMeter meter(rule, &tokenizer);
        meter.add(data);
        return meter.counted();
    };
    EXPECT_EQ(tokens_of(chunk(R"({"role":"assistant","content":" world"})")).all.tokens, 1);
    EXPECT_EQ(tokens_of(chunk(R"({ "content" : "\u0020world\u0020world" })")).all.tokens, 2);
    EXPECT_EQ(tokens_of(chunk(R"({"refusal":" world"})")).all.tokens, 1);
    EXPECT_EQ(tokens_of(text(" world", 1)).all.tokens, 1);
    const auto thought = tokens_of(chunk(R"({"content":null,"reasoning_content":" world"})"));
    EXPECT_EQ(thought.all.tokens, 1);
    EXPECT_EQ(thought.reasoning, 1);
    const auto call = tokens_of(chunk(
        R"({"tool_calls":[{"index":1,"id":"x","function":{"name":"hello","arguments":" world"}}]})"));
    EXPECT_EQ(call.all.tokens, 2);
    EXPECT_EQ(call.all.quality, tokens::Quality::kHeuristic);
    // An index behind its delta, two choices in one event.
    EXPECT_EQ(tokens_of(R"({"choices":[{"delta":{"content":" world"},"index":2},)"
                        R"({"index":0,"delta":{"content":" world"}}]})")
                  .all.tokens,
              2);
    for (const char* nothing :
         {"", "null", "[1]", "{\"choices\":[]}", "{\"choices\":[{\"delta\":[]}]}",
          "{\"choices\":7}", "{\"choices\":[{\"delta\":{\"content\":", "\xff\xfe"}) {
        EXPECT_EQ(tokens_of(nothing).all.tokens, 0) << nothing;
    }
}

TEST(AnswerMeter, ReadsTheTextOfLegacyCompletions) {
    const TokenRule rule = small_rule();
    tokens::Tokenizer tokenizer(rule.vocabulary);
    AnswerMeter meter(rule, &tokenizer);
    meter.add(R"({"choices":[{"text":" world","index":0,"logprobs":null,"finish_reason":null}]})");
    meter.add(R"({"choices":[{"text":" world","index":1},{"index":0,"text":" world"}]})");
    EXPECT_EQ(meter.counted().all.tokens, 3);
    // Some providers repeat the text of a chat there.
    meter.add(R"({"choices":[{"index":0,"text":" world","delta":{"content":" world","x":1}}]})");
    EXPECT_EQ(meter.counted().all.tokens, 4);
}

TEST(AnswerMeter, ChoicesAndCallsAreCountedApart) {
    const TokenRule rule = small_rule();
    tokens::Tokenizer tokenizer(rule.vocabulary);
    AnswerMeter meter(rule, &tokenizer);
    for (int i = 0; i < 30; ++i) {
        meter.add(text(" wor", 0));  // would be " world" together with what the other sends
        EXPECT_EQ(meter.passed(60), false);
        meter.add(text("ld", 1));
    }
    AnswerMeter apart(rule, &tokenizer);
    for (int i = 0; i < 30; ++i) apart.add(text(" wor", 0));
    for (int i = 0; i < 30; ++i) apart.add(text("ld", 1));
    EXPECT_EQ(meter.counted().all.tokens, apart.counted().all.tokens);
    EXPECT_TRUE(meter.passed(meter.counted().all.tokens - 1));
    EXPECT_FALSE(meter.passed(meter.counted().all.tokens));
}

TEST(AnswerMeter, WithoutAVocabularyBytesAreTheBound) {
    const TokenRule rule{{tokens::ModelFamily::kUnknown, "none", false}, nullptr, false};
    AnswerMeter meter(rule, nullptr);
    for (int i = 0; i < 50; ++i) meter.add(text("word"));
    EXPECT_EQ(meter.counted().all.tokens, 200);
    EXPECT_EQ(meter.counted().all.quality, tokens::Quality::kHeuristic);
    EXPECT_FALSE(meter.passed(50)) << "an honest answer is not cut: a token has a few bytes";
    for (int i = 0; i < 65; ++i) meter.add(text("word"));
    EXPECT_TRUE(meter.passed(50)) << "an event has a token";
}

TEST(AnswerMeter, AnEstimateStopsOnlyWhatIsSurelyOver) {
    const TokenRule rule{{tokens::ModelFamily::kClaude3, "small", false},
                         tokens::testing::small_vocabulary(),
                         false};
    tokens::Tokenizer tokenizer(rule.vocabulary);
    AnswerMeter meter(rule, &tokenizer);
    std::string many;
    for (int i = 0; i < 100; ++i) many += " world";
    meter.add(text(many));
    EXPECT_FALSE(meter.passed(100));
    EXPECT_TRUE(meter.passed(20));
    EXPECT_NEAR(static_cast<double>(meter.counted().all.tokens), 120, 10)
        << "1.2 per token of ours";
}

TEST(AnswerMeter, HostileTextIsCountedInLinearTime) {
    const TokenRule rule = small_rule();
    tokens::Tokenizer tokenizer(rule.vocabulary);
    AnswerMeter meter(rule, &tokenizer);
    const std::string letters(64, 'q');
    const std::uint64_t before = tokenizer.steps();
    for (int i = 0; i < 4'000; ++i) {
        meter.add(text(letters, i % 2));
        (void)meter.passed(1'000'000'000 * (i % 2));
        (void)meter.passed(100'000);
    }
    EXPECT_GT(meter.counted().all.tokens, 100'000);
    EXPECT_LT(tokenizer.steps() - before, 64ULL * 4'000 * 200);
}

TEST(CountCutStream, HasInputOutputAndTheWorseQuality) {
    const TokenRule rule = small_rule();
    tokens::Tokenizer tokenizer(rule.vocabulary);
    AnswerMeter meter(rule, &tokenizer);
    meter.add(chunk(R"({"reasoning_content":" world"})"));
    meter.add(text(" world world"));
    const std::string body =
        R"({"model":"gpt-4o","messages":[{"role":"user","content":" world"}]})";
    const auto own = count_cut_stream(body, rule, "gpt-4o", &tokenizer, meter);
    ASSERT_TRUE(own);
    EXPECT_EQ(own->quality, tokens::Quality::kExact);
    EXPECT_EQ(own->usage.state, prices::UsageState::kPartial);
    EXPECT_EQ(own->usage.usage[prices::Bucket::kOutput], 2);
    EXPECT_EQ(own->usage.usage[prices::Bucket::kReasoning], 1);
    EXPECT_EQ(own->usage.usage[prices::Bucket::kInput],
              3 + 3 + 1 + static_cast<std::int64_t>(tokenizer.count("user")));
    TokenRule hides = rule;
    hides.hides_output = true;
    EXPECT_FALSE(count_cut_stream(body, hides, "o3", &tokenizer, meter))
        << "what is shown is not all";
    const auto rough = count_cut_stream("{}", rule, "gpt-4o", &tokenizer, meter);
    ASSERT_TRUE(rough);
    EXPECT_EQ(rough->quality, tokens::Quality::kHeuristic);
}

}  // namespace
}  // namespace leeway::app
