#pragma once

#include "app/commands/embedding_options.hpp"
#include "app/commands/outcome_file.hpp"

#include <cstdint>
#include <string>

namespace leeway::app {

struct EvaluateRouterOptions {
    OutcomeFileOptions outcomes;
    std::string config;  ///< what --model may name; empty: none
    EmbeddingOptions embedding;
    std::uint32_t folds = 5;
    std::uint32_t seed = 1;
    std::uint32_t resamples = 2000;
    double sure = 2;
    std::string svg;  ///< file for a picture of the curves; empty: none
    bool json = false;
};

/// Cross-validates the router that predicts quality and cost on recorded outcomes.
int run_evaluate_router(const EvaluateRouterOptions& options);

}  // namespace leeway::app
