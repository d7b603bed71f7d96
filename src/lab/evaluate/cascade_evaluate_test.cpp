#include "lab/evaluate/cascade_evaluate.hpp"

#include "base/chances.hpp"
#include "json/testing/test_data.hpp"
#include "lab/evaluate/cascade_replay.hpp"
#include "lab/evaluate/cascade_rivals.hpp"
#include "lab/evaluate/certificate_evaluate.hpp"
#include "lab/evaluate/pacing_evaluate.hpp"
#include "lab/outcomes/outcome_reader.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>

namespace leeway::lab {
namespace {

using cascade::CostQuality;

/// Three models; those that are dearer are right more often, and all know when they are.
CascadeData drawn(std::size_t rows, std::uint64_t seed, double dearer = 1, double harder = 0) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal;
    CascadeData out;
    out.task = "drawn";
    out.models = {"small", "medium", "large"};
    std::vector<double> hard(rows);
    for (double& h : hard) h = normal(random) + harder;
    double cost = 2e-5 * dearer;
    for (const double skill : {0.3, 0.8, 1.6}) {
        cascade::LabelledModel model;
        for (std::size_t row = 0; row < rows; ++row) {
            const double able = skill - hard[row] + normal(random);
            model.quality.push_back(able > 0 ? 1 : 0);
            model.score.push_back({std::max(0.0, able + 0.7 * normal(random)), -normal(random)});
            model.cost.push_back(cost * std::exp(0.3 * normal(random)));
        }
        out.outcomes.models.push_back(std::move(model));
        cost *= 5;
    }
    return out;
}

OutcomeTable table() {
    OutcomeTable out;
    for (const char* model : {"weak", "strong", "mute"}) {
        out.models.emplace_back();
        out.models.back().model = model;
        out.models.back().has_cost = true;
    }
    out.models[0].has_logprobs = out.models[1].has_logprobs = true;
    for (int i = 0; i < 6; ++i) {
        const std::size_t query = out.add_query({"", i < 4 ? "one" : "two", "", "text"});
        for (ModelOutcomes& model : out.models) {
            model.state[query] = CellState::kKnown;
            model.quality[query] = 1;
            model.cost[query] = PicoUsd(1'000'000);
            model.tokens_in[query] = 10 + i;
            model.mean_logprob[query] =
                model.has_logprobs ? -0.1F : std::numeric_limits<float>::quiet_NaN();
        }
    }
    return out;
}

TEST(CascadeData, TakesWhatAllModelsAnswered) {
    OutcomeTable outcomes = table();
    outcomes.models[1].state[2] = CellState::kMissing;
    outcomes.models[0].mean_logprob[1] = std::numeric_limits<float>::quiet_NaN();
    outcomes.models[2].state[4] = outcomes.models[2].state[5] = CellState::kAllZero;
    const auto data = cascade_data(outcomes, {});
    ASSERT_TRUE(data) << data.error().text();
    ASSERT_EQ(data->size(), 2U);
    const CascadeData& one = data->front();
    EXPECT_EQ(one.incomplete, 1U);
    EXPECT_EQ(one.outcomes.rows(), 3U);
    EXPECT_TRUE(one.outcomes.models[2].score.empty());  // no log-probabilities
    EXPECT_EQ(one.outcomes.models[0].score[1].confidence, 0);
    EXPECT_EQ(one.outcomes.models[0].score[1].tie, -11);
    EXPECT_NEAR(one.outcomes.models[0].score[0].confidence, -std::log(-std::expm1(-0.1)), 1e-6);
    EXPECT_DOUBLE_EQ(one.outcomes.models[0].cost[0], 1e-6);
    EXPECT_EQ((*data)[1].models, (std::vector<std::string>{"weak", "strong"}));
    EXPECT_EQ((*data)[1].model("mute"), std::nullopt);
}

TEST(CascadeData, SaysWhatIsWrong) {
    const std::vector<std::string> unknown{"three"};
    const auto no_task = cascade_data(table(), unknown);
    ASSERT_FALSE(no_task);
    EXPECT_NE(no_task.error().text().find("one, two"), std::string::npos);
    OutcomeTable free = table();
    free.models[1].has_cost = false;
    const auto no_cost = cascade_data(free, {});
    ASSERT_FALSE(no_cost);
    EXPECT_NE(no_cost.error().text().find("strong"), std::string::npos);
    OutcomeTable apart = table();
    for (std::size_t query = 0; query < 4; ++query)
        apart.models[query % 2].state[query] = CellState::kMissing;
    EXPECT_FALSE(cascade_data(apart, {}));
    const auto tasks = cascade_data(table(), {});
    ASSERT_TRUE(tasks);
    EXPECT_FALSE(pair_rows(*tasks, "mute", "strong"));  // no confidence
    EXPECT_FALSE(pair_rows(*tasks, "weak", "stronger"));
    EXPECT_FALSE(pair_rows(*tasks, "weak", "weak"));
    EXPECT_TRUE(pair_rows(*tasks, "weak", "mute"));
}

TEST(CascadeRivals, OracleBuysTheCheapestRightAnswers) {
    cascade::Labelled outcomes;
    outcomes.models = {
        {{1, 0, 0}, {1, 1, 1}, {}}, {{1, 1, 0}, {3, 3, 3}, {}}, {{1, 1, 1}, {9, 9, 9}, {}}};
    EXPECT_DOUBLE_EQ(oracle_quality(outcomes, 1), 1.0 / 3);
    EXPECT_DOUBLE_EQ(oracle_quality(outcomes, 5.0 / 3), 2.0 / 3);
    EXPECT_DOUBLE_EQ(oracle_quality(outcomes, 9.0 / 3), 2.0 / 3 + 0.5 / 3);  // half of the third
    EXPECT_DOUBLE_EQ(oracle_quality(outcomes, 13.0 / 3), 1);
    EXPECT_DOUBLE_EQ(oracle_quality(outcomes, 100), 1);
}

TEST(CascadeRivals, FrugalGptKeepsItsBudgetAndFindsAGoodChain) {
    const CascadeData data = drawn(300, 5);
    const double top = cascade::outcome(cascade::single_model(2), data.outcomes).cost;
    for (const double share : {0.1, 0.3, 0.6}) {
        const cascade::Policy chosen = frugal_gpt(data.outcomes, share * top);
        const CostQuality played = cascade::outcome(chosen, data.outcomes);
        EXPECT_LE(played.cost, share * top);
        EXPECT_EQ(chosen.size, 3);
        // On the rows it was chosen by it must nearly reach the best pair within the budget.
        double pair = 0;
        const auto pairs = naive_pairs(data.outcomes);
        for (const CostQuality& point : pairs.points)
            if (point.cost <= share * top) pair = std::max(pair, point.quality);
        EXPECT_GE(played.quality, pair - 0.015) << share;
    }
    EXPECT_EQ(frugal_gpt(data.outcomes, 1e-9).size, 1);  // nothing is affordable
    CascadeData two = data;
    two.outcomes.models.pop_back();
    EXPECT_EQ(frugal_gpt(two.outcomes, top).models[0], 0);
}

TEST(CascadeRivals, FrugalGptFindsItsChainWhereScoresAreEqual) {
    // Six scores in all: right or wrong, to a question of one of three lengths. So there are few cuts.
    Chances chances(4);
    cascade::Labelled labels;
    labels.models.resize(3);
    const std::array<double, 3> able{0.4, 0.7, 1};
    const std::array<double, 3> cost{1, 3, 10};
    for (std::size_t row = 0; row < 200; ++row) {
        const double hard = chances.uniform();
        const double length = static_cast<double>(row % 3);
        for (std::size_t m = 0; m < 3; ++m) {
            const bool right = hard < able[m];
            labels.models[m].quality.push_back(right ? 1 : 0);
            labels.models[m].cost.push_back(cost[m]);
            labels.models[m].score.push_back({right ? 4.0 : 0.1, -length});
        }
    }
    // All are right for 1 + 0.6 · 3 + 0.3 · 10 in the mean.
    const cascade::Policy chosen = frugal_gpt(labels, 7);
    const CostQuality played = cascade::outcome(chosen, labels);
    EXPECT_EQ(chosen.size, 3);
    EXPECT_LE(played.cost, 7);
    EXPECT_GT(played.quality, 0.99);
}

TEST(CascadeEvaluate, GainsOverTheZeroRouterAndKeepsTheBudget) {
    const CascadeData data = drawn(2000, 3);
    CascadePlan plan;
    plan.splits = 5;
    plan.bootstrap = 500;
    const CascadeReport report = evaluate_cascade(data, plan);
    ASSERT_TRUE(report.skipped.empty()) << report.skipped;
    ASSERT_EQ(report.at.size(), 2U);
    const CascadeGain& ours = report.at[0].methods.front();
    EXPECT_GT(ours.gain_pp, 2);
    EXPECT_GT(ours.ci[0], 0);
    EXPECT_LT(ours.ci[0], ours.gain_pp);
    EXPECT_GT(ours.ci[1], ours.gain_pp);
    EXPECT_NEAR(ours.cost_ratio, 1, 0.02);
    EXPECT_LE(ours.gain_hindsight_pp, ours.gain_pp + 1e-9);
    for (const CascadeGain& method : report.at[0].methods) {
        EXPECT_LE(method.quality, report.at[0].oracle_quality + 0.01) << method.method;
        // Chance is worth nothing over the zero router.
        if (method.method == "random mix") EXPECT_LT(method.gain_pp, 0.5);
    }
    // The same seed tells the same, another one something else.
    EXPECT_EQ(evaluate_cascade(data, plan).at[0].methods[0].gain_pp, ours.gain_pp);
    plan.seed = 2;
    EXPECT_NE(evaluate_cascade(data, plan).at[0].methods[0].gain_pp, ours.gain_pp);
}

TEST(CascadeEvaluate, WithoutInformationItLosesLittle) {
    CascadeData data = drawn(2000, 3);
    std::mt19937_64 random(1);
    std::normal_distribution<double> normal;
    for (auto& model : data.outcomes.models)
        for (auto& score : model.score) score = {std::abs(normal(random)), 0};
    CascadePlan plan;
    plan.labels = 50;
    plan.splits = 30;
    plan.bootstrap = 0;
    plan.rivals = false;
    const CascadeReport report = evaluate_cascade(data, plan);
    for (const CascadeAtCost& at : report.at) {
        EXPECT_GT(at.methods[0].gain_pp, -0.5);
        EXPECT_GT(at.fell_back, 0.3);
    }
}

TEST(CascadeEvaluate, TooFewRowsOrNoCostIsSaid) {
    CascadePlan plan;
    plan.labels = 100;
    EXPECT_NE(evaluate_cascade(drawn(140, 1), plan).skipped.find("too few"), std::string::npos);
    CascadeData free = drawn(300, 1);
    for (auto& model : free.outcomes.models) std::fill(model.cost.begin(), model.cost.end(), 0);
    EXPECT_FALSE(evaluate_cascade(free, plan).skipped.empty());
}

TEST(CascadeEvaluate, OneModelIsItsOwnZeroRouter) {
    CascadeData data = drawn(300, 1);
    data.models.resize(1);
    data.outcomes.models.resize(1);
    CascadePlan plan;
    plan.labels = 100;
    const CascadeReport report = evaluate_cascade(data, plan);
    ASSERT_TRUE(report.skipped.empty()) << report.skipped;
    for (const CascadeAtCost& at : report.at) {
        EXPECT_NEAR(at.fell_back, 1, 1e-9);
        for (const CascadeGain& method : at.methods)
            EXPECT_NEAR(method.gain_pp, 0, 1e-9) << method.method;
    }
}

TEST(CertificateEvaluate, IsAsRarelyWrongAsItSays) {
    const CascadeData data = drawn(1500, 9);
    const auto rows = cascade::judged_rows(data.outcomes, 0, 2);
    for (const std::size_t labels : {300U, 600U}) {
        CertificatePlan plan;
        plan.labels = labels;
        plan.resplits = 1000;
        const CertificateFigures figures = evaluate_certificate(rows, plan);
        EXPECT_LE(figures.violations, 128U);  // 100 and three standard errors
        EXPECT_GT(figures.uncertified_violations, 200U);  // what counting alone would do
        EXPECT_GT(figures.uncertified_saving, figures.saving);
        EXPECT_LE(figures.harm, 0.03);
    }
    CertificatePlan few;
    few.labels = 100;
    few.promise.max_harm = 0.01;
    const CertificateFigures none = evaluate_certificate(rows, few);
    EXPECT_EQ(none.share_certified, 0);
    EXPECT_EQ(none.saving, 0);
    EXPECT_NE(none.why.find("not enough evidence"), std::string::npos);
}

TEST(CertificateEvaluate, TasksAreRightTogether) {
    std::vector<PairRows> tasks;
    for (const std::uint64_t seed : {9U, 10U, 11U}) {
        const CascadeData data = drawn(seed == 11 ? 150 : 1500, seed, 1, seed == 10 ? 1 : 0);
        tasks.push_back({data.task, cascade::judged_rows(data.outcomes, 0, 2)});
    }
    CertificatePlan plan;
    plan.labels = 1000;
    plan.resplits = 400;
    const CertificateFigures figures = evaluate_cluster_certificates(tasks, plan);
    EXPECT_GT(figures.share_certified, 0.9);
    EXPECT_GT(figures.saving, 0.05);
    EXPECT_LE(figures.violations, 58U);  // 40 and three standard errors
}

TEST(DriftEvaluate, DemotesBeforeTheHarmIsDone) {
    const auto before = cascade::judged_rows(drawn(1500, 9).outcomes, 0, 2);
    CascadeData changed = drawn(1500, 10);
    // The small model is as sure as ever, and wrong more often.
    std::mt19937_64 random(2);
    for (std::size_t row = 0; row < 1500; ++row) {
        auto& small = changed.outcomes.models[0];
        small.score[row].confidence += 0.8;
        if (random() % 4 == 0) small.quality[row] = 0;
    }
    const auto after = cascade::judged_rows(changed.outcomes, 0, 2);
    DriftPlan plan;
    plan.seeds = 40;
    const DriftFigures figures = evaluate_drift(before, after, plan);
    EXPECT_EQ(figures.certified, 40U);
    EXPECT_GE(figures.passed_unwatched, 38U);
    EXPECT_GE(figures.in_time(), 38U);
    EXPECT_LT(figures.wait, 200);
    const DriftFigures same = evaluate_drift(before, before, plan);
    EXPECT_LE(same.demoted + same.demoted_before, 3U);
    EXPECT_LT(same.audits, 0.11);
}

TEST(PacingEvaluate, KeepsTheBudgetOnShuffledAndDriftingStreams) {
    std::vector<CascadeData> tasks{drawn(1500, 3), drawn(1200, 4, 1.4, 0.5)};
    tasks[1].task = "other";
    CascadePlan plan;
    plan.splits = 3;
    plan.cost_shares = {0.2};
    const auto figures = evaluate_pacing(tasks, plan);
    ASSERT_EQ(figures.size(), 6U);
    for (const PacingFigures& one : figures) {
        EXPECT_EQ(one.ample, 0U);
        EXPECT_NEAR(one.ratio, 1, 0.02) << one.stream;
        EXPECT_EQ(one.cap_passed, 0U);
        EXPECT_GT(one.capped_answered, 0.8);
        EXPECT_LT(one.capped_answered, 1);
    }
    plan.cost_shares = {5};
    for (const PacingFigures& one : evaluate_pacing(tasks, plan)) EXPECT_EQ(one.ample, 3U);
}

TEST(PacingEvaluate, ATaskWithoutScoresDoesNotFollowOneWithThem) {
    std::vector<CascadeData> tasks{drawn(600, 3), drawn(600, 4)};
    tasks[1].task = "other";
    tasks[1].outcomes.models[0].score.clear();
    CascadePlan plan;
    plan.splits = 2;
    plan.cost_shares = {0.2};
    std::vector<std::string> streams;
    for (const PacingFigures& one : evaluate_pacing(tasks, plan)) streams.push_back(one.stream);
    EXPECT_EQ(streams, (std::vector<std::string>{"drawn, shuffled", "drawn, ever longer prompts",
                                                 "other, shuffled", "other, ever longer prompts",
                                                 "other then drawn"}));
}

TEST(CascadeEvaluate, OnThePublicTable) {
    const std::filesystem::path folder = json::testing::test_data("outcomes");
    if (folder.empty()) GTEST_SKIP() << json::testing::skip_message("outcomes");
    const auto outcomes = read_outcome_file(folder / "logprob_9models.csv.gz");
    ASSERT_TRUE(outcomes) << outcomes.error().text();
    const std::vector<std::string> names{"mmlu", "triviaqa"};
    const auto tasks = cascade_data(*outcomes, names);
    ASSERT_TRUE(tasks) << tasks.error().text();
    CascadePlan plan;
    plan.bootstrap = 500;
    plan.rivals = false;
    for (const CascadeData& data : *tasks) {
        const CascadeReport report = evaluate_cascade(data, plan);
        const CascadeGain& ours = report.at.front().methods.front();
        EXPECT_GE(ours.gain_pp, 2.5) << data.task;
        EXPECT_GT(ours.ci[0], 0) << data.task;
        EXPECT_NEAR(ours.cost_ratio, 1, 0.02) << data.task;
    }
    const auto pair = pair_rows(*tasks, "gpt-4o-mini", "gpt-4o");
    ASSERT_TRUE(pair);
    CertificatePlan promise;
    const CertificateFigures mmlu = evaluate_certificate(pair->front().rows, promise);
    EXPECT_GE(mmlu.saving, 0.45);
    EXPECT_LE(mmlu.violations, 128U);
}

}  // namespace
}  // namespace leeway::lab
