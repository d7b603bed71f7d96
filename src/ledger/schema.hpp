#pragma once

#include "base/ids.hpp"
#include "base/money.hpp"
#include "base/secret.hpp"
#include "store/migrations.hpp"
#include "store/sql/database.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace leeway::ledger {

/// The steps of the ledger's schema.
[[nodiscard]] std::span<const store::Migration> migrations() noexcept;

/// `user`, `tags` and `agent` of a request hold the number of a label, or its text where it has none. Parts
/// of a statement that give the one or the other, NULL where it is the other kind. In PostgreSQL a column has
/// one type, so the text stands in a column of its own.
[[nodiscard]] std::string label_number_sql(const store::sql::Database& db, std::string_view column);
[[nodiscard]] std::string label_text_sql(const store::sql::Database& db, std::string_view column);

/// Where things lie under a state folder.
[[nodiscard]] std::string ledger_folder(const std::string& state_dir);
[[nodiscard]] std::string database_path(const std::string& state_dir);
/// The database of a ledger: `database` is a PostgreSQL URL; empty: the SQLite file in the state folder.
[[nodiscard]] store::sql::Target database_target(const std::string& state_dir,
                                                 const Secret& database);

/// The columns of usage in `request` and `attempt`, in the order of the buckets: "input, cached_input, …".
[[nodiscard]] std::string bucket_columns();

/// What a label is. Stored by number: never renumber.
enum class LabelKind : std::uint8_t { kUser = 1, kTag = 2, kTagSet = 3, kAgent = 4 };
/// So many different texts of a kind are numbered; rows with others hold their text, and the roll-ups
/// know them as `kOtherLabel`. Callers choose these texts and must not grow a table without end.
inline constexpr std::size_t kMaxLabels = 100'000;
inline constexpr std::int64_t kOtherLabel = -1;

/// Steps of `rollup_saving` beyond those of a waterfall.
inline constexpr std::int64_t kStepActual = 7;
inline constexpr std::int64_t kStepBaseline = 8;
inline constexpr std::int64_t kStepUnknown = 9;  ///< requests whose waterfall is unknown

/// A 128-bit sum as SQLite keeps it: value = hi · 2³² + lo. `lo` starts below 2³² and has room for
/// 2³¹ additions without a carry, so roll-ups add the halves independently and stay exact.
struct SplitSum {
    std::int64_t hi = 0;
    std::int64_t lo = 0;
};
[[nodiscard]] constexpr SplitSum split(PicoUsdSum sum) noexcept {
    // An arithmetic shift rounds down, so the low half is never negative.
    return {static_cast<std::int64_t>(sum.value() >> 32),
            static_cast<std::int64_t>(sum.value() & 0xffffffff)};
}
[[nodiscard]] constexpr PicoUsdSum join(SplitSum parts) noexcept {
    return PicoUsdSum(Int128{parts.hi} * (Int128{1} << 32) + parts.lo);
}

/// Days since 1970-01-01 UTC of a time in microseconds, also before 1970.
[[nodiscard]] constexpr std::int64_t day_of(std::int64_t ts_us) noexcept {
    constexpr std::int64_t kDayUs = 86'400'000'000;
    return ts_us / kDayUs - (ts_us % kDayUs < 0 ? 1 : 0);
}

/// Lengths of the spans that days which are over are added to, beside the days themselves. They begin at
/// multiples of their length since 1970-01-01, so each holds whole shorter ones.
inline constexpr std::array<std::int64_t, 2> kSpanDays{8, 64};
/// First day of the span of `days` days that `day` lies in.
[[nodiscard]] constexpr std::int64_t span_start(std::int64_t day, std::int64_t days) noexcept {
    const std::int64_t into = day % days;
    return day - into - (into < 0 ? days : 0);
}

/// The smallest id that a request of this moment (or, before 1970, of any) can have.
[[nodiscard]] RequestId id_bound(std::int64_t ts_us) noexcept;

}  // namespace leeway::ledger
