#pragma once

#include "lab/evaluate/cache_stream.hpp"

#include <span>
#include <vector>

namespace leeway::lab {

/// The pooled model from verdicts of several sets, which all count alike however large they are: logistic
/// regression with a ridge, by Newton's method. A set without a verdict counts nothing.
[[nodiscard]] agent_cache::semantic::HitModel fit_hit_model(
    std::span<const std::vector<LabelledInputs>> sets);

/// The verdicts that a cache in shadow has on two shuffles of the questions.
[[nodiscard]] std::vector<LabelledInputs> verdicts_of(const CacheQuestions& data,
                                                      const NeighbourLists& lists,
                                                      const agent_cache::semantic::HitModel& model);

}  // namespace leeway::lab
