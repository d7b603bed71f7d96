#pragma once

#include "app/commands.hpp"
#include "app/commands/embedding_options.hpp"
#include "app/commands/outcome_file.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace leeway::app {

/// `leeway outcomes import`, `stats`, `feedback` and `erase`.
struct OutcomesOptions {
    enum class Action : std::uint8_t { kImport, kStats, kFeedback, kErase };
    Action action = Action::kStats;
    PlaceOptions place;
    OutcomeFileOptions outcomes;
    EmbeddingOptions embedding;
    std::optional<std::string> tenant;  ///< of `feedback`: only of this key; of `erase`: whose
    bool embed = false;  ///< keep the queries' vectors, too
    bool json = false;
};

/// Puts a file's outcomes into the store of the state folder, tells what is in it, or forgets what came from a key.
int run_outcomes(const OutcomesOptions& options);

}  // namespace leeway::app
