#pragma once

#include "methods/router/semantic/scorer.hpp"

#include <cstddef>
#include <span>

namespace leeway::router {

/// The threshold of a file that was not fitted: 0.6 × the mean score that its utterances have for their own route when
/// they are left out of it. So it follows how alike the routes' utterances are, and how many routes there are. The
/// factor was chosen on the validation part of CLINC150 (all intents, and ten at a time).
[[nodiscard]] double default_threshold(std::span<const Example> examples, std::size_t routes,
                                       std::size_t dimension, const Scoring& scoring);

}  // namespace leeway::router
