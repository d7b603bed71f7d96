#pragma once

#include "base/result.hpp"

#include <cstdint>

namespace leeway::models {

/// Puts limits on the process that runs models, once, at its start:
/// - no privileges that it does not have now (no_new_privs), no core dumps (prompts would be in them);
/// - when a gateway started it (LEEWAY_SUPERVISED_BY), SIGTERM as soon as that gateway is gone;
/// - `memory_bytes` (0: none) as the limit of private writable memory (RLIMIT_DATA): caches, buffers,
///   heap, stacks. Weights are mapped from their file and are not in it; the model store adds them up
///   before it loads. An allocation beyond the limit fails. Builds with a sanitizer skip this limit.
/// Errors: kUnavailable, that gateway is gone already.
[[nodiscard]] Result<void> contain_process(std::uint64_t memory_bytes);

}  // namespace leeway::models
