#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "store/sql/database.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>

namespace leeway::ledger {

/// Takes request and attempt rows away once they are older than `ledger.retention_days`; the
/// roll-ups stay. Whole days go, in UTC: with 30 days, rows of today and of the 30 days before it are
/// kept. Ledger thread only, but for `set_days`.
class Retention {
public:
    using NowUs = std::function<std::int64_t()>;
    /// `days` 0: everything is kept. `now_us`: the wall clock, in microseconds since the epoch.
    Retention(std::uint32_t days, NowUs now_us) : days_(days), now_us_(std::move(now_us)) {}

    /// Thread-safe; looked at when the ledger's thread wakes the next time.
    void set_days(std::uint32_t days) noexcept { days_.store(days, std::memory_order_relaxed); }

    /// Whether rows may have become too old since the last look. Cheap.
    [[nodiscard]] bool due() const;
    /// Takes up to `kBatch` requests with their attempts away, in one transaction, and says how many;
    /// as long as that is not 0, more may be due. After an error nothing was changed, and none of it is
    /// due again for an hour.
    [[nodiscard]] Result<std::int64_t> prune(store::sql::Database& db);
    /// How long one who has nothing else to do may sleep. nullopt: for ever.
    [[nodiscard]] std::optional<Duration> patience() const noexcept;

    /// Small, so that records wait for no longer than a batch of them takes.
    static constexpr std::int64_t kBatch = 1000;

private:
    [[nodiscard]] std::int64_t first_kept_day() const;
    [[nodiscard]] Result<std::int64_t> take_away(store::sql::Database& db, std::int64_t before_us);

    std::atomic<std::uint32_t> days_;
    const NowUs now_us_;
    std::int64_t clean_before_day_ = INT64_MIN;  // no row is older than this day
    std::optional<TimePoint> again_at_;  // after an error
};

}  // namespace leeway::ledger
