#pragma once

#include "app/commands.hpp"
#include "app/commands/embedding_options.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace leeway::app {

struct EvaluateCacheOptions {
    PlaceOptions place;  ///< only its configuration: what --model may name
    EmbeddingOptions embedding;
    std::string pairs;  ///< a file of lines {"a", "b", "same"}
    std::string stream;  ///< or of lines {"text", "answer"}
    std::vector<std::string> train;  ///< files of either kind that the pooled model is fitted on
    std::vector<double> max_errors = {0.01};
    double audit = 0.05;
    std::uint32_t seeds = 40;
    std::uint32_t length = 0;  ///< requests of a stream; 0: all texts
    bool rivals = false;
    bool json = false;
};

/// Plays the semantic cache over streams of labelled questions and prints what it served and how much of
/// that was wrong; with nothing but --train: the weights of the model. 1: a file cannot be read, or no vectors made.
int run_evaluate_cache(const EvaluateCacheOptions& options);

}  // namespace leeway::app
