#include "lab/evaluate/cache_evaluate.hpp"

#include "lab/evaluate/cache_fit.hpp"
#include "store/vectors/kernel.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

namespace leeway::lab {
namespace {

using agent_cache::semantic::HitModel;

/// Questions of `classes` answers whose vectors lie around one centre each, some far from it.
CacheFile clustered(std::uint32_t classes, std::uint32_t each, float spread) {
    constexpr std::uint32_t kDimension = 32;
    std::mt19937 random(11);
    std::normal_distribution<float> normal;
    CacheFile out;
    CacheQuestions& data = out.data;
    data.vectors.dimension = kDimension;
    for (std::uint32_t c = 0; c < classes; ++c) {
        std::vector<float> centre(kDimension);
        for (float& x : centre) x = normal(random);
        for (std::uint32_t i = 0; i < each; ++i) {
            data.texts.push_back(fmt::format("please word{} word{} word{}", 'a' + c, 'a' + c, "b"));
            data.questions.push_back(agent_cache::semantic::read_question("where is my new card"));
            data.answers.push_back(c);
            std::vector<float> vector(kDimension);
            const float away = spread * std::abs(normal(random));
            for (std::uint32_t k = 0; k < kDimension; ++k)
                vector[k] = centre[k] + away * normal(random);
            const float length = std::sqrt(store::vectors::dot(vector, vector));
            for (float& x : vector) data.vectors.values.push_back(x / length);
        }
    }
    return out;
}

TEST(CacheFiles, PairsMakeClasses) {
    const auto read = read_cache_file(
        "{\"a\":\"one\",\"b\":\"two\",\"same\":true}\n\n{\"a\":\"two\",\"b\":\"three\",\"same\":1}"
        "\n"
        "{\"a\":\"one\",\"b\":\"three\",\"same\":false}\n{\"a\":\"four\",\"b\":\"one\",\"same\":0}"
        "\n",
        CacheFileKind::kPairs);
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->data.texts.size(), 4U);
    EXPECT_EQ(read->data.answers[0], read->data.answers[2]);
    EXPECT_NE(read->data.answers[0], read->data.answers[3]);
    EXPECT_EQ(read->conflicts, 1U);
    EXPECT_EQ(read->different.size(), 2U);
}

TEST(CacheFiles, StreamsKeepTheFirstAnswer) {
    const auto read = read_cache_file(
        "{\"text\":\"a\",\"answer\":1}\n{\"text\":\"b\",\"answer\":1.0}\n{\"text\":\"a\","
        "\"answer\":\"x\"}\n",
        CacheFileKind::kStream);
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->data.texts.size(), 2U);
    EXPECT_EQ(read->repeated, 1U);
    EXPECT_EQ(read->conflicts, 1U);
}

TEST(CacheFiles, WhatIsNoneIsToldByLine) {
    for (const auto& [text, line] :
         {std::pair("{\"a\":\"x\"}\n", "line 1"), std::pair("\n\n[]\n", "line 3"),
          std::pair("{\"a\":\"x\",\"b\":\"y\",\"same\":2}", "line 1"),
          std::pair("{\"a\":\"x\"", "line 1"), std::pair("", "fewer than two")}) {
        const auto read = read_cache_file(text, CacheFileKind::kPairs);
        ASSERT_FALSE(read.has_value()) << text;
        EXPECT_NE(read.error().message.find(line), std::string::npos) << read.error().message;
    }
    EXPECT_FALSE(cache_file_kind("").has_value());
    EXPECT_EQ(cache_file_kind("{\"text\":\"a\",\"answer\":1}\n{").value(), CacheFileKind::kStream);
}

TEST(NeighbourListsTest, AListThatIsCutIsMadeUpFor) {
    const CacheFile file = clustered(3, 40, 0.3F);
    const NeighbourLists whole(file.data.vectors, 1000, -1);
    const NeighbourLists cut(file.data.vectors, 2, -1);
    const std::vector<std::uint32_t> stored{5, 50, 100, 119};
    const auto has = [&](std::uint32_t text) {
        return std::ranges::count(stored, text) > 0;
    };
    for (std::uint32_t text = 0; text < whole.texts(); ++text) {
        std::vector<Near> a;
        std::vector<Near> b;
        whole.nearest(text, 3, has, stored, a);
        cut.nearest(text, 3, has, stored, b);
        ASSERT_EQ(a.size(), b.size());
        for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].text, b[i].text);
    }
}

TEST(CacheEvaluate, KeepsTheBoundOnStreamsThatFittingNeverSaw) {
    // The built-in model was fitted on real questions; these are none.
    const CacheFile file = clustered(40, 80, 0.35F);
    const NeighbourLists lists(file.data.vectors, 192, 0.4F);
    CachePlan plan;
    plan.settings.max_error = 0.05;
    plan.seeds = 20;
    plan.rivals = true;
    const CacheEvaluation done = evaluate_cache(file, lists, HitModel::built_in(), plan);
    EXPECT_GE(done.ours.streams_within, 19U);
    EXPECT_GT(done.ours.hit_rate.mean, 0.3);
    ASSERT_EQ(done.rivals.size(), 3U);
    EXPECT_GT(done.ours.hit_rate.mean, done.rivals[0].hit_rate.mean) << "vCache";
    // Same seeds, same streams.
    EXPECT_EQ(evaluate_cache(file, lists, HitModel::built_in(), plan).ours.hit_rate.mean,
              done.ours.hit_rate.mean);
}

TEST(CacheEvaluate, WithoutRepeatedAnswersNothingIsServed) {
    const CacheFile file = clustered(600, 2, 2.0F);
    const NeighbourLists lists(file.data.vectors, 192, 0.4F);
    CachePlan plan;
    plan.seeds = 3;
    const CacheEvaluation done = evaluate_cache(file, lists, HitModel::built_in(), plan);
    EXPECT_EQ(done.ours.hit_rate.mean, 0);
    EXPECT_NE(done.last.phase, agent_cache::semantic::RiskState::Phase::kServing);
}

TEST(CacheFit, FindsTheWeightsThatMadeTheVerdicts) {
    std::mt19937 random(3);
    std::uniform_real_distribution<float> uniform(0, 1);
    std::vector<LabelledInputs> set(20'000);
    for (LabelledInputs& one : set) {
        one.inputs[0] = 1;
        one.inputs[1] = 4 * uniform(random) - 2;
        one.right = uniform(random) < 1 / (1 + std::exp(-(0.5F + 2 * one.inputs[1])));
    }
    const std::vector<std::vector<LabelledInputs>> sets{set, {}};
    const HitModel model = fit_hit_model(sets);
    EXPECT_NEAR(model.weights()[0], 0.5, 0.1);
    EXPECT_NEAR(model.weights()[1], 2, 0.15);
}

}  // namespace
}  // namespace leeway::lab
