#pragma once

#include "base/result.hpp"
#include "lab/evaluate/routes_tune.hpp"

#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace leeway::lab {

/// How one route did.
struct RouteFigures {
    std::string route;
    std::size_t rows = 0;  ///< that are its own
    std::size_t taken = 0;  ///< that it took
    std::size_t right = 0;
    [[nodiscard]] std::optional<double> precision() const;
    [[nodiscard]] std::optional<double> recall() const;
};

/// How many of what should be rejected are, when that many of the others are, too.
struct RejectionPoint {
    double false_rejection = 0;
    double recall = 0;
};

/// What `leeway evaluate routes` tells; docs/formats/evaluate.md says what each means. Shares are of 1; nullopt where
/// there is no row to tell them of.
struct RoutesReport {
    std::size_t n = 0;
    std::size_t folds = 0;  ///< 0: one fit, or none
    bool fitted = false;
    double accuracy = 0;
    std::array<double, 2> accuracy_ci{};
    std::size_t seen = 0;  ///< rows that are an utterance of the file word for word
    std::optional<double> accuracy_unseen;  ///< of the other rows
    std::optional<double> in_scope_accuracy;
    std::optional<double> rejection_recall;
    std::optional<double> false_rejection;
    std::vector<RejectionPoint> rejection_at;
    double mean_cost = 0;
    double calibration_error = 0;
    std::size_t by_rule = 0;  ///< rows that a rule decided
    std::vector<RouteFigures> routes;
    /// What is right → what was decided → rows. "" is the rejection.
    std::map<std::string, std::map<std::string, std::size_t>> confusion;
    struct Wrong {
        std::string text;
        std::string right;
        std::string decided;
        double probability = 0;
    };
    std::vector<Wrong> wrong;
    double decide_us = 0;  ///< mean time of a decision, the embedding not counted
};

/// How to measure: on rows that the fitting did not see.
struct RoutesMeasuring {
    /// 0: the set as it stands. Else each part of the rows is decided by a set that was fitted to the others.
    std::size_t folds = 5;
    RouteTuning tuning;
};

/// Measures a set on labelled rows. `train`: fitted to those instead, and measured on all of `rows`; null: by folds.
/// `base` as for `tune_routes`; with folds 0 and no `train` it has the vectors of the whole set. Errors: kConfig.
[[nodiscard]] Result<RoutesReport> evaluate_routes(const router::RouteSet& set,
                                                   const models::EmbeddingModel& model,
                                                   const models::VectorTable& base,
                                                   const LabelledRows& rows,
                                                   const LabelledRows* train,
                                                   const RoutesMeasuring& measuring);

/// The 95 % interval of a share (Wilson 1927).
[[nodiscard]] std::array<double, 2> wilson(std::size_t right, std::size_t all);

}  // namespace leeway::lab
