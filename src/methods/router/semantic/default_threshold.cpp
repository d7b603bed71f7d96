#include "methods/router/semantic/default_threshold.hpp"

#include "methods/router/semantic/folds.hpp"
#include "methods/router/semantic/semantic_router.hpp"

#include <algorithm>
#include <vector>

namespace leeway::router {
namespace {

constexpr double kShare = 0.6;
constexpr std::size_t kFolds = 5;
// That many give the mean to a hundredth, and take less than a second.
constexpr std::size_t kMostExamples = 2000;
// No route has a second utterance, so that nothing can be left out.
constexpr double kNothingKnown = 0.35;

/// Of each class the first few.
std::vector<Example> thinned(std::span<const Example> examples, std::size_t classes) {
    const std::size_t most = std::max<std::size_t>(2, kMostExamples / classes);
    std::vector<std::size_t> taken(classes);
    std::vector<Example> out;
    for (const Example& one : examples)
        if (taken[one.class_index]++ < most) out.push_back(one);
    return out;
}

}  // namespace

double default_threshold(std::span<const Example> examples, std::size_t routes,
                         std::size_t dimension, const Scoring& scoring) {
    const std::vector<Example> few = thinned(examples, routes + 1);
    std::vector<std::int32_t> labels;
    std::vector<std::size_t> sizes(routes + 1);
    for (const Example& one : few) {
        labels.push_back(static_cast<std::int32_t>(one.class_index));
        ++sizes[one.class_index];
    }
    const std::vector<std::size_t> part = stratified_folds(labels, kFolds, 1);
    double sum = 0;
    std::size_t count = 0;
    for (std::size_t fold = 0; fold < kFolds; ++fold) {
        std::vector<Example> kept;
        for (std::size_t i = 0; i < few.size(); ++i)
            if (part[i] != fold) kept.push_back(few[i]);
        if (kept.empty()) continue;
        const Scorer scorer(kept, routes + 1, dimension, scoring);
        for (std::size_t i = 0; i < few.size(); ++i) {
            const std::size_t own = few[i].class_index;
            if (part[i] != fold || own == routes || sizes[own] < 2) continue;
            sum += route_scores(scorer.parts(few[i].text, few[i].vector), scoring,
                                scorer.has_head())[own];
            ++count;
        }
    }
    return count == 0 ? kNothingKnown : kShare * sum / static_cast<double>(count);
}

}  // namespace leeway::router
