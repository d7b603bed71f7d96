#pragma once

#include "app/commands/replay_options.hpp"
#include "lab/pictures/cost_quality_picture.hpp"
#include "lab/replay/replay.hpp"
#include "methods/cascade/cascade_file.hpp"
#include "methods/router/predict/router_file.hpp"

#include <string>
#include <variant>

namespace leeway::app {

/// A router without its numbers.
struct ShownRouter {
    std::string embedding_model;
    router::Spending spending;  ///< that it was replayed at
    router::RouterEvidence evidence;
    std::size_t without_vector = 0;  ///< requests of the recording
};

/// What was replayed, for whoever reads of it.
struct ReplayRun {
    std::variant<cascade::CascadeFile, ShownRouter> policy;
    /// It was fitted to the very outcomes that it was replayed on, so what is told flatters it.
    bool same_outcomes = false;
    std::string recording;  ///< "ledger", or the name of the file
    lab::ReplayPlan plan;
    lab::ReplayReport report;
};

[[nodiscard]] std::string replay_json(const ReplayRun& run);
[[nodiscard]] std::string replay_text(const ReplayRun& run);
/// Empty where no quality is known.
[[nodiscard]] lab::CostQualityPicture replay_picture(const ReplayRun& run);

}  // namespace leeway::app
