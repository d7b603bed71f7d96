#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"
#include "store/sql/database.hpp"

#include <cstdint>
#include <functional>
#include <optional>

namespace leeway::ledger {

/// Calls `take` for each row of `requests`, page after page, since a long read would keep the writer from emptying its WAL.
/// `requests` is a SELECT whose first column is the id, and whose parameters are 1: the id that it begins after, 2: the
/// earliest arrival, 3: the most rows (`ORDER BY id LIMIT ?3`); `bind_more` binds those from 4 on. `take` may read the
/// row's other columns from it.
[[nodiscard]] Result<void> each_request_row(
    store::sql::Database& db, store::sql::Statement& requests, std::optional<std::int64_t> since_us,
    const std::function<void(store::sql::Statement&)>& bind_more,
    const std::function<Result<void>(const RequestId&)>& take);

}  // namespace leeway::ledger
