#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"
#include "store/sql/database.hpp"

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

namespace leeway::ledger {

/// Writes one JSON line per attempt to `out`, ordered by request id and attempt number; a request
/// without an attempt (a cache hit, a refusal) is one line with `"attempt": 0`. `since_us`: only
/// requests that arrived then or later. Needs constant memory and never holds a writer up. The
/// baseline stands on the last attempt of a request only, so that sums over lines are right.
[[nodiscard]] Result<void> export_jsonl(store::sql::Database& db,
                                        std::optional<std::int64_t> since_us, std::FILE* out);

/// `leeway ledger export --jsonl`.
struct ExportOptions {
    std::string state_dir;
    Secret database = {};  ///< see database_target
    std::string since;  ///< as `parse_time` reads it; empty: from the beginning
};

/// Replays what a dead gateway left, then writes the lines to `out`; errors go to `err`. Returns the
/// exit status: 0, or 1 when not everything could be written.
[[nodiscard]] int run_export(const ExportOptions& options, std::FILE* out, std::FILE* err);

}  // namespace leeway::ledger
