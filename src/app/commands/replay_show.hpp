#pragma once

#include "app/commands/replay_options.hpp"
#include "lab/pictures/cost_quality_picture.hpp"
#include "lab/replay/replay.hpp"
#include "methods/cascade/cascade_file.hpp"

#include <string>

namespace leeway::app {

/// What was replayed, for whoever reads of it.
struct ReplayRun {
    cascade::CascadeFile policy;
    std::string recording;  ///< "ledger", or the name of the file
    lab::ReplayPlan plan;
    lab::ReplayReport report;
};

[[nodiscard]] std::string replay_json(const ReplayRun& run);
[[nodiscard]] std::string replay_text(const ReplayRun& run);
/// Empty where no quality is known.
[[nodiscard]] lab::CostQualityPicture replay_picture(const ReplayRun& run);

}  // namespace leeway::app
