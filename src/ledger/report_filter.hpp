#pragma once

#include "base/result.hpp"
#include "ledger/report.hpp"
#include "store/sql/database.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace leeway::ledger {

/// The condition of one filter on a row of `request`; its value is parameter ?`number`. `names_of`: the table
/// with a dot where `provider` and `model` are taken from, when there are several.
[[nodiscard]] std::string filter_condition(const store::sql::Database& db,
                                           const ReportFilter& filter, int number,
                                           std::string_view names_of = {});
/// Whether the condition has its parameter: PostgreSQL wants them counted without gaps.
[[nodiscard]] bool filter_has_parameter(const ReportFilter& filter);

/// `since` and `until` of the options into the query; empty ones leave it as it is.
[[nodiscard]] Result<void> read_times(const ReportOptions& options, std::int64_t now_us,
                                      ReportQuery& query);

}  // namespace leeway::ledger
