#include "json/tokens.hpp"
#include "prices/rates.hpp"
#include "wire/usage/extractor.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What users of other tools complained about, each with the tokens and the dollars of its report
// (repository#number). Where a report gives no tokens, the smallest case that shows the fault.

namespace leeway::wire::usage {
namespace {

using prices::Bucket;
using prices::ModelPrices;
using prices::Rates;
using prices::RateSheet;
using prices::Tier;

UsageReading read(Flavour flavour, const std::vector<std::string_view>& documents) {
    Extractor extractor(flavour);
    for (const std::string_view document : documents) {
        const auto tokens = json::thread_indexer().index(document);
        EXPECT_TRUE(tokens) << document;
        if (!tokens) continue;
        json::Cursor cursor(*tokens);
        extractor.read_document(cursor);
        EXPECT_FALSE(cursor.failed()) << document;
    }
    return extractor.result();
}

Rates rates(std::initializer_list<std::pair<Bucket, const char*>> usd_per_million) {
    Rates out;
    for (const auto& [bucket, usd] : usd_per_million) {
        out.set(bucket, *parse_usd_per_million(usd));
    }
    return out;
}

Rates sonnet(const char* input = "3", const char* read = "0.3", const char* write = "3.75",
             const char* output = "15") {
    return rates({{Bucket::kInput, input},
                  {Bucket::kCachedInput, read},
                  {Bucket::kCacheWrite, write},
                  {Bucket::kOutput, output}});
}

/// USD, or "unknown".
std::string cost(const UsageReading& reading, const Rates& at) {
    const auto amount = prices::cost(reading.usage, at);
    return amount ? to_usd_string(*amount) : "unknown";
}

std::string cost(const UsageReading& reading, const ModelPrices& at) {
    prices::PriceQuery query;
    query.tier = reading.tier.value_or(Tier::kStandard);
    const auto priced = at.price(reading.usage, query);
    return priced.cost ? to_usd_string(*priced.cost) : "unknown";
}

RateSheet sheet(Rates of, Tier tier = Tier::kStandard, std::int64_t above = -1) {
    RateSheet out;
    out.rates = of;
    out.tier = tier;
    out.above = above;
    return out;
}

// ------------------------------------------------------------------ subset or beside, counted twice
TEST(Complaints, Litellm9812CacheWritesAreNotInputAsWell) {
    const auto reading = read(Flavour::kAnthropic, {R"({"usage":{"input_tokens":3,
        "cache_creation_input_tokens":12304,"cache_read_input_tokens":0,"output_tokens":550}})"});
    EXPECT_EQ(cost(reading, sonnet()), "0.054399") << "it said 0.091311; billed were 0.05439";
}

TEST(Complaints, Litellm11364OpusOnBedrockInEuropeWithCaching) {
    const auto reading = read(Flavour::kBedrock, {R"({"usage":{"inputTokens":10,
        "cacheReadInputTokens":66360,"cacheWriteInputTokens":32435,"outputTokens":5120,
        "totalTokens":103925}})"});
    EXPECT_FALSE(reading.sum_mismatch);
    EXPECT_EQ(cost(reading, sonnet("5.5", "0.55", "6.875", "27.5")), "0.400343625")
        << "it said 0.04708";
}

TEST(Complaints, Litellm11789StreamingWithPromptCachingIsNotSevenTimesOver) {
    const auto reading = read(
        Flavour::kAnthropic,
        {R"({"type":"message_start","message":{"usage":{"input_tokens":4,"cache_read_input_tokens":2455,
             "cache_creation_input_tokens":0,"output_tokens":1}}})",
         R"({"type":"message_delta","usage":{"output_tokens":23}})"});
    EXPECT_EQ(cost(reading, sonnet("0.8", "0.08", "1", "4")), "0.0002916") << "it said 0.002059";
}

TEST(Complaints, Litellm14849GeminiCacheHitsAreNotInputAsWell) {
    const auto reading = read(Flavour::kGemini, {R"({"usageMetadata":{"promptTokenCount":262960,
        "cachedContentTokenCount":257955,"candidatesTokenCount":1744,"totalTokenCount":264704}})"});
    EXPECT_EQ(cost(reading, sonnet("1.25", "0.625", "0", "10")), "0.184918125") << "it said 0.7642";
}

TEST(Complaints, Litellm26919AndLangfuse12306CacheWritesAreCountedOnce) {
    const auto reading = read(Flavour::kAnthropic, {R"({"usage":{"input_tokens":5,
        "cache_read_input_tokens":128955,"cache_creation_input_tokens":1253,"output_tokens":0}})"});
    EXPECT_EQ(reading.usage.input_total(), 130'213) << "it counted 260421";
    EXPECT_EQ(cost(reading, sonnet()), "0.04340025");
}

TEST(Complaints, Langfuse10592CachedTokensAreAPartOfThePrompt) {
    const auto reading = read(Flavour::kOpenRouter, {R"({"usage":{"prompt_tokens":17903,
        "completion_tokens":0,"total_tokens":17903,"prompt_tokens_details":{"cached_tokens":17817}}})"});
    EXPECT_EQ(reading.usage[Bucket::kInput], 86);
    EXPECT_EQ(cost(reading, sonnet()), "0.0056031") << "35720 tokens would be 0.0590541";
}

TEST(Complaints, Litellm37407CachedTokensMayBeImageTokens) {
    const auto reading = read(Flavour::kXai, {R"({"usage":{"prompt_tokens":2461,
        "completion_tokens":303,"total_tokens":2764,"cost_in_usd_ticks":30920000,
        "prompt_tokens_details":{"text_tokens":1319,"image_tokens":1142,"cached_tokens":2432}}})"});
    EXPECT_FALSE(reading.sum_mismatch);
    EXPECT_EQ(cost(reading, sonnet("2", "0.5", "0", "6")), "0.003092") << "it said 0.005318";
    EXPECT_EQ(reading.reported_cost, PicoUsd(3'092'000'000)) << "by xAI's ticks the same";
}

TEST(Complaints, Litellm37407AColdCacheToo) {
    const auto reading = read(Flavour::kXai, {R"({"usage":{"prompt_tokens":2461,
        "completion_tokens":664,"total_tokens":3125,"cost_in_usd_ticks":81380000,
        "prompt_tokens_details":{"text_tokens":1319,"image_tokens":1142,"cached_tokens":512}}})"});
    EXPECT_EQ(cost(reading, sonnet("2", "0.5", "0", "6")), "0.008138");
    EXPECT_EQ(reading.reported_cost, PicoUsd(8'138'000'000));
}

TEST(Complaints, Phoenix10036BedrockCachingIsNot42TimesOver) {
    const auto reading = read(Flavour::kBedrock, {R"({"usage":{"inputTokens":3,"outputTokens":12,
        "totalTokens":13256,"cacheReadInputTokens":13216,"cacheWriteInputTokens":25}})"});
    EXPECT_FALSE(reading.sum_mismatch);
    EXPECT_EQ(cost(reading, sonnet("3.3", "0.33", "4.125", "16.5")), "0.004672305")
        << "it said 0.20";
}

TEST(Complaints, Phoenix13379CachedTokensAreNoOutput) {
    const auto reading = read(Flavour::kBedrock, {R"({"usage":{"inputTokens":4299,
        "outputTokens":631,"totalTokens":58291,"cacheReadInputTokens":35574,
        "cacheWriteInputTokens":17787}})"});
    EXPECT_EQ(reading.usage.output_total(), 631) << "it booked 53992";
    EXPECT_EQ(cost(reading, sonnet()), "0.09973545");
}

TEST(Complaints, CodingHarnessTracing66StreamTotalsAreCumulative) {
    const std::string_view chunks[] = {
        R"({"usage":{"prompt_tokens":1000,"completion_tokens":10,"total_tokens":1010}})",
        R"({"usage":{"prompt_tokens":1000,"completion_tokens":20,"total_tokens":1020}})",
        R"({"choices":[]})",
        R"({"usage":{"prompt_tokens":1000,"completion_tokens":30,"total_tokens":1030}})"};
    const auto reading = read(Flavour::kVllm, {chunks[0], chunks[1], chunks[2], chunks[3]});
    EXPECT_EQ(cost(reading, sonnet()), "0.00345") << "added up it would be three times as much";
}

TEST(Complaints, Opik6976And6969CacheOfGeminiAndResponsesCounts) {
    const auto gemini = read(Flavour::kGemini, {R"({"usageMetadata":{"promptTokenCount":3520,
        "cachedContentTokenCount":3512,"candidatesTokenCount":2,"thoughtsTokenCount":42,
        "totalTokenCount":3564}})"});
    EXPECT_EQ(cost(gemini, sonnet("0.3", "0.03", "0", "2.5")), "0.00021776");
    const auto responses = read(Flavour::kOpenAiResponses, {R"({"usage":{"input_tokens":4020,
        "input_tokens_details":{"cached_tokens":4012},"output_tokens":5,
        "output_tokens_details":{"reasoning_tokens":0},"total_tokens":4025}})"});
    EXPECT_EQ(cost(responses, sonnet("1.25", "0.125", "0", "10")), "0.0005615");
}

TEST(Complaints, LangsmithSdk2519FreshInputBesideALargeCacheIsNotFree) {
    const auto reading = read(Flavour::kAnthropic, {R"({"usage":{"input_tokens":19,
        "cache_read_input_tokens":39000,"output_tokens":0}})"});
    EXPECT_EQ(prices::component(reading.usage, Bucket::kInput, sonnet())->value(), 57'000'000);
    EXPECT_EQ(cost(reading, sonnet()), "0.011757");
}

TEST(Complaints, Dust20989InputIsWhatIsNotCached) {
    const auto reading = read(Flavour::kAnthropic, {R"({"usage":{"input_tokens":2,
        "cache_read_input_tokens":9842,"output_tokens":0}})"});
    EXPECT_EQ(reading.usage.input_total(), 9844);
    EXPECT_EQ(cost(reading, sonnet()), "0.0029586") << "twice counted 0.0324846";
}

TEST(Complaints, Aider5516AReplacementPriceKeepsTheCachesPrice) {
    // 100,000 tokens of which 99,900 are cached: at one rate for all it is 10 times as much.
    const auto reading = read(Flavour::kDeepSeek, {R"({"usage":{"prompt_tokens":100000,
        "completion_tokens":0,"total_tokens":100000,"prompt_cache_hit_tokens":99900,
        "prompt_cache_miss_tokens":100}})"});
    EXPECT_EQ(cost(reading, sonnet()), "0.03027") << "all fresh it would be 0.3";
}

// ------------------------------------------------------------------ server tools
TEST(Complaints, Litellm42663CacheWritesOfLaterIterationsArePriced) {
    const auto reading = read(
        Flavour::kAnthropic,
        {R"({"type":"message_start","message":{"usage":{"input_tokens":9,
             "cache_creation_input_tokens":31490,"cache_read_input_tokens":0,"output_tokens":1,
             "cache_creation":{"ephemeral_5m_input_tokens":31490,"ephemeral_1h_input_tokens":0}}}})",
         R"({"type":"message_delta","usage":{"input_tokens":123201,"cache_creation_input_tokens":184457,
             "cache_read_input_tokens":426653,"output_tokens":1,"server_tool_use":{"web_search_requests":5}}})"});
    EXPECT_EQ(reading.usage[Bucket::kCacheWrite5m], 184'457) << "it priced 31490";
    EXPECT_EQ(prices::component(reading.usage, Bucket::kCacheWrite5m, sonnet())->value(),
              691'713'750'000)
        << "USD 0.69171375 instead of 0.1180875";
    EXPECT_EQ(reading.usage[Bucket::kWebSearch], 5);
    EXPECT_EQ(cost(reading, sonnet()), "unknown") << "five searches without a price";
    Rates with_search = sonnet();
    with_search.set(Bucket::kWebSearch, *parse_usd_per_million("10000"));  // 10 per thousand
    EXPECT_EQ(cost(reading, with_search), "1.23932765");
}

TEST(Complaints, Litellm42663OneHourWritesStayOneHourWrites) {
    const auto reading = read(
        Flavour::kAnthropic,
        {R"({"message":{"usage":{"input_tokens":1,"cache_creation_input_tokens":1000,"output_tokens":1,
             "cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":1000}}}})",
         R"({"usage":{"cache_creation_input_tokens":3000,"output_tokens":1}})"});
    EXPECT_EQ(reading.usage[Bucket::kCacheWrite1h], 3000);
    EXPECT_EQ(cost(reading, sonnet()), "unknown") << "the 5-minute price is not theirs";
}

// ------------------------------------------------------------------ tier, batch, context band
Rates gpt5_mini() { return sonnet("0.25", "0.025", "0", "2"); }
Rates gpt5_mini_flex() { return sonnet("0.125", "0.0125", "0", "1"); }
constexpr std::string_view kFlexAnswer = R"({"service_tier":"flex","usage":{"prompt_tokens":2000,
    "completion_tokens":500,"total_tokens":2500,"prompt_tokens_details":{"cached_tokens":1000}}})";

TEST(Complaints, Litellm13810AndLangsmithSdk1763FlexIsHalfThePrice) {
    const ModelPrices prices({sheet(gpt5_mini()), sheet(gpt5_mini_flex(), Tier::kFlex)});
    EXPECT_EQ(cost(read(Flavour::kOpenAiChat, {kFlexAnswer}), prices), "0.0006375")
        << "twice as much at the standard price";
}

TEST(Complaints, LangsmithSdk2615ReasoningUnderFlexIsFlexToo) {
    const auto reading = read(Flavour::kOpenAiResponses, {R"({"response":{"service_tier":"flex",
        "usage":{"input_tokens":1000,"output_tokens":1000,"total_tokens":2000,
        "output_tokens_details":{"reasoning_tokens":400}}}})"});
    const ModelPrices prices({sheet(gpt5_mini()), sheet(gpt5_mini_flex(), Tier::kFlex)});
    EXPECT_EQ(reading.usage[Bucket::kReasoning], 400);
    EXPECT_EQ(cost(reading, prices), "0.001125") << "at the full rate 0.001525";
}

TEST(Complaints, Litellm37046PriorityIsNeverPricedAsStandard) {
    const auto reading = read(Flavour::kOpenAiChat, {R"({"service_tier":"priority",
        "usage":{"prompt_tokens":1000,"completion_tokens":0,"total_tokens":1000}})"});
    EXPECT_EQ(cost(reading, ModelPrices({sheet(gpt5_mini())})), "unknown");
    const ModelPrices prices(
        {sheet(gpt5_mini()), sheet(sonnet("0.45", "0.045", "0", "3.6"), Tier::kPriority)});
    EXPECT_EQ(cost(reading, prices), "0.00045") << "not 0.00025";
}

TEST(Complaints, Litellm39861BatchAboveTheContextBand) {
    const auto reading = read(Flavour::kOpenAiChat, {R"({"service_tier":"batch",
        "usage":{"prompt_tokens":300000,"completion_tokens":1000,"total_tokens":301000}})"});
    const ModelPrices prices({sheet(sonnet("2.5", "0.25", "0", "15")),
                              sheet(sonnet("1.25", "0.125", "0", "7.5"), Tier::kBatch),
                              sheet(sonnet("5", "0.5", "0", "22.5"), Tier::kStandard, 272'000),
                              sheet(sonnet("2.5", "0.25", "0", "11.25"), Tier::kBatch, 272'000)});
    EXPECT_EQ(cost(reading, prices), "0.76125") << "0.3825 without the band, 1.5225 without batch";
}

TEST(Complaints, Langfuse13780And15942And8482TheBandHoldsForTheWholeRequest) {
    const auto reading = read(Flavour::kAnthropic, {R"({"usage":{"input_tokens":250000,
        "output_tokens":1000}})"});
    const ModelPrices prices(
        {sheet(sonnet()), sheet(sonnet("6", "0.6", "7.5", "22.5"), Tier::kStandard, 200'000)});
    EXPECT_EQ(cost(reading, prices), "1.5225") << "0.765 at the lower band";
}

TEST(Complaints, Pi7912CachedTokensCountForTheBand) {
    const auto reading = read(Flavour::kXai, {R"({"usage":{"prompt_tokens":210000,
        "completion_tokens":1000,"total_tokens":211000,"prompt_tokens_details":{"cached_tokens":200000}}})"});
    const ModelPrices prices({sheet(sonnet("2", "0.3", "0", "6")),
                              sheet(sonnet("4", "0.6", "0", "12"), Tier::kStandard, 199'999)});
    EXPECT_EQ(cost(reading, prices), "0.172") << "0.086 without the band";
}

// ------------------------------------------------------------------ reasoning
TEST(Complaints, Langfuse16425And16508ReasoningHasAPrice) {
    const auto reading = read(Flavour::kGemini, {R"({"usageMetadata":{"thoughtsTokenCount":495,
        "promptTokenCount":324,"candidatesTokenCount":1364,"totalTokenCount":2183}})"});
    EXPECT_FALSE(reading.sum_mismatch);
    EXPECT_EQ(cost(reading, sonnet("2", "0.2", "0", "12")), "0.022956") << "it said 0.011076";
}

TEST(Complaints, GrokCountsReasoningBesideTheCompletion) {
    const auto reading =
        read(Flavour::kXai, {R"({"usage":{"prompt_tokens":36,"completion_tokens":10,
        "total_tokens":736,"completion_tokens_details":{"reasoning_tokens":690}}})"});
    EXPECT_FALSE(reading.sum_mismatch);
    EXPECT_EQ(cost(reading, sonnet("1.25", "0.3", "0", "2.5")), "0.001795") << "0.00007 without it";
}

// ------------------------------------------------------------------ zero, unknown, stale, wrong
TEST(Complaints, Tokenjam620AndLangfuse4072WhatHasNoPriceIsUnknownNeverZero) {
    const auto reading = read(Flavour::kAnthropic, {R"({"usage":{"input_tokens":1000000,
        "cache_read_input_tokens":500000000,"output_tokens":1000000}})"});
    EXPECT_EQ(cost(reading, Rates()), "unknown");
    EXPECT_EQ(cost(reading, ModelPrices()), "unknown");
    const Rates without_output = rates({{Bucket::kInput, "3"}});
    EXPECT_EQ(cost(reading, without_output), "unknown") << "partly unknown is unknown, too";
}

TEST(Complaints, Litellm39501WhatOpenRouterSaysItChargesIsTheCost) {
    const auto reading = read(Flavour::kOpenRouter, {R"({"usage":{"prompt_tokens":716,
        "completion_tokens":29,"total_tokens":745,"cost":0.002583,"is_byok":false,
        "cost_details":{"upstream_inference_cost":0.002583}}})"});
    EXPECT_EQ(to_usd_string(*reading.reported_cost), "0.002583");
    const auto own_key = read(Flavour::kOpenRouter, {R"({"usage":{"prompt_tokens":1,
        "completion_tokens":1,"total_tokens":2,"cost":7.5e-05,"is_byok":true,
        "cost_details":{"upstream_inference_cost":0.0015}}})"});
    EXPECT_EQ(to_usd_string(*own_key.reported_cost), "0.001575")
        << "the fee and the upstream's bill";
}

TEST(Complaints, OpenCode17154CachedTokensWithoutADiscountCostAsInput) {
    const auto reading = read(Flavour::kOpenAiChat, {R"({"usage":{"prompt_tokens":564382,
        "completion_tokens":0,"total_tokens":564382,"prompt_tokens_details":{"cached_tokens":564382}}})"});
    const Rates together = rates({{Bucket::kInput, "0.5"}, {Bucket::kOutput, "2.8"}});
    EXPECT_EQ(cost(reading, together), "0.282191") << "it showed 0.07 where 0.32 were billed";
}

TEST(Complaints, HelmApi6And13SmallCostsKeepTheirDigits) {
    const auto reading = read(Flavour::kOpenAiChat, {R"({"usage":{"prompt_tokens":1,
        "completion_tokens":0,"total_tokens":1}})"});
    EXPECT_EQ(cost(reading, rates({{Bucket::kInput, "0.02"}})), "0.00000002");
    const auto missing = read(Flavour::kOpenAiChat, {R"({"choices":[]})"});
    EXPECT_EQ(missing.state, prices::UsageState::kMissing) << "a stream that told nothing";
}

// ------------------------------------------------------------------ streaming and attributes
TEST(Complaints, Openllmetry627And3142And3648StreamsCountAsTheProviderTold) {
    const auto reading = read(
        Flavour::kOpenAiChat,
        {R"({"choices":[{"delta":{"content":"a"}}],"usage":null})",
         R"({"choices":[],"usage":{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,
             "prompt_tokens_details":{"cached_tokens":1920,"audio_tokens":0}}})"});
    EXPECT_EQ(reading.state, prices::UsageState::kFinal);
    EXPECT_EQ(reading.usage[Bucket::kCachedInput], 1920);
    EXPECT_EQ(cost(reading, sonnet("2.5", "1.25", "0", "10")), "0.005615");
}

// ------------------------------------------------------------------ bad input
TEST(Usage, WhatCannotBeIsCutAndFlagged) {
    const auto flagged = [](std::string_view usage) {
        const std::string document = R"({"usage":)" + std::string(usage) + "}";
        return read(Flavour::kAnthropic, {document});
    };
    EXPECT_TRUE(flagged(R"({"input_tokens":-5,"output_tokens":1})").clamped);
    EXPECT_EQ(flagged(R"({"input_tokens":-5,"output_tokens":1})").usage[Bucket::kInput], 0);
    const auto huge = flagged(R"({"input_tokens":9223372036854775808,"output_tokens":1})");
    EXPECT_TRUE(huge.clamped);
    EXPECT_EQ(huge.usage[Bucket::kInput], std::int64_t{1} << 53);
    const auto text = flagged(R"({"input_tokens":"12","output_tokens":1})");
    EXPECT_TRUE(text.clamped);
    EXPECT_EQ(text.state, prices::UsageState::kMissing);
    const auto twice = flagged(R"({"input_tokens":10,"output_tokens":1,"input_tokens":7})");
    EXPECT_TRUE(twice.clamped);
    EXPECT_EQ(twice.usage[Bucket::kInput], 7) << "the last, as everywhere in JSON";
    const auto list =
        flagged(R"({"input_tokens":1,"output_tokens":1,"iterations":[1,null,{"type":3}]})");
    EXPECT_FALSE(list.clamped);
    EXPECT_FALSE(flagged(R"({"input_tokens":1,"output_tokens":1})").clamped);
}

TEST(Usage, ACostThatIsNoneIsNotBelieved) {
    for (const char* bad : {"-1", "\"1\"", "1e400", "99999999999999"}) {
        const std::string document =
            R"({"usage":{"prompt_tokens":1,"completion_tokens":1,"cost":)" + std::string(bad) +
            "}}";
        const auto reading = read(Flavour::kOpenRouter, {document});
        EXPECT_FALSE(reading.reported_cost) << bad;
        EXPECT_TRUE(reading.clamped) << bad;
    }
    EXPECT_FALSE(read(Flavour::kOpenAiChat, {R"({"usage":{"prompt_tokens":1,"completion_tokens":1,
        "cost":5,"cost_in_usd_ticks":7}})"})
                     .reported_cost)
        << "not from everybody";
}

TEST(Usage, GeminiModalitiesIncludeWhatIsCachedOfThem) {
    const auto reading = read(Flavour::kGemini, {R"({"usageMetadata":{"promptTokenCount":1000,
        "cachedContentTokenCount":600,"candidatesTokenCount":50,"totalTokenCount":1050,
        "promptTokensDetails":[{"modality":"TEXT","tokenCount":300},{"tokenCount":400,"modality":"AUDIO"},
          {"modality":"VIDEO","tokenCount":300}],
        "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":250},{"modality":"VIDEO","tokenCount":300}],
        "candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":20}]}})"});
    EXPECT_EQ(reading.usage, (prices::Usage{{Bucket::kInput, 250},
                                            {Bucket::kCachedInput, 350},
                                            {Bucket::kCachedAudio, 250},
                                            {Bucket::kAudioInput, 150},
                                            {Bucket::kOutput, 30},
                                            {Bucket::kAudioOutput, 20}}));
    EXPECT_FALSE(reading.sum_mismatch);
    EXPECT_FALSE(reading.clamped);
}

TEST(Usage, AnthropicCompactionIsBilledBesideTheTopLevel) {
    const auto reading =
        read(Flavour::kAnthropic, {R"({"usage":{"input_tokens":229,"output_tokens":5,
        "iterations":[{"type":"compaction","input_tokens":100,"output_tokens":131,
          "cache_creation_input_tokens":55096,"cache_creation":{"ephemeral_5m_input_tokens":55096}},
          {"input_tokens":229,"output_tokens":5,"type":"message"}]}})"});
    EXPECT_EQ(reading.usage[Bucket::kInput], 329);
    EXPECT_EQ(reading.usage[Bucket::kOutput], 136);
    EXPECT_EQ(reading.usage[Bucket::kCacheWrite5m], 55'096);
}

TEST(Usage, OtherModelsThatRanFlagTheRow) {
    const auto reading = read(Flavour::kAnthropic, {R"({"usage":{"input_tokens":2,"output_tokens":3,
        "iterations":[{"type":"advisor_message","model":"m","input_tokens":9,"output_tokens":1}]}})"});
    EXPECT_TRUE(reading.sum_mismatch);
}

TEST(Usage, OpenAiCompatibleEndpointOfGoogleHidesThoughtsInItsTotal) {
    const auto reading = read(Flavour::kGeminiChat, {R"({"usage":{"prompt_tokens":9,
        "completion_tokens":664,"total_tokens":1994}})"});
    EXPECT_EQ(reading.usage[Bucket::kReasoning], 1321);
    EXPECT_FALSE(reading.sum_mismatch);
}

TEST(Usage, CohereBillsLessThanItSaw) {
    const auto reading = read(Flavour::kCohere, {R"({"usage":{"billed_units":{"input_tokens":13,
        "output_tokens":61},"tokens":{"input_tokens":542,"output_tokens":63}}})"});
    EXPECT_EQ(reading.usage.input_total(), 13);
    EXPECT_EQ(reading.usage.output_total(), 61);
}

TEST(Usage, LlamaServerTellsItsCacheInTimings) {
    const auto reading = read(Flavour::kLlamaServer, {R"({"usage":{"prompt_tokens":100,
        "completion_tokens":5,"total_tokens":105},"timings":{"cache_n":90,"prompt_n":10}})"});
    EXPECT_EQ(reading.usage[Bucket::kCachedInput], 90);
    const auto native =
        read(Flavour::kLlamaServer, {R"({"tokens_evaluated":12,"tokens_predicted":3})"});
    EXPECT_EQ(native.usage.input_total(), 12);
}

TEST(Usage, HostsDecideTheFlavour) {
    EXPECT_EQ(chat_flavour_of_host("api.x.ai"), Flavour::kXai);
    EXPECT_EQ(chat_flavour_of_host("eu.api.x.ai"), Flavour::kXai);
    EXPECT_EQ(chat_flavour_of_host("notapi.x.ai"), Flavour::kOpenAiChat);
    EXPECT_EQ(chat_flavour_of_host("127.0.0.1"), Flavour::kOpenAiChat);
}

}  // namespace
}  // namespace leeway::wire::usage
