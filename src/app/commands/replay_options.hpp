#pragma once

#include "app/commands.hpp"
#include "app/commands/embedding_options.hpp"
#include "app/commands/outcome_file.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace leeway::app {

struct ReplayOptions {
    std::string policy;  ///< a file of `leeway tune cascade` or `leeway tune router`
    OutcomeFileOptions outcomes;  ///< its file empty: the ledger
    bool ledger = false;
    PlaceOptions place;  ///< of the ledger; its configuration also says what --model names
    EmbeddingOptions embedding;  ///< of a router's vectors, where the recording is a file
    std::string route;  ///< of the ledger's requests; empty: all
    std::string since;  ///< likewise, as `leeway report` reads it
    std::string until;
    std::vector<std::string>
        models;  ///< what the recording calls those of the policy; empty: alike
    // Of a router:
    std::optional<double> budget_usd;  ///< for a request, in the mean; neither: as it was tuned for
    std::optional<double> lambda;  ///< or the quality that a USD must buy
    std::string reference;  ///< the model that answers without it; empty: the dearest
    std::uint32_t resamples = 2000;
    std::uint64_t seed = 1;
    std::string svg;  ///< file for a picture; empty: none
    bool json = false;
};

/// Runs a policy over recorded requests and tells what it would have cost and yielded. 1: the policy or the recording
/// cannot be read or used.
int run_replay(const ReplayOptions& options);

}  // namespace leeway::app
