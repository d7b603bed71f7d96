#pragma once

#include <cstdint>

namespace leeway {

/// Bytes of memory that this process may use: the least of the machine's, of its control groups' limits (Linux, version 1
/// and 2) and of RLIMIT_AS. Reads a few files; for the start.
[[nodiscard]] std::uint64_t memory_limit();

}  // namespace leeway
