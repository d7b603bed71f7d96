#pragma once

#include "app/commands/replay_options.hpp"
#include "lab/replay/replay.hpp"

#include <span>
#include <string>
#include <vector>

namespace leeway::app {

/// The requests of a gateway's ledger as far as it knows what these two models did with them, weak and strong; how good
/// answers were is known where its outcome store tells it. Calls that the gateway made for itself are not among them.
/// Errors: the place, the times or the databases cannot be read.
[[nodiscard]] Result<std::vector<lab::RecordedRequest>> recorded_requests_of_ledger(
    const ReplayOptions& options, std::span<const std::string> names);

}  // namespace leeway::app
