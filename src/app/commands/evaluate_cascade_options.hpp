#pragma once

#include "app/commands/outcome_file.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace leeway::app {

struct EvaluateCascadeOptions {
    OutcomeFileOptions outcomes;
    std::vector<std::uint32_t> labels;  ///< empty: 400, or 600 for certificates
    std::uint32_t splits = 10;
    std::uint64_t seed = 1;
    bool pool = false;  ///< curves' slopes drawn to those of the other tasks' labels
    bool isotonic = false;  ///< curves by isotonic regression instead of Platt's
    bool no_rivals = false;
    std::vector<std::string> certify;  ///< weak and strong model, or "all"
    std::vector<double> alphas = {0.03};
    double delta = 0.1;
    std::uint32_t resplits = 1000;
    std::vector<std::string> drift;  ///< two tasks
    double audit = 0.1;
    bool pace = false;
    std::string svg;  ///< file for a picture of one task; empty: none
    bool json = false;
};

/// Measures cascades, certificates of harm, or budgets on an outcome table. 1: the file cannot be read or used; 2: options
/// that do not go together.
int run_evaluate_cascade(const EvaluateCascadeOptions& options);

}  // namespace leeway::app
