#include "methods/agent_cache/semantic/risk_controller.hpp"

#include "methods/agent_cache/semantic/evidence.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <random>

namespace leeway::agent_cache::semantic {
namespace {

/// A route whose candidates are right with a probability that the inputs tell, up to `shift` of the log-odds.
class Route {
public:
    Route(RiskSettings settings, std::uint64_t seed, double shifted)
        : controller(HitModel::built_in(), settings), shift(shifted), random_(seed) {}

    void ask(int times) {
        for (int i = 0; i < times; ++i) ask_once();
    }

    RiskController controller;
    int hits = 0;
    int wrong = 0;
    double shift;

private:
    void ask_once() {
        std::uniform_real_distribution<double> uniform(0, 1);
        Candidate candidate;
        candidate.inputs[0] = 1;
        candidate.inputs[1] = static_cast<float>(-1 + 5 * uniform(random_));
        double log_odds = shift;
        for (std::size_t i = 0; i < kInputs; ++i) {
            log_odds +=
                HitModel::built_in().weights()[i] * static_cast<double>(candidate.inputs[i]);
        }
        const bool right = uniform(random_) < 1 / (1 + std::exp(-log_odds));
        const Decision decision = controller.decide(candidate, uniform(random_));
        if (decision.action == Action::kServe || decision.action == Action::kServeAndAudit) {
            ++hits;
            wrong += right ? 0 : 1;
        }
        controller.record(decision, right);
    }

    std::mt19937_64 random_;
};

TEST(SemanticEvidence, TooLittleIsNoCertificate) {
    Evidence evidence;
    const auto verify = [&](int times) {
        for (int i = 0; i < times; ++i) {
            evidence.ask(60);
            evidence.verify(60, true);
        }
    };
    verify(500);
    EXPECT_EQ(evidence.certify(0.01, 0.95).level, Evidence::kLevels);
    verify(200);
    EXPECT_EQ(evidence.certify(0.01, 0.95).level, 60U);
    // A level below with errors is not taken in.
    for (int i = 0; i < 300; ++i) {
        evidence.ask(20);
        evidence.verify(20, i % 3 != 0);
    }
    EXPECT_EQ(evidence.certify(0.01, 0.95).level, 60U);
    EXPECT_LE(evidence.certify(0.01, 0.95).limit, 0.01);
}

TEST(SemanticRisk, BeginsInShadowAndKeepsItsPromise) {
    int within = 0;
    int hits = 0;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        // Routes that are worse and better than the pooled model believes.
        Route route({.max_error = 0.02}, seed, seed % 3 == 0 ? -2 : seed % 3 == 1 ? 0 : 1);
        route.ask(100);
        EXPECT_EQ(route.hits, 0);
        EXPECT_EQ(route.controller.state().phase, RiskState::Phase::kGathering);
        EXPECT_NE(route.controller.state().why.find("thin evidence"), std::string::npos);
        route.ask(6000);
        within += route.wrong <= 0.02 * route.hits ? 1 : 0;
        hits += route.hits;
    }
    EXPECT_GE(within, 38);
    EXPECT_GT(hits, 40 * 1000);
}

TEST(SemanticRisk, AuditsAreASmallShareInTheEnd) {
    Route route({.max_error = 0.02, .audit = 0.05}, 3, 0);
    route.ask(20'000);
    const RiskState state = route.controller.state();
    EXPECT_EQ(state.phase, RiskState::Phase::kServing);
    EXPECT_GT(state.audited, 100U);
    EXPECT_LT(static_cast<double>(state.audited), 0.15 * static_cast<double>(state.served));
    EXPECT_LE(state.error_low, state.error_estimate);
    EXPECT_LE(state.error_estimate, state.error_high);
}

TEST(SemanticRisk, ADriftStopsItUntilThereIsNewEvidence) {
    Route route({.max_error = 0.02}, 5, 1);
    route.ask(8000);
    ASSERT_EQ(route.controller.state().phase, RiskState::Phase::kServing);
    const int wrong_before = route.wrong;
    const int hits_before = route.hits;
    route.shift = -4;  // the answers behind the route have changed
    route.ask(4000);
    EXPECT_GE(route.controller.state().stops, 1U);
    // Unwatched, nearly all of 3,000 hits would have been wrong.
    EXPECT_LT(route.wrong - wrong_before, 400);
    EXPECT_LT(route.hits - hits_before, 1200);
}

TEST(SemanticRisk, WithoutVerdictsOfItsAuditsNothingIsServedUntilOneComes) {
    Route route({.max_error = 0.02}, 5, 1);
    route.ask(8000);
    ASSERT_EQ(route.controller.state().phase, RiskState::Phase::kServing);
    Candidate sure;
    sure.inputs[0] = 1;
    sure.inputs[1] = 4;
    for (int i = 0; i < 64; ++i) {
        const Decision last = route.controller.decide(sure, 0);
        ASSERT_EQ(last.action, Action::kServeAndAudit) << i;
        route.controller.missed(last);
    }
    EXPECT_EQ(route.controller.state().phase, RiskState::Phase::kStopped);
    const Decision shadow = route.controller.decide(sure, 0);
    EXPECT_EQ(shadow.action, Action::kShadow);
    route.controller.record(shadow, true);
    EXPECT_EQ(route.controller.state().phase, RiskState::Phase::kServing);
    EXPECT_EQ(route.controller.decide(sure, 0).action, Action::kServeAndAudit);
}

TEST(SemanticRisk, AdvisoryNeverServes) {
    Route route({.max_error = 0.05, .advisory = true}, 7, 2);
    route.ask(5000);
    EXPECT_EQ(route.hits, 0);
    EXPECT_GT(route.controller.state().would_serve, 500U);
    EXPECT_EQ(route.controller.state().phase, RiskState::Phase::kAdvisory);
}

TEST(SemanticRisk, SavedAndRestoredItGoesOn) {
    Route route({.max_error = 0.02}, 9, 1);
    route.ask(8000);
    const std::string saved = route.controller.save();
    RiskController again(HitModel::built_in(), {.max_error = 0.02});
    ASSERT_TRUE(again.restore(saved).has_value());
    EXPECT_EQ(again.save(), saved);
    EXPECT_EQ(again.state().phase, RiskState::Phase::kServing);
    EXPECT_EQ(again.state().threshold, route.controller.state().threshold);
    // A bound that the evidence does not show is not served.
    RiskController strict(HitModel::built_in(), {.max_error = 0.0001});
    ASSERT_TRUE(strict.restore(saved).has_value());
    EXPECT_NE(strict.state().phase, RiskState::Phase::kServing);
}

TEST(SemanticRisk, WhatIsDamagedIsRefused) {
    Route route({.max_error = 0.02}, 9, 1);
    route.ask(1000);
    const std::string saved = route.controller.save();
    RiskController again(HitModel::built_in(), {.max_error = 0.02});
    for (const std::string& text :
         {std::string(), std::string("{}"), saved.substr(0, saved.size() / 2),
          std::string(R"({"version":99})"), "x" + saved}) {
        EXPECT_FALSE(again.restore(text).has_value());
    }
    std::string huge = saved;
    huge.replace(huge.find("\"weights\":[") + 11, 1, "1e99,");
    EXPECT_FALSE(again.restore(huge).has_value());
    EXPECT_EQ(again.state().asked, 0U);
}

TEST(SemanticRisk, VerdictsOfAnOlderEraTeachNothing) {
    RiskController controller(HitModel::built_in(), {});
    Candidate candidate;
    candidate.inputs[0] = 1;
    const Decision decision = controller.decide(candidate, 0.5);
    controller.rearm();
    controller.record(decision, true);
    EXPECT_EQ(controller.state().verified, 0U);
    candidate.veto = Veto::kNumber;
    const Decision vetoed = controller.decide(candidate, 0.5);
    EXPECT_EQ(vetoed.action, Action::kExplore);
    controller.record(vetoed, true);
    EXPECT_EQ(controller.state().verified, 0U);
}

}  // namespace
}  // namespace leeway::agent_cache::semantic
