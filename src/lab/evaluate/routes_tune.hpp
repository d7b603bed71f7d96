#pragma once

#include "base/result.hpp"
#include "methods/router/semantic/semantic_router.hpp"
#include "models/embedding.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace leeway::lab {

/// Rows of labelled texts with their vectors.
struct LabelledRows {
    std::vector<router::LabelledText> rows;  ///< each route is one of the set's, or empty
    models::VectorTable vectors;  ///< a row for each
};

struct RouteTuning {
    /// The labelled rows become examples beside the utterances, those without a route examples of what is rejected.
    /// Off: they only fit the weights and thresholds.
    bool learn_examples = true;
    std::size_t folds = 5;  ///< at least 2
    std::uint64_t seed = 1;
};

/// Fits a set to labelled rows: the weights of vectors, words and head, the thresholds and the temperature, all by
/// `folds`-fold cross-validation, by the costs of the set. What was fitted before is not looked at. A choice that is
/// not clearly better (by one standard error) than the simpler one is not taken: the weights of the file before others,
/// one threshold for all before one for each.
///
/// `base`: the vectors of `SemanticRouter::texts_of(set)` where the set is not fitted. Rows that are an utterance of the
/// set word for word are left out: their score says nothing of others'. The evidence (rows, accuracy) is the caller's to
/// fill in. Errors: kConfig (no row is left, fewer than two folds).
[[nodiscard]] Result<router::FittedRoutes> tune_routes(const router::RouteSet& set,
                                                       const models::EmbeddingModel& model,
                                                       const models::VectorTable& base,
                                                       const LabelledRows& rows,
                                                       const RouteTuning& tuning);

/// `set` with what was fitted, and the vectors for it: `base`, then those of the rows that became examples.
struct FittedSet {
    router::RouteSet set;
    models::VectorTable vectors;
};
[[nodiscard]] Result<FittedSet> fit_set(const router::RouteSet& set,
                                        const models::EmbeddingModel& model,
                                        const models::VectorTable& base, const LabelledRows& rows,
                                        const RouteTuning& tuning);

/// The rows with these places.
[[nodiscard]] LabelledRows rows_at(const LabelledRows& rows, std::span<const std::size_t> places);
/// Which rows are, word for word, an utterance of the set.
[[nodiscard]] std::vector<bool> seen_rows(const router::RouteSet& set, const LabelledRows& rows);

}  // namespace leeway::lab
