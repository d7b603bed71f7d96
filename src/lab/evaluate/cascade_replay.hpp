#pragma once

#include "methods/cascade/hull.hpp"
#include "methods/cascade/policy.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace leeway::lab {

/// What became of requests, in the order in which they came.
using Replayed = std::vector<cascade::CostQuality>;

/// Requests `rows` one after the other under a fitted frontier whose price of money a pacer moves so that their mean cost
/// is `target` (USD).
[[nodiscard]] Replayed replay_paced(const cascade::Frontier& frontier,
                                    const cascade::Labelled& outcomes,
                                    std::span<const std::size_t> rows, double target);

/// All rows under a mixture of two of its policies, as expected values.
[[nodiscard]] Replayed replay_mixture(const cascade::Frontier& frontier,
                                      const cascade::Labelled& outcomes,
                                      const cascade::Mixture& mixture);

[[nodiscard]] cascade::CostQuality mean_of(const Replayed& replayed);

}  // namespace leeway::lab
