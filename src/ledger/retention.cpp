#include "ledger/retention.hpp"

#include "ledger/schema.hpp"

#include <utility>

namespace leeway::ledger {
namespace {

using store::sql::Database;
using store::sql::Transaction;

constexpr Duration kLook = std::chrono::hours(1);

// Ids begin with their millisecond, so they find old rows without an index on the time. ?1 allows for
// one that was made a little off. The attempts go first: the same rows are found twice.
constexpr const char* kDelete[] = {
    "DELETE FROM attempt WHERE request_id IN"
    " (SELECT id FROM request WHERE id < ?1 AND ts_us < ?2 ORDER BY id LIMIT ?3)",
    "DELETE FROM request WHERE id IN"
    " (SELECT id FROM request WHERE id < ?1 AND ts_us < ?2 ORDER BY id LIMIT ?3)"};

}  // namespace

std::int64_t Retention::first_kept_day() const {
    const std::uint32_t days = days_.load(std::memory_order_relaxed);
    return days == 0 ? INT64_MIN : day_of(now_us_()) - days;
}

bool Retention::due() const {
    if (again_at_ && monotonic_now() < *again_at_) return false;
    return first_kept_day() > clean_before_day_;
}

std::optional<Duration> Retention::patience() const noexcept {
    if (days_.load(std::memory_order_relaxed) == 0) return std::nullopt;
    return kLook;
}

Result<std::int64_t> Retention::prune(Database& db) {
    const std::int64_t day = first_kept_day();
    again_at_.reset();
    if (day <= clean_before_day_) return 0;  // told to keep more since it was due
    auto taken = take_away(db, day * kDayUs);
    if (!taken) {
        again_at_ = monotonic_now() + kLook;
    } else if (*taken == 0) {
        clean_before_day_ = day;
    }
    return taken;
}

Result<std::int64_t> Retention::take_away(Database& db, std::int64_t before_us) {
    auto transaction = Transaction::begin(db);
    if (!transaction) return fail(std::move(transaction.error()));
    const RequestId bound = id_bound(before_us + kHourUs);
    std::int64_t requests = 0;
    for (const char* sql : kDelete) {
        auto rows = db.prepare(sql);
        if (!rows) return fail(std::move(rows.error()));
        rows->bind_blob(1, bound.bytes).bind(2, before_us).bind(3, kBatch);
        if (auto done = rows->run(); !done) return fail(std::move(done.error()));
        requests = db.changes();
    }
    if (auto done = transaction->commit(); !done) return fail(std::move(done.error()));
    return requests;
}

}  // namespace leeway::ledger
