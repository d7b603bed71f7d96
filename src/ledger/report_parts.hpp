#pragma once

#include "base/money.hpp"
#include "base/result.hpp"
#include "json/write.hpp"

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::ledger {

// What the reports have in common: how money, names and times look in each form.

/// USD for people: thousands separators, at least two decimals and at least three significant
/// digits: "1,234.56", "0.00", "0.000123".
[[nodiscard]] std::string display_usd(PicoUsdSum amount);
/// "$1,234.56", "-$0.000123"; nullopt: "unknown".
[[nodiscard]] std::string usd_cell(std::optional<PicoUsdSum> amount);
/// The same with every decimal that is not zero: "$1,234.567890123456".
[[nodiscard]] std::string exact_usd_cell(std::optional<PicoUsdSum> amount);
/// "1,234,567".
[[nodiscard]] std::string with_separators(std::int64_t count);
/// Names come from a configuration, but a terminal must not be driven by one.
[[nodiscard]] std::string printable(std::string_view text);
/// Lines of cells with two spaces between columns; the first `left` columns start at their left edge.
[[nodiscard]] std::vector<std::string> aligned(const std::vector<std::vector<std::string>>& lines,
                                               std::size_t left);

/// Three members: `name_usd` (decimal text), `name_pico` (integer as text) and `name_pico_usd` (integer);
/// null where the amount is unknown.
void money_json(json::Writer& out, std::string_view name, std::optional<PicoUsdSum> amount);
void time_json(json::Writer& out, std::string_view name, std::optional<std::int64_t> ts_us);
/// Writes a report to `out`, or why there is none to `err`. The exit status: 0, else 1.
[[nodiscard]] int write_report(const Result<std::string>& text, std::FILE* out, std::FILE* err);
/// A field of CSV, in quotes where it needs them.
[[nodiscard]] std::string csv_text(std::string_view text);

}  // namespace leeway::ledger
