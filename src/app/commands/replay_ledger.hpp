#pragma once

#include "app/commands/replay_options.hpp"
#include "lab/outcomes/outcome_store.hpp"
#include "lab/replay/replay.hpp"

#include <cstddef>
#include <deque>
#include <span>
#include <string>
#include <vector>

namespace leeway::app {

/// Which models of a ledger are looked at, and how.
struct LedgerModels {
    std::span<const std::string> names;
    /// The one that the route's baseline is the price of, where it was not asked.
    std::size_t reference = 0;
    std::string fingerprint;  ///< of the vectors that are wanted; empty: none are
};

/// Requests of a ledger, and what they look into.
struct LedgerRecording {
    std::vector<lab::RecordedRequest> requests;
    std::deque<lab::StoredVector> vectors;
    std::size_t without_vector = 0;  ///< requests
    bool has_other_vectors = false;  ///< the store has vectors of other models
};

/// The requests of a gateway's ledger as far as it knows what these models did with them; how good answers were, and the
/// vector of what was asked, is known where its outcome store tells it. Calls that the gateway made for itself are not
/// among them. Errors: the place, the times or the databases cannot be read.
[[nodiscard]] Result<LedgerRecording> recorded_requests_of_ledger(const ReplayOptions& options,
                                                                  const LedgerModels& models);

}  // namespace leeway::app
