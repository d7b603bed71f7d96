#pragma once

#include "base/ids.hpp"
#include "base/money.hpp"
#include "base/result.hpp"
#include "store/sql/database.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::ledger {

/// A request as a replay looks at it: which models were asked and what that cost.
struct RecordedCalls {
    struct Call {
        std::string model;
        std::optional<PicoUsd> cost;
        std::int64_t input_tokens = 0;
        bool complete = false;  ///< a whole answer came
    };
    RequestId id;
    std::string key;  ///< empty: none, as of calls that the gateway makes for itself
    std::string tags;  ///< sorted, separated by commas
    std::string route;
    std::string model;  ///< that answered; empty: none did
    std::optional<PicoUsd> baseline;
    std::string notes;  ///< of stages, "stage=reason" separated by spaces
    std::vector<Call> calls;  ///< in order
};

struct RecordedCallFilter {
    std::optional<std::int64_t> since_us;
    std::optional<std::int64_t> until_us;  ///< not itself
    std::string route;  ///< empty: all
};

/// Calls `take` for each request that an upstream answered, in the order in which they came. Needs constant memory and
/// never holds a writer up.
[[nodiscard]] Result<void> each_recorded(store::sql::Database& db, const RecordedCallFilter& filter,
                                         const std::function<void(const RecordedCalls&)>& take);

}  // namespace leeway::ledger
