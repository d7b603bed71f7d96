#include "wire/openai/answer.hpp"

#include "json/testing/test_data.hpp"
#include "wire/openai/testing/cassette.hpp"

#include <gtest/gtest.h>

#include <string>

namespace leeway::wire::openai {
namespace {

using prices::Bucket;

using prices::UsageState;

AnswerFacts usage(const std::string& inside) {
    return read_answer(Endpoint::kChatCompletions,
                       "{\"choices\":[{\"message\":{\"content\":\"\\\"usage\\\":{}\"},\"finish_"
                       "reason\":\"stop\"}],"
                       "\"model\":\"m\",\"usage\":" +
                           inside + "}");
}

TEST(Answer, MapsUsageIntoDisjointBuckets) {
    const auto facts = usage(R"({"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
        "prompt_tokens_details":{"cached_tokens":60,"audio_tokens":10},
        "completion_tokens_details":{"reasoning_tokens":30,"audio_tokens":5,"rejected_prediction_tokens":2}})");
    EXPECT_TRUE(facts.valid);
    EXPECT_EQ(facts.model, "m");
    EXPECT_EQ(facts.finish_reason, "stop");
    EXPECT_EQ(facts.usage.state, UsageState::kFinal);
    EXPECT_EQ(facts.usage.usage, (prices::Usage{{Bucket::kInput, 30},
                                                {Bucket::kCachedInput, 60},
                                                {Bucket::kAudioInput, 10},
                                                {Bucket::kOutput, 13},
                                                {Bucket::kReasoning, 30},
                                                {Bucket::kAudioOutput, 5},
                                                {Bucket::kRejectedPrediction, 2}}));
    EXPECT_FALSE(facts.usage.sum_mismatch);
    EXPECT_FALSE(facts.usage.clamped);
}

TEST(Answer, TellsMissingFromZero) {
    EXPECT_EQ(usage("null").usage.state, UsageState::kMissing);
    EXPECT_EQ(usage("{}").usage.state, UsageState::kMissing);
    EXPECT_EQ(usage("7").usage.state, UsageState::kMissing);
    EXPECT_EQ(usage(R"({"prompt_tokens":null,"completion_tokens":null})").usage.state,
              UsageState::kMissing);
    EXPECT_EQ(usage(R"({"prompt_tokens":0,"completion_tokens":0,"total_tokens":0})").usage.state,
              UsageState::kZero);
    EXPECT_EQ(read_answer(Endpoint::kChatCompletions, "{}").usage.state, UsageState::kMissing);
}

TEST(Answer, ACountThatIsNoNumberIsNotZero) {
    for (const char* text :
         {R"({"prompt_tokens":"10","completion_tokens":5})",
          R"({"prompt_tokens":10,"completion_tokens":[5]})",
          R"({"prompt_tokens":10,"completion_tokens":true,"total_tokens":15})"}) {
        const auto facts = usage(text);
        EXPECT_EQ(facts.usage.state, UsageState::kMissing) << text;
        EXPECT_TRUE(facts.usage.clamped) << text;
    }
    EXPECT_EQ(usage(R"({"prompt_tokens":10,"completion_tokens":null})").usage.state,
              UsageState::kFinal);
}

TEST(Answer, FlagsWhatCannotBe) {
    const auto negative = usage(R"({"prompt_tokens":-5,"completion_tokens":3})");
    EXPECT_TRUE(negative.usage.clamped);
    EXPECT_EQ(negative.usage.usage[Bucket::kInput], 0);
    EXPECT_EQ(negative.usage.usage[Bucket::kOutput], 3);
    const auto all_negative = usage(R"({"prompt_tokens":-5,"completion_tokens":-3})");
    EXPECT_TRUE(all_negative.usage.clamped);
    EXPECT_EQ(all_negative.usage.state, UsageState::kMissing) << "not a zero that was told";
    const auto cached = usage(
        R"({"prompt_tokens":5,"completion_tokens":0,"prompt_tokens_details":{"cached_tokens":9}})");
    EXPECT_TRUE(cached.usage.clamped);
    EXPECT_EQ(cached.usage.usage[Bucket::kCachedInput], 5);
    EXPECT_EQ(cached.usage.usage[Bucket::kInput], 0);
    for (const char* huge : {"9007199254740993", "99999999999999999999", "1e300", "1e999"}) {
        const auto facts =
            usage("{\"prompt_tokens\":" + std::string(huge) + ",\"completion_tokens\":1}");
        EXPECT_TRUE(facts.usage.clamped) << huge;
        EXPECT_EQ(facts.usage.usage[Bucket::kInput], std::int64_t{1} << 53) << huge;
    }
    EXPECT_FALSE(usage(R"({"prompt_tokens":12.0,"completion_tokens":1})").usage.clamped);
    EXPECT_TRUE(usage(R"({"prompt_tokens":12.5,"completion_tokens":1})").usage.clamped);
    EXPECT_TRUE(
        usage(R"({"prompt_tokens":5,"completion_tokens":3,"total_tokens":9})").usage.sum_mismatch);
}

TEST(Answer, KnowsTheHabitsOfProviders) {
    const auto beside = usage(R"({"prompt_tokens":10,"completion_tokens":5,"total_tokens":35,
        "completion_tokens_details":{"reasoning_tokens":20}})");
    EXPECT_EQ(beside.usage.usage[Bucket::kOutput], 5);
    EXPECT_EQ(beside.usage.usage[Bucket::kReasoning], 20);
    EXPECT_FALSE(beside.usage.sum_mismatch);
    const auto hits = usage(R"({"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,
        "prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":6})");
    EXPECT_EQ(hits.usage.usage[Bucket::kCachedInput], 4);
    EXPECT_EQ(hits.usage.usage[Bucket::kInput], 6);
}

TEST(Answer, ReadsEmbeddingsAndErrors) {
    const auto embedding = read_answer(
        Endpoint::kEmbeddings,
        R"({"object":"list","data":[{"embedding":[0.1,-2e-3]}],"model":"e","usage":{"prompt_tokens":8,"total_tokens":8}})");
    EXPECT_EQ(embedding.usage.usage[Bucket::kInput], 8);
    EXPECT_EQ(embedding.usage.usage[Bucket::kOutput], 0);
    EXPECT_EQ(embedding.usage.state, UsageState::kFinal);
    const auto error =
        read_answer(Endpoint::kChatCompletions, R"({"error":{"message":"no","code":null}})");
    EXPECT_TRUE(error.is_error);
    EXPECT_EQ(error.error_message, "no");
    EXPECT_FALSE(read_answer(Endpoint::kChatCompletions, R"({"error":null})").is_error);
}

TEST(Answer, SurvivesWhatIsNotJson) {
    for (const char* text : {"", "<html>", "{", "{\"usage\":{", "[]", "{\"choices\":[}",
                             "{\"usage\":{\"prompt_tokens\":}"}) {
        EXPECT_FALSE(read_answer(Endpoint::kChatCompletions, text).valid) << text;
    }
    const auto broken_text =
        read_answer(Endpoint::kChatCompletions,
                    "{\"x\":\"\xff\",\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}");
    EXPECT_EQ(broken_text.usage.usage[Bucket::kInput], 3);
}

TEST(Answer, ReadsRecordedAnswers) {
    const auto folder = json::testing::test_data("wire/openai-cassettes");
    if (folder.empty()) GTEST_SKIP() << json::testing::skip_message("wire/openai-cassettes");
    int answers = 0;
    for (const auto& file : json::testing::files_in(folder)) {
        const std::string name = file.filename().string();
        if (!name.starts_with("chat-") || name.find("streaming") != std::string::npos) continue;
        for (const auto& exchange : testing::exchanges(json::testing::read_file(file))) {
            if (exchange.response.empty() || exchange.response.front() != '{') continue;
            const auto facts = read_answer(Endpoint::kChatCompletions, exchange.response);
            EXPECT_TRUE(facts.valid) << name;
            EXPECT_FALSE(facts.usage.sum_mismatch) << name;
            EXPECT_FALSE(facts.usage.clamped) << name;
            EXPECT_EQ(facts.usage.state, facts.is_error ? UsageState::kMissing : UsageState::kFinal)
                << name;
            ++answers;
        }
    }
    EXPECT_GE(answers, 10);
}

}  // namespace
}  // namespace leeway::wire::openai
