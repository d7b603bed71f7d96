#pragma once

#include "app/commands.hpp"
#include "app/commands/embedding_options.hpp"
#include "app/commands/outcome_file.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace leeway::app {

struct TuneRouterOptions {
    OutcomeFileOptions
        outcomes;  ///< its file is empty where the outcomes are those of a state folder
    std::string state;  ///< the folder; empty: the file
    std::string tenant;  ///< whose outcomes of the folder: the name of a key; empty: imported ones
    std::vector<std::string> models;  ///< as the outcomes name them; empty: all
    std::vector<std::string> as;  ///< the same as the gateway names them; empty: alike
    std::string config;  ///< what --model may name; empty: none
    EmbeddingOptions embedding;
    std::optional<double> budget_usd;  ///< for a request, in the mean
    std::optional<double> lambda;  ///< or the quality that a USD must buy
    std::uint32_t folds = 5;
    std::uint32_t seed = 1;
    std::uint32_t resamples = 2000;
    double sure = 2;
    std::string output;  ///< the policy; empty: none is written
    std::string sign;  ///< file of the key that signs the policy; empty: nobody does
    bool json = false;
};

/// Fits a router to outcomes and writes it down with what shows its worth. 0: it is surely better than single models; 1: the
/// outcomes cannot be read or used, or the policy not written; 3: not enough evidence (the policy is written all the same:
/// it keeps to the best single model).
int run_tune_router(const TuneRouterOptions& options);

}  // namespace leeway::app
