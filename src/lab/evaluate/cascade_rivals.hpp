#pragma once

#include "methods/cascade/policy.hpp"

#include <vector>

namespace leeway::lab {

/// FrugalGPT's optimiser (arXiv 2305.05176, code at 2b23e6a, from its description): all ordered chains of exactly three
/// models, cuts as shares of accepted answers that do not fall along the chain, a grid of 40 shares each and Nelder–Mead
/// from the best point of each chain, largest counted quality whose counted cost is within `budget` (USD per request). Its
/// scorers are DistilBERT models per LLM; here they are the same scores that ours has. With fewer than three models,
/// or when nothing is affordable: the cheapest model.
[[nodiscard]] cascade::Policy frugal_gpt(const cascade::Labelled& labels, double budget);

/// Pairs chosen by what was counted, without curves, evidence or fall-back.
[[nodiscard]] cascade::Frontier naive_pairs(const cascade::Labelled& labels);

/// The best that any choice of one model per request could yield for `budget` per request in the mean, by knowing all
/// outcomes (requests may be mixed).
[[nodiscard]] double oracle_quality(const cascade::Labelled& outcomes, double budget);

}  // namespace leeway::lab
