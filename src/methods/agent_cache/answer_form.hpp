#pragma once

#include "base/hash.hpp"
#include "base/result.hpp"
#include "base/task.hpp"
#include "methods/agent_cache/cached_answer.hpp"
#include "methods/agent_cache/exact_store.hpp"
#include "methods/agent_cache/single_flight.hpp"
#include "pipeline/context.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace leeway::agent_cache {

// What the cache stages have in common: which answers are kept, and how one that was kept is given again.

/// The largest answer that is held back for storing; the store has its own, configured bound.
inline constexpr std::size_t kCaptureBytes = 8ULL * 1024 * 1024;

/// Memory, then disk; null: it is not there, or the request was interrupted.
[[nodiscard]] Task<AnswerPtr> look_up(ExactStore& store, const Sha256& key,
                                      pipeline::RequestContext& context);
/// Waits for the leader of a flight, or for the request's end.
[[nodiscard]] Task<SingleFlight::Outcome> follow(SingleFlight::Follower& follower,
                                                 pipeline::RequestContext& context);

/// Whether the request's `Cache-Control` has this word.
[[nodiscard]] bool says(const pipeline::RequestContext& context, std::string_view word);
/// What a tenant's answers are erased by; 0: of callers without a key.
[[nodiscard]] std::uint64_t tenant_number(std::string_view key_name);
/// A field of a key: its length, then its bytes, so that two fields are never taken for others.
void append_field(std::string& out, std::string_view text);
[[nodiscard]] inline std::int64_t arrival_ms(const pipeline::RequestContext& context) {
    return context.arrived_unix_us / 1000;
}

/// Whole and allowed to be kept: no error, no cut stream, nothing that the upstream forbids to keep.
[[nodiscard]] bool is_storable(const pipeline::Outcome& outcome);
/// The answer that came, as it is kept for `ttl`.
[[nodiscard]] AnswerPtr answer_from(const pipeline::RequestContext& context,
                                    const pipeline::Outcome& outcome, std::chrono::seconds ttl);
/// An answer that was kept, in the form that this client wants. Uses the thread's JSON indexer.
[[nodiscard]] Result<pipeline::StageAnswer> stage_answer(const AnswerPtr& answer,
                                                         const pipeline::RequestContext& context);
/// The same as one JSON document; fails as `stream_to_completion` does.
[[nodiscard]] Result<std::shared_ptr<const std::string>> as_completion(const AnswerPtr& answer);

}  // namespace leeway::agent_cache
