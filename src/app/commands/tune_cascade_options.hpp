#pragma once

#include "app/commands/outcome_file.hpp"

#include <string>
#include <vector>

namespace leeway::app {

struct TuneCascadeOptions {
    OutcomeFileOptions outcomes;
    std::vector<std::string> models;  ///< weak and strong, as the outcomes name them
    std::vector<std::string> as;  ///< the same as the gateway names them; empty: alike
    double max_harm = 0.03;
    double confidence = 0.9;
    std::string output;  ///< the policy; empty: none is written
    std::string sign;  ///< file of the key that signs the policy; empty: nobody does
    bool json = false;
};

/// Certifies a cascade of two models by all outcomes of a table, and writes it down. 0: certified; 1: the file cannot be
/// read, used or written; 3: not enough evidence (the policy is written all the same: it keeps to the strong model).
int run_tune_cascade(const TuneCascadeOptions& options);

}  // namespace leeway::app
