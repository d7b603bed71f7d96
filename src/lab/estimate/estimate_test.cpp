#include "lab/estimate/evaluate.hpp"
#include "lab/estimate/json_tree.hpp"
#include "lab/estimate/recorded.hpp"
#include "lab/estimate/scenario.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <numeric>

namespace leeway::lab {
namespace {

using prices::Bucket;

/// 3 USD, 0.3 read, 3.75 written and 15 out per million; above 10,000 tokens twice that.
prices::ModelPrices dear() {
    prices::RateSheet low;
    low.rates.set(Bucket::kInput, FemtoUsdPerUnit(3'000'000'000));
    low.rates.set(Bucket::kCachedInput, FemtoUsdPerUnit(300'000'000));
    low.rates.set(Bucket::kCacheWrite, FemtoUsdPerUnit(3'750'000'000));
    low.rates.set(Bucket::kOutput, FemtoUsdPerUnit(15'000'000'000));
    prices::RateSheet high = low;
    high.above = 10'000;
    high.rates.set(Bucket::kInput, FemtoUsdPerUnit(6'000'000'000));
    high.rates.set(Bucket::kOutput, FemtoUsdPerUnit(30'000'000'000));
    return prices::ModelPrices({low, high});
}

/// One flow with one call whose input is `parts`; all that a test changes is public.
struct Case {
    PricedModel model{"m", "p/m", dear()};
    Call call;
    Flow flow;
    CountedPrompt prompt;
    Prepared prepared;

    explicit Case(PartTokens parts, Lengths lengths = Lengths::constant(100)) {
        flow.name = "f";
        prompt.tokens = parts;
        const std::int64_t sum =
            std::accumulate(parts.begin(), parts.begin() + kInputParts, std::int64_t{0});
        prompt.count = tokens::TokenCount::exact(sum);
        prepared.push_back({&flow, 0, {{&call, &model, {}, {std::move(lengths), 0, {}, "told"}}}});
    }
    [[nodiscard]] Outcome run(const Switches& switches = {},
                              const Evaluation& how = {.draws = 50}) {
        prepared[0].calls[0].prompts = {prompt};
        return evaluate(prepared, switches, how);
    }
};

PartTokens parts(std::int64_t system, std::int64_t user) {
    PartTokens out{};
    out[index_of(Part::kSystem)] = system;
    out[index_of(Part::kUser)] = user;
    return out;
}

std::int64_t pico(PicoUsdSum sum) { return static_cast<std::int64_t>(sum.value()); }

void expect_always(const Spread& spread, std::int64_t value) {
    for (const PicoUsdSum& amount : {spread.p10, spread.p50, spread.p90, spread.p99, spread.mean}) {
        EXPECT_EQ(pico(amount), value);
    }
}

TEST(Estimate, IsExactToThePicodollarWhereNothingIsLeftToChance) {
    Case c(parts(700, 301));
    c.prepared[0].requests_per_month = 12'345;
    const Outcome out = c.run();
    ASSERT_TRUE(out.known()) << out.unknown_because;
    // 1001 × 3e-6 + 100 × 15e-6 USD
    constexpr std::int64_t kRequest = 1001LL * 3'000'000 + 100 * 15'000'000;
    expect_always(out.per_request, kRequest);
    expect_always(out.per_thousand, kRequest * 1000);
    expect_always(*out.per_month, kRequest * 12'345);
    EXPECT_EQ(pico(out.by_part[index_of(Part::kSystem)]), 700 * 3'000'000);
    EXPECT_EQ(pico(out.by_part[index_of(Part::kUser)]), 301 * 3'000'000);
    EXPECT_EQ(pico(out.by_part[index_of(Part::kOutput)]), 100 * 15'000'000);
    EXPECT_EQ(pico(out.by_bucket[prices::index_of(Bucket::kInput)]), 1001LL * 3'000'000);
    EXPECT_EQ(out.tokens[index_of(Part::kSystem)], 700);
}

TEST(Estimate, ContextBandsAreACliffOnTheWholeRequest) {
    expect_always(Case(parts(10'000, 0)).run().per_request, 10'000LL * 3'000'000 + 1'500'000'000);
    expect_always(Case(parts(10'000, 1)).run().per_request, 10'001LL * 6'000'000 + 3'000'000'000);
}

TEST(Estimate, CallsOfARequestGrowAndAreRead) {
    Case c(parts(2000, 0));
    c.prompt.constant = 2000;
    c.call.times_least = c.call.times_most = 3;
    expect_always(c.run().per_request, 3 * (2000LL * 3'000'000 + 1'500'000'000));
    Switches cached;
    cached.cache = true;
    // 1920 of 2000 tokens can be kept: written once, read twice.
    expect_always(c.run(cached).per_request, 1920LL * 3'750'000 + 2 * 1920LL * 300'000 +
                                                 3 * (80LL * 3'000'000 + 1'500'000'000));
    c.call.history_per_call = 500;
    expect_always(c.run().per_request, (2000LL + 2500 + 3000) * 3'000'000 + 3 * 1'500'000'000LL);
    // Calls of 2000, 2500, 3000: whole steps of 128 of each are kept (1920, 2432, 2944).
    expect_always(c.run(cached).per_request, 2944LL * 3'750'000 + (1920LL + 2432) * 300'000 +
                                                 (80LL + 68 + 56) * 3'000'000 +
                                                 3 * 1'500'000'000LL);
    c.prompt.constant = 1000;  // too short to be kept
    c.call.history_per_call = 0;
    expect_always(c.run(cached).per_request, 3 * (2000LL * 3'000'000 + 1'500'000'000));
}

TEST(Estimate, ACacheIsWarmAsOftenAsRequestsArrive) {
    Case c(parts(1024, 0));
    c.prompt.constant = 1024;
    c.prepared[0].requests_per_month = 8640;  // one in 5 minutes: 1 − 1/e of them find it warm
    Switches cached;
    cached.cache = true;
    const Outcome out = c.run(cached, {.draws = 500});
    const double read =
        static_cast<double>(pico(out.by_bucket[prices::index_of(Bucket::kCachedInput)]));
    EXPECT_NEAR(read / (1024 * 300'000), 1 - std::exp(-1), 0.01);
}

TEST(Estimate, SwitchesChangeWhatTheySay) {
    Case c(parts(0, 1000));
    Switches s;
    s.output_percent = 50;
    EXPECT_EQ(pico(c.run(s).per_request.mean), 1000LL * 3'000'000 + 50 * 15'000'000);
    s = {};
    s.max_tokens = 7;
    EXPECT_EQ(pico(c.run(s).per_request.mean), 1000LL * 3'000'000 + 7 * 15'000'000);
    s = {};
    s.retries_permille = 1000;
    EXPECT_EQ(pico(c.run(s).per_request.mean), 2 * (1000LL * 3'000'000 + 100 * 15'000'000));
    s = {};
    s.halved = Part::kUser;
    EXPECT_EQ(pico(c.run(s).per_request.mean), 500LL * 3'000'000 + 100 * 15'000'000);
    c.prepared[0].calls[0].answers.reasoning_permille = 250;
    const Outcome out = c.run();
    EXPECT_EQ(pico(out.by_part[index_of(Part::kReasoning)]), 25 * 15'000'000);
    EXPECT_EQ(pico(out.by_bucket[prices::index_of(Bucket::kReasoning)]), 25 * 15'000'000);
}

TEST(Estimate, WhatHasNoPriceIsUnknown) {
    Case c(parts(0, 10));
    Switches batch;
    batch.tier = prices::Tier::kBatch;
    EXPECT_EQ(c.run(batch).unknown_because, "'p/m' has no batch price today");
    c.model.priced_as.clear();
    EXPECT_EQ(c.run().unknown_because, "no price is known for 'm'");
    prices::RateSheet half;
    half.rates.set(Bucket::kInput, FemtoUsdPerUnit(1));
    c.model = {"m", "p/m", prices::ModelPrices({half})};
    EXPECT_EQ(c.run().unknown_because, "'p/m' has no price for input and output");
    EXPECT_EQ(c.run().per_request.mean, PicoUsdSum());
    EXPECT_EQ(c.run().tokens[index_of(Part::kUser)], 10);  // tokens are known all the same
}

TEST(Estimate, WhatDoesNotFitIsUnknown) {
    Case c(parts(0, 1'000'000'000'000));  // 6 million USD
    EXPECT_TRUE(c.run().known());
    c.call.times_least = c.call.times_most = 2;
    EXPECT_EQ(c.run().unknown_because, "one request costs more than 9 million USD");
}

TEST(Estimate, SpreadComesFromLengthsAndShrinksInSums) {
    std::vector<Observed> rows;
    for (std::int64_t i = 0; i <= 1000; ++i) rows.push_back({0, i});  // mean 500, all as likely
    Case c(parts(0, 0), Lengths::fitted(rows));
    c.prepared[0].requests_per_month = 1'000'000;
    const Outcome out = c.run({}, {.draws = 400});
    const auto near = [](PicoUsdSum amount, double tokens, double by) {
        EXPECT_NEAR(static_cast<double>(pico(amount)) / 15'000'000, tokens, by);
    };
    near(out.per_request.p10, 100, 3);
    near(out.per_request.p50, 500, 3);
    near(out.per_request.p99, 990, 8);
    near(out.per_request.mean, 500, 5);
    // The mean of 1001 recorded answers has an error of 1.8 %: 9 tokens, and P90 lies 1.28 times that away.
    near(PicoUsdSum(out.per_month->p90.value() / 1'000'000), 500 + 1.28 * 9.13, 2);
    EXPECT_LT(out.per_month->p10, out.per_month->p50);
    Int128 sum = 0;
    for (const PicoUsdSum& part : out.by_part) sum += part.value();
    EXPECT_EQ(sum, out.per_request.mean.value());
}

TEST(Estimate, FlowsWeighAsOftenAsTheyCome) {
    Case a(parts(0, 1000));
    Case b(parts(0, 3000));
    a.prepared[0].calls[0].prompts = {a.prompt};
    b.prepared[0].calls[0].prompts = {b.prompt};
    Prepared both{a.prepared[0], b.prepared[0]};
    both[0].requests_per_month = 900;
    both[1].requests_per_month = 100;
    const Outcome out = evaluate(both, {}, {.budget = PicoUsd(5'100'000'000'000), .draws = 10});
    constexpr std::int64_t kSmall = 4'500'000'000;
    constexpr std::int64_t kLarge = 10'500'000'000;
    EXPECT_EQ(pico(out.per_request.p50), kSmall);
    EXPECT_EQ(pico(out.per_request.p90), kSmall);  // 90 % of all requests are the small ones
    EXPECT_EQ(pico(out.per_request.p99), kLarge);
    expect_always(*out.per_month, 900 * kSmall + 100 * kLarge);
    EXPECT_EQ(out.within_budget_permille, 1000);  // 4.05 + 1.05 USD, to the last picodollar
    EXPECT_EQ(out.most_requests, 1000);
    const Outcome less = evaluate(both, {}, {.budget = PicoUsd(5'099'999'999'999), .draws = 10});
    EXPECT_EQ(less.within_budget_permille, 0);
    EXPECT_EQ(less.most_requests, 999);
}

TEST(Estimate, DivideLosesNothing) {
    const std::int64_t weights[] = {1, 0, 1, 1};
    std::int64_t out[4];
    divide(100, weights, out, 4);
    EXPECT_EQ(std::accumulate(out, out + 4, std::int64_t{0}), 100);
    EXPECT_EQ(out[1], 0);
    const std::int64_t none[] = {0, 0};
    divide(5, none, out, 2);
    EXPECT_EQ(out[1], 5);
}

TEST(Lengths, BoundsHaveTheRankOfConformalPrediction) {
    std::vector<Observed> rows;
    for (std::int64_t i = 1; i <= 99; ++i) rows.push_back({5, i});
    const Lengths lengths = Lengths::fitted(rows);
    EXPECT_EQ(lengths.bound(5, 0.1), 10);  // ⌊0.1 · 100⌋
    EXPECT_EQ(lengths.bound(5, 0.9), 90);
    EXPECT_EQ(lengths.at(5, 0.5), 50);
    EXPECT_NEAR(normal_quantile(0.9), 1.2815515655, 1e-8);
    EXPECT_NEAR(normal_quantile(0.001), -3.0902323062, 1e-7);
    const Lengths told = Lengths::between(100, 400);
    EXPECT_EQ(told.at(0, 0.5), 100);
    EXPECT_EQ(told.at(0, 0.9), 400);
}

TEST(Lengths, LongInputsHaveLengthsOfTheirOwn) {
    std::vector<Observed> rows;
    for (std::int64_t i = 0; i < 150; ++i) rows.push_back({10, 20});
    for (std::int64_t i = 0; i < 150; ++i) rows.push_back({5000, 800});
    for (std::int64_t i = 0; i < 20; ++i) rows.push_back({100'000, 3});  // too few
    const Lengths lengths = Lengths::fitted(rows);
    EXPECT_EQ(lengths.bound(12, 0.9), 20);
    EXPECT_EQ(lengths.bound(6000, 0.1), 800);
    EXPECT_EQ(lengths.bound(100'000, 0.5), 20);  // as all of them
}

TEST(Lengths, PriorsAreWhole) {
    for (const Prior& prior : priors()) {
        EXPECT_GT(prior.median, 0) << prior.kind;
        EXPECT_EQ(prior.shape_permille[10], 1000) << prior.kind;
        for (int i = 1; i < 21; ++i) {
            EXPECT_GE(prior.shape_permille[i], prior.shape_permille[i - 1]) << prior.kind;
        }
        EXPECT_GT(prior.held_out_permille, 700) << prior.kind;
    }
    EXPECT_EQ(find_prior("tea"), nullptr);
}

std::vector<std::string> texts_of(std::string_view body, std::optional<Dialect> dialect = {}) {
    const auto scenario = read_request(body, dialect);
    if (!scenario) return {scenario.error().message};
    const Prompt& prompt = *scenario->flows[0].calls[0].prompts[0];
    return {prompt.texts.begin(), prompt.texts.end()};
}

TEST(EstimateRequest, ReadsTheSameOutOfEveryDialect) {
    const auto chat = texts_of(
        R"({"messages":[{"role":"system","content":"S"},{"role":"user","content":"a"},{"role":"assistant",
        "content":null,"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]},
        {"role":"tool","content":"R"},{"role":"user","content":[{"type":"text","text":"Q"}]}]})");
    ASSERT_EQ(chat.size(), kInputParts);
    EXPECT_EQ(chat[index_of(Part::kSystem)], "S");
    EXPECT_EQ(chat[index_of(Part::kHistory)], "af{}");
    EXPECT_EQ(chat[index_of(Part::kRetrieved)], "R");
    EXPECT_EQ(chat[index_of(Part::kUser)], "Q");
    EXPECT_EQ(
        chat,
        texts_of(
            R"({"instructions":"S","input":[{"role":"user","content":"a"},{"type":"function_call","name":"f",
        "arguments":"{}"},{"type":"function_call_output","output":"R"},
        {"role":"user","content":[{"type":"input_text","text":"Q"}]}]})"));
    EXPECT_EQ(
        chat,
        texts_of(
            R"({"system":[{"type":"text","text":"S"}],"messages":[{"role":"user","content":"a"},
        {"role":"assistant","content":[{"type":"tool_use","name":"f","input":{}}]},
        {"role":"user","content":[{"type":"tool_result","content":"R"}]},{"role":"user","content":"Q"}]})"));
    auto gemini = texts_of(
        R"({"systemInstruction":{"parts":[{"text":"S"}]},"contents":[{"role":"user","parts":[{"text":"a"}]},
        {"role":"model","parts":[{"functionCall":{"name":"f","args":{}}}]},
        {"role":"user","parts":[{"functionResponse":{"response":{"a":1}}}]},{"role":"user","parts":[{"text":"Q"}]}]})");
    EXPECT_EQ(gemini[index_of(Part::kRetrieved)], R"({"a":1})");
    gemini[index_of(Part::kRetrieved)] = "R";
    EXPECT_EQ(chat, gemini);
}

TEST(EstimateRequest, TakesLimitsAndKinds) {
    const auto request = read_request(
        R"({"model":"claude-x","max_tokens":9,"messages":[{"role":"user","content":"q"}],
        "tools":[{"name":"t","input_schema":{"type":"object"}},{"type":"web_search_20250305","name":"w"}]})",
        std::nullopt);
    ASSERT_TRUE(request);
    const Call& call = request->flows[0].calls[0];
    EXPECT_EQ(request->model, "claude-x");
    EXPECT_EQ(call.max_tokens, 9);
    EXPECT_EQ(call.prior, "agent");
    EXPECT_NE(call.prompts[0]->chat.find(R"("parameters":{"type":"object"})"), std::string::npos);
    ASSERT_EQ(request->unknown.size(), 1U);  // the tool that the provider runs
    for (const char* bad : {"", "[]", "{", "{}", R"({"messages":"x"})", R"({"messages":[]})",
                            R"({"messages":[7]})", R"({"contents":[]})"}) {
        EXPECT_FALSE(read_request(bad, std::nullopt)) << bad;
    }
    EXPECT_FALSE(read_request(R"({"input":"x"})", Dialect::kAnthropic));
}

Result<Recorded> recorded(std::string lines, std::string_view route = {}) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> in(
        fmemopen(lines.data(), lines.size(), "rb"), &std::fclose);
    return read_recorded(in.get(), route);
}

TEST(EstimateRecorded, ReadsExportsAndPlainLines) {
    const auto read = recorded(
        R"({"model":"m","route":"r","ts":"2026-11-24T00:00:10.5Z","attempt":1,"end":"ok","usage":{"prompt_tokens":9,"completion_tokens":5,"buckets":{"cached_input":4,"reasoning_output":2}}}
{"model":"m","ts":"2026-11-24T00:00:09Z","attempt":1,"end":"cut","usage":{"prompt_tokens":9,"completion_tokens":1}}
{"model":"m","attempt":0,"end":"ok","usage":{"prompt_tokens":9,"completion_tokens":1}}
{"model":"m","input_tokens":1,"output_tokens":2})");
    ASSERT_TRUE(read) << read.error().message;
    ASSERT_EQ(read->calls.size(), 2U);
    EXPECT_EQ(read->passed_over, 2U);
    EXPECT_EQ(read->calls[1].input, 9);
    EXPECT_EQ(read->calls[1].cached, 4);
    EXPECT_EQ(read->calls[1].reasoning, 2);
    EXPECT_EQ(read->calls[1].ts_us, 1'795'478'410'000'000);
    EXPECT_FALSE(recorded(R"({"model":"m","input_tokens":1,"output_tokens":-2})"));
    EXPECT_FALSE(
        recorded(R"({"model":"m","input_tokens":1,"output_tokens":2,"reasoning_tokens":3})"));
    EXPECT_FALSE(recorded("[1]"));
}

TEST(EstimateRecorded, AMonthIsAsManyAsTheTimeSays) {
    Recorded calls;
    for (std::int64_t i = 0; i < 30; ++i)
        calls.calls.push_back({"m", "r", i * 1000 + 1, 0, 50, 0, 10, 0});
    const auto scenario = scenario_of(calls, 0, std::int64_t{86'400} * 1'000'000);
    ASSERT_TRUE(scenario);
    ASSERT_EQ(scenario->flows.size(), 1U);
    EXPECT_EQ(scenario->flows[0].name, "r m");
    EXPECT_EQ(scenario->flows[0].requests_per_month, 900);
    EXPECT_FALSE(scenario_of({}, {}, {}));
    EXPECT_FALSE(answers_of(calls, "m"));  // too few to believe
}

TEST(EstimateRecorded, BacktestsWhatItWasNotFittedTo) {
    Recorded calls;
    for (std::int64_t i = 0; i < 198; ++i) {
        // 1 … 99 to fit, so P10 is 10 and P90 is 90; then 9 below, 80 between and 10 above.
        const std::int64_t later = i - 99;
        const std::int64_t length = later < 0 ? i + 1 : later < 9 ? 5 : later < 89 ? 50 : 95;
        calls.calls.push_back({"m", "", i, 0, 100, 0, length, 0});
    }
    const auto tests = backtest(
        calls, [](const std::string& name) { return PricedModel{name, "p/m", dear()}; }, 0);
    ASSERT_EQ(tests.size(), 1U);
    EXPECT_EQ(tests[0].fitted, 99U);
    EXPECT_EQ(tests[0].tested, 99U);
    EXPECT_EQ(tests[0].beneath, 9U);
    EXPECT_EQ(tests[0].above, 10U);
    EXPECT_TRUE(tests[0].priced);
    EXPECT_EQ(tests[0].median_error_permille, 0);
    // 99 × (100 × 3 + 50 × 15) expected against 99 × 300 + 4995 × 15.
    EXPECT_NEAR(static_cast<double>(tests[0].sum_error_permille), 1000 * (103'950.0 / 104'625 - 1),
                1.5);
    calls.calls.resize(99);
    EXPECT_TRUE(backtest(
                    calls, [](const std::string& name) { return PricedModel{name, "", {}}; }, 0)
                    .empty());
}

}  // namespace
}  // namespace leeway::lab
