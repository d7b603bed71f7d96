#include "methods/router/semantic/semantic_router.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace leeway::router {
namespace {

constexpr std::size_t kDimension = 32;

/// Vectors that are told by hand: each route has a direction, each text lies near one.
class Vectors {
public:
    explicit Vectors(unsigned seed) : random_(seed) {}
    std::vector<float> direction() {
        std::vector<float> out(kDimension);
        for (float& value : out) value = normal_(random_);
        return unit(out);
    }
    std::vector<float> near(const std::vector<float>& direction, float spread) {
        std::vector<float> out = direction;
        for (float& value : out)
            value += spread * normal_(random_) / std::sqrt(static_cast<float>(kDimension));
        return unit(out);
    }

private:
    static std::vector<float> unit(std::vector<float> out) {
        float length = 0;
        for (const float value : out) length += value * value;
        for (float& value : out) value /= std::sqrt(length);
        return out;
    }
    std::mt19937 random_;
    std::normal_distribution<float> normal_{0, 1};
};

void append(models::VectorTable& table, const std::vector<float>& vector) {
    table.dimension = kDimension;
    table.values.insert(table.values.end(), vector.begin(), vector.end());
}

const models::EmbeddingModel kModel{"test", "print-1", kDimension};

struct World {
    RouteSet set;
    models::VectorTable vectors;
    std::vector<std::vector<float>> directions;
};

World world(Vectors& vectors, std::size_t routes, std::size_t utterances) {
    World out;
    for (std::size_t r = 0; r < routes; ++r) {
        out.directions.push_back(vectors.direction());
        SemanticRoute& route = out.set.routes.emplace_back();
        route.name = "route" + std::to_string(r);
        for (std::size_t u = 0; u < utterances; ++u) {
            route.utterances.push_back("word" + std::to_string(r) + " text " + std::to_string(u));
            append(out.vectors, vectors.near(out.directions.back(), 0.6F));
        }
    }
    return out;
}

SemanticRouter built(const World& from) {
    auto router = SemanticRouter::build(from.set, kModel, from.vectors);
    EXPECT_TRUE(router) << (router ? "" : router.error().message);
    return std::move(*router);
}

TEST(SemanticRouter, TakesWhatIsNearAndRejectsWhatIsFar) {
    Vectors vectors(1);
    const World from = world(vectors, 4, 8);
    const SemanticRouter router = built(from);
    for (std::size_t r = 0; r < 4; ++r) {
        const auto near = vectors.near(from.directions[r], 0.6F);
        const Decision decision = router.decide({"something", near, {}, {}, 2});
        EXPECT_EQ(decision.route, r);
        EXPECT_EQ(decision.by, DecidedBy::kScore);
        EXPECT_EQ(decision.scores.size(), 4U);
        EXPECT_EQ(router.example(decision.nearest.front()).route, from.set.routes[r].name);
    }
    std::vector<float> away(kDimension);
    for (const auto& direction : from.directions)
        for (std::size_t d = 0; d < kDimension; ++d) away[d] -= direction[d];
    const auto far = vectors.near(away, 0.1F);
    const Decision decision = router.decide({"something", far, {}, {}, 0});
    EXPECT_FALSE(decision.route);
    EXPECT_EQ(decision.by, DecidedBy::kBelow);
    EXPECT_GT(decision.probability, 0.5);
}

TEST(SemanticRouter, RulesDecideFirstAndTheHighestPriorityWins) {
    Vectors vectors(2);
    World from = world(vectors, 2, 3);
    from.set.rules.push_back({"keyword(refund)", "route0", 1});
    from.set.rules.push_back({"keyword(refund) and language(en)", "route1", 2});
    from.set.rules.push_back({"keyword(bomb)", "", 0});
    const SemanticRouter router = built(from);
    const auto english = router.without_vector("where is the refund");
    ASSERT_TRUE(english);
    EXPECT_EQ(english->route, 1U);
    EXPECT_EQ(english->rule, 1U);
    EXPECT_EQ(router.without_vector("REFUND!")->route, 0U);
    const auto rejected = router.without_vector("a bomb");
    ASSERT_TRUE(rejected);
    EXPECT_FALSE(rejected->route);
    EXPECT_EQ(rejected->by, DecidedBy::kRule);
    EXPECT_FALSE(router.without_vector("hello"));
}

TEST(SemanticRouter, ATextOfNothingIsRejectedWithoutAVector) {
    Vectors vectors(3);
    const SemanticRouter router = built(world(vectors, 2, 3));
    EXPECT_EQ(router.without_vector(" \n\t")->by, DecidedBy::kEmpty);
    EXPECT_FALSE(router.without_vector("🙂"));  // an embedding has something to say of it
}

TEST(SemanticRouter, WordsDecideWhereVectorsAreAlikeAndAlphaSaysSo) {
    Vectors vectors(4);
    World from = world(vectors, 2, 4);
    const auto between = vectors.near(from.directions[0], 0.1F);
    from.set.scoring.head = 0;
    from.set.scoring.alpha = 1;
    const auto by_vector = built(from).scores("word1 text", between);
    EXPECT_GT(by_vector[0], by_vector[1]);
    from.set.scoring.alpha = 0;
    const auto by_words = built(from).scores("word1 text", between);
    EXPECT_GT(by_words[1], by_words[0]);
    from.set.scoring.alpha = 0.5;
    const auto mixed = built(from).scores("word1 text", between);
    EXPECT_NEAR(mixed[0], (by_vector[0] + by_words[0]) / 2, 1e-6);
}

TEST(SemanticRouter, ThresholdsOfAnotherModelAreNotUsed) {
    Vectors vectors(5);
    World from = world(vectors, 2, 4);
    const SemanticRouter plain = built(from);
    FittedRoutes fitted;
    fitted.fingerprint = "print-1";
    fitted.scoring = from.set.scoring;
    fitted.temperature = 0.1;
    fitted.thresholds = {0.111, 0.222};
    from.set.fitted = fitted;
    EXPECT_FALSE(built(from).stale());
    EXPECT_EQ(built(from).thresholds(), fitted.thresholds);
    from.set.fitted->fingerprint = "print-2";
    EXPECT_TRUE(built(from).stale());
    EXPECT_EQ(built(from).thresholds(), plain.thresholds());
}

TEST(SemanticRouter, AThresholdByHandGoesBeforeAndMayBeZero) {
    Vectors vectors(6);
    World from = world(vectors, 2, 4);
    from.set.routes[1].threshold = 0.0;
    EXPECT_EQ(built(from).thresholds()[1], 0.0);
    EXPECT_GT(built(from).thresholds()[0], 0.0);
}

TEST(SemanticRouter, RejectedExamplesPushTheirNeighboursOut) {
    Vectors vectors(7);
    World from = world(vectors, 2, 4);
    const auto edge = vectors.near(from.directions[0], 1.0F);
    ASSERT_TRUE(built(from).decide({"some words", edge, {}, {}, 0}).route);
    from.set.rejected.push_back("not this");
    append(from.vectors, edge);
    EXPECT_FALSE(built(from).decide({"some words", edge, {}, {}, 0}).route);
}

TEST(SemanticRouter, AFollowUpIsDecidedTogetherWithTheTurnBefore) {
    Vectors vectors(8);
    const World from = world(vectors, 3, 5);
    const SemanticRouter router = built(from);
    const auto vague = vectors.near(from.directions[2], 2.2F);
    const auto before = vectors.near(from.directions[2], 0.2F);
    const Decision alone = router.decide({"and back?", vague, {}, {}, 0});
    const Decision together = router.decide({"and back?", vague, "word2 text", before, 0});
    ASSERT_FALSE(alone.route);
    EXPECT_EQ(together.route, 2U);
    EXPECT_EQ(together.by, DecidedBy::kContext);
    // A text that is long enough stands for itself.
    EXPECT_FALSE(router.wants_context("tell me now all about the history of cheese making"));
}

TEST(SemanticRouter, TwoThatAreTooNearToEachOtherAreAmbiguous) {
    Vectors vectors(9);
    World from = world(vectors, 2, 4);
    from.set.routes[0].threshold = from.set.routes[1].threshold = -2.0;
    const auto one = vectors.near(from.directions[0], 0.2F);
    from.set.scoring.margin = 0.01;
    EXPECT_EQ(built(from).decide({"x", one, {}, {}, 0}).route, 0U);
    from.set.scoring.margin = 2;
    const Decision decision = built(from).decide({"x", one, {}, {}, 0});
    EXPECT_FALSE(decision.route);
    EXPECT_EQ(decision.by, DecidedBy::kAmbiguous);
}

TEST(SemanticRouter, ManyExamplesAreDecidedAsFewAre) {
    // Beyond kExactExamples only the classes with the nearest centroids are looked at in full.
    Vectors vectors(10);
    const World from = world(vectors, 40, 40);
    ASSERT_GT(40U * 40U, Scorer::kExactExamples);
    const SemanticRouter router = built(from);
    for (std::size_t r = 0; r < 40; ++r) {
        const auto near = vectors.near(from.directions[r], 0.8F);
        EXPECT_EQ(router.decide({"anything", near, {}, {}, 0}).route, r);
    }
}

TEST(SemanticRouter, OneRouteWithOneUtteranceWorks) {
    Vectors vectors(11);
    const World from = world(vectors, 1, 1);
    const SemanticRouter router = built(from);
    const auto near = vectors.near(from.directions[0], 0.2F);
    EXPECT_EQ(router.decide({"word0 text", near, {}, {}, 0}).route, 0U);
    const auto far = vectors.direction();
    EXPECT_FALSE(router.decide({"elsewhere", far, {}, {}, 0}).route);
}

TEST(SemanticRouter, WrongInputIsAnError) {
    Vectors vectors(12);
    World from = world(vectors, 2, 2);
    from.vectors.values.resize(kDimension);
    EXPECT_FALSE(SemanticRouter::build(from.set, kModel, from.vectors));
    from = world(vectors, 2, 2);
    from.set.rules.push_back({"keyword(", "route0", 0});
    EXPECT_FALSE(SemanticRouter::build(from.set, kModel, from.vectors));
    EXPECT_FALSE(SemanticRouter::rules_of(from.set));
}

}  // namespace
}  // namespace leeway::router
