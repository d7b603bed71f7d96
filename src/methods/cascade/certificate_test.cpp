#include "methods/cascade/certificate.hpp"

#include "methods/cascade/online_certificate.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace leeway::cascade {
namespace {

/// Weak answers with a score in [0, 1); a share (1 - score) × `harm` of them would harm.
class Traffic {
public:
    Traffic(std::uint64_t seed, double harm, double lowest = 0)
        : random_(seed), harm_(harm), lowest_(lowest) {}
    JudgedRow next() {
        const double score = lowest_ + (1 - lowest_) * uniform_(random_);
        return {{score, 0}, uniform_(random_) < (1 - score) * harm_, 1e-5, 1e-4, 0};
    }
    std::vector<JudgedRow> rows(std::size_t n) {
        std::vector<JudgedRow> out;
        for (std::size_t i = 0; i < n; ++i) out.push_back(next());
        return out;
    }
    double chance() { return uniform_(random_); }

private:
    std::mt19937_64 random_;
    std::uniform_real_distribution<double> uniform_{0, 1};
    double harm_;
    double lowest_;
};

TEST(CascadeCertificate, ExactNumbersOfHarms) {
    // 1 - 0.9 = (1 - a)^n: 230 rows without harm show 1 %, 229 do not.
    EXPECT_EQ(least_rows({0.01, 0.9}), 230U);
    EXPECT_EQ(least_rows({0.05, 0.95}), 59U);
    EXPECT_EQ(most_harms(229, {0.01, 0.9}), std::nullopt);
    EXPECT_EQ(most_harms(230, {0.01, 0.9}), 0U);
    EXPECT_EQ(most_harms(0, {0.05, 0.9}), std::nullopt);
    // By the binomial distribution: P(X <= 12 | 600, 0.03) = 0.0946, P(X <= 13) = 0.1504.
    EXPECT_EQ(most_harms(600, {0.03, 0.9}), 12U);
    double at_most = 0;
    double term = std::pow(0.97, 600);
    for (int k = 0; k <= 12; ++k) {
        at_most += term;
        term *= (600.0 - k) / (k + 1) * 0.03 / 0.97;
    }
    EXPECT_LE(at_most, 0.1);
    EXPECT_GT(at_most + term, 0.1);
}

TEST(CascadeCertificate, TakesTheLastCutBeforeOneHarmTooMany) {
    std::vector<JudgedRow> rows;
    for (int i = 0; i < 100; ++i)
        rows.push_back({{100.0 - i, 0}, i == 60 || i == 70 || i == 80, 1, 10, 0});
    const HarmPromise promise{0.05, 0.9};
    ASSERT_EQ(most_harms(100, promise), 1U);
    const Certificate made = certify(rows, promise);
    ASSERT_TRUE(made.certified);
    EXPECT_EQ(made.accepted, 70U);  // all before the second harm
    EXPECT_EQ(made.harmed, 1U);
    EXPECT_EQ(made.cut, (Score{31, 0}));
    EXPECT_NEAR(made.saving, (70 * 10.0 - 100) / 1000, 1e-12);
    EXPECT_LE(made.limit, 0.05);
    EXPECT_GT(made.limit,
              0.038);  // R: binom.test(1, 100, alternative = "less", conf.level = 0.9): 0.0383
}

TEST(CascadeCertificate, EqualScoresAreTakenTogetherOrNotAtAll) {
    std::vector<JudgedRow> rows;
    for (int i = 0; i < 300; ++i) rows.push_back({{16, 0}, i % 20 == 0, 1, 10, 0});
    const Certificate none = certify(rows, {0.03, 0.9});
    EXPECT_FALSE(none.certified);
    EXPECT_NE(none.why.find("not enough evidence"), std::string::npos);
    // A second signal that sets them apart lets some in.
    for (int i = 0; i < 300; ++i) rows[static_cast<std::size_t>(i)].score.tie = i % 20 == 0 ? 0 : 1;
    EXPECT_EQ(certify(rows, {0.03, 0.9}).accepted, 285U);
}

TEST(CascadeCertificate, TooLittleEvidenceKeepsTheStrongModel) {
    Traffic traffic(1, 0);
    const Certificate few = certify(traffic.rows(100), {0.01, 0.9});
    EXPECT_FALSE(few.certified);
    EXPECT_EQ(few.saving, 0);
    EXPECT_NE(few.why.find("at least 230"), std::string::npos) << few.why;
    EXPECT_FALSE(certify({}, {0.05, 0.9}).certified);
    // Nothing is gained by a weak model that costs as much.
    std::vector<JudgedRow> dear = traffic.rows(600);
    for (JudgedRow& row : dear) row.weak_cost = row.strong_cost;
    EXPECT_FALSE(certify(dear, {0.05, 0.9}).certified);
}

TEST(CascadeCertificate, IsRarelyWrong) {
    // True harm of "score >= c": the integral of (1 - s) × 0.2 from c to 1 = 0.1 (1 - c)².
    int wrong = 0;
    int certified = 0;
    constexpr int kTimes = 2000;
    for (std::uint64_t seed = 1; seed <= kTimes; ++seed) {
        Traffic traffic(seed, 0.2);
        const Certificate made = certify(traffic.rows(300), {0.03, 0.9});
        if (!made.certified) continue;
        ++certified;
        const double below = 1 - made.cut.confidence;
        wrong += 0.1 * below * below > 0.03 ? 1 : 0;
    }
    EXPECT_GT(certified, kTimes * 9 / 10);
    EXPECT_LE(wrong, 0.1 * kTimes + 3 * std::sqrt(0.1 * 0.9 * kTimes));
    EXPECT_GE(wrong, kTimes / 100);  // it is no empty promise
}

TEST(CascadeCertificate, OneKnobForSeveralParts) {
    constexpr double kNever = std::numeric_limits<double>::infinity();
    std::vector<double> harmed_from(100, kNever);
    const HarmPromise promise{0.05, 0.9};
    EXPECT_EQ(largest_safe_knob(harmed_from, promise), kNever);
    harmed_from[3] = 0.4;
    harmed_from[7] = 0.6;
    const auto knob = largest_safe_knob(harmed_from, promise);
    ASSERT_TRUE(knob);
    EXPECT_LT(*knob, 0.6);
    EXPECT_GT(*knob, 0.599);
    EXPECT_EQ(largest_safe_knob(std::vector<double>(20, kNever), promise), std::nullopt);
}

TEST(CascadeCertificate, ClustersShareTheRiskAndThinOnesArePooled) {
    std::vector<JudgedRow> rows;
    Traffic harmless(1, 0.05);
    Traffic harmful(2, 0.9);
    for (int i = 0; i < 600; ++i) rows.push_back(harmless.next());
    for (int i = 0; i < 600; ++i) rows.push_back(harmful.next()), rows.back().cluster = 1;
    for (int i = 0; i < 90; ++i) rows.push_back(harmless.next()), rows.back().cluster = 2;
    for (int i = 0; i < 90; ++i) rows.push_back(harmless.next()), rows.back().cluster = 3;
    const ClusterCertificates made = certify_clusters(rows, 4, {0.03, 0.9});
    ASSERT_EQ(made.certificates.size(), 3U);
    EXPECT_EQ(made.group, (std::vector<std::size_t>{0, 1, 2, 2}));
    EXPECT_EQ(made.certificates[2].rows, 180U);
    EXPECT_GT(made.certificates[0].accepted, made.certificates[1].accepted);
    // Each at a third of δ.
    EXPECT_GE(made.certificates[0].limit, certify(std::span(rows).first(600), {0.03, 0.9}).limit);
}

TEST(CascadeAnytime, HoldsWheneverOneLooks) {
    std::vector<Score> cuts;
    for (int i = 19; i >= 0; --i) cuts.push_back({i / 20.0, 0});
    int wrong = 0;
    int certified = 0;
    constexpr int kTimes = 300;
    for (std::uint64_t seed = 1; seed <= kTimes; ++seed) {
        Traffic traffic(seed, 0.2);
        AnytimeWalk walk(cuts, {0.03, 0.9});
        EXPECT_EQ(walk.cut(), std::nullopt);
        bool ever = false;
        for (int i = 0; i < 1500; ++i) {
            const JudgedRow row = traffic.next();
            walk.add(row.score, row.harm);
            const auto cut = walk.cut();
            const double below = cut ? 1 - cut->confidence : 0;
            ever = ever || 0.1 * below * below > 0.03;
        }
        wrong += ever ? 1 : 0;
        certified += walk.cut() && walk.cut()->confidence < 0.7 ? 1 : 0;
    }
    EXPECT_LE(wrong, 0.1 * kTimes + 3 * std::sqrt(0.1 * 0.9 * kTimes));
    EXPECT_GT(certified, kTimes * 9 / 10);
}

/// Requests until it is demoted, or `most`.
int until_demoted(OnlineCertificate& online, Traffic& traffic, int most) {
    for (int i = 0; i < most; ++i) {
        const JudgedRow row = traffic.next();
        const OnlineDecision decision = online.decide(row.score, traffic.chance());
        if (!online.serving()) return i;
        online.record(row.score, decision, row.harm);
        if (!online.serving()) return i;
    }
    return most;
}

TEST(CascadeOnline, StandsWhileTrafficIsTheSame) {
    int demoted = 0;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        Traffic traffic(seed, 0.1);
        const auto rows = traffic.rows(600);
        const OnlineSettings settings;
        OnlineCertificate online(settings, certify(rows, settings.promise), rows);
        ASSERT_TRUE(online.serving());
        demoted += until_demoted(online, traffic, 3000) < 3000 ? 1 : 0;
    }
    EXPECT_LE(demoted, 4);
}

TEST(CascadeOnline, IsDemotedWhenScoresMove) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        Traffic traffic(seed, 0.1);
        const auto rows = traffic.rows(600);
        const OnlineSettings settings;
        OnlineCertificate online(settings, certify(rows, settings.promise), rows);
        Traffic other(seed + 100, 0.1, 0.6);  // nobody's answers were judged: the scores tell
        const int waited = until_demoted(online, other, 1000);
        EXPECT_LT(waited, 100);
        EXPECT_EQ(online.demotions(), 1U);
        EXPECT_NE(online.why().find("drift"), std::string::npos);
    }
}

TEST(CascadeOnline, IsDemotedWhenAuditsSpeakAgainstIt) {
    int late = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        Traffic traffic(seed, 0.1);
        const auto rows = traffic.rows(600);
        OnlineSettings settings;
        settings.audit = 0.5;
        OnlineCertificate online(settings, certify(rows, settings.promise), rows);
        Traffic other(seed + 100, 0.9);  // scores as before, answers worse
        late += until_demoted(online, other, 2000) > 200 ? 1 : 0;
        EXPECT_FALSE(online.serving());
    }
    EXPECT_LE(late, 2);
}

TEST(CascadeOnline, ComesBackWhenNewEvidenceAllowsIt) {
    Traffic traffic(3, 0.05);
    const OnlineSettings settings;
    OnlineCertificate online(settings, {}, {});
    EXPECT_FALSE(online.serving());
    int asked = 0;
    for (; asked < 3000 && !online.serving(); ++asked) {
        const JudgedRow row = traffic.next();
        const OnlineDecision decision = online.decide(row.score, traffic.chance());
        EXPECT_FALSE(decision.weak);
        EXPECT_TRUE(decision.judge);
        online.record(row.score, decision, row.harm);
    }
    EXPECT_TRUE(online.serving());
    EXPECT_GE(asked, 400);
    EXPECT_LT(online.cut()->confidence, 0.9);
}

}  // namespace
}  // namespace leeway::cascade
