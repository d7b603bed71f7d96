#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"
#include "ledger/record.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::ledger {

/// What is written before an attempt's first byte goes upstream: that it may cost `worst`. It lies in the same
/// journal as the outcome. An intent that has none when the process is gone becomes a row with
/// EndState::kUnknown, charged at `worst`.
struct Intent {
    RequestId id;
    std::uint32_t attempt = 1;
    std::int64_t ts_us = 0;  ///< arrival of the request, as in its record
    PicoUsd worst;
    std::int64_t worst_tokens = 0;
    bool stream = false;
    std::string key;
    std::string route;
    std::string endpoint;
    std::string model_asked;
    std::string model;
    std::string provider;
    std::vector<std::string> scopes;  ///< "global", "team:travel", …: what it counts for
};

/// The binary form, written into `buffer` (which grows and never shrinks). It starts with a byte that no
/// record starts with, so both may stand in one journal.
[[nodiscard]] std::string_view encode(const Intent& intent, std::string& buffer);
[[nodiscard]] bool is_intent(std::string_view bytes) noexcept;
/// An error for anything that is cut or damaged; never reads out of bounds.
[[nodiscard]] Result<void> decode(std::string_view bytes, Intent& out);

/// The row of a request whose process was killed before its outcome was known.
[[nodiscard]] RequestRecord unknown_outcome(const Intent& intent);

/// What was posted to a scope in a quarter of an hour (`slot` · 900 s since the epoch).
struct ScopeSpending {
    std::string scope;
    std::int64_t slot = 0;
    PicoUsdSum spent;
    std::int64_t tokens = 0;
};

/// Reads what was posted since `since_unix_s` from the database, see database_target. Any thread, also while
/// a gateway writes. Empty when there is no database yet.
[[nodiscard]] Result<std::vector<ScopeSpending>> read_spending(const std::string& state_dir,
                                                               const Secret& database,
                                                               std::int64_t since_unix_s);

/// The intents whose outcome is not in the database yet: what is reserved now. The same rules.
[[nodiscard]] Result<std::vector<Intent>> read_open_intents(const std::string& state_dir,
                                                            const Secret& database);

}  // namespace leeway::ledger
