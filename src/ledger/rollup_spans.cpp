#include "ledger/rollup_spans.hpp"

#include "ledger/time_text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::ledger {
namespace {

/// With the first `lengths` of `kSpanHours` and single hours. `open`: a last span may begin in the range and end
/// behind it, as it has nothing there yet.
void cover(std::int64_t first, std::int64_t end, bool open, std::size_t lengths,
           std::vector<HourSpan>& out) {
    if (first >= end) return;
    if (lengths == 0) {
        out.push_back({1, first, end});
        return;
    }
    const std::int64_t hours = kSpanHours[--lengths];
    const std::int64_t from = span_start(first + hours - 1, hours);
    const std::int64_t to = span_start(open ? end + hours - 1 : end, hours);
    if (from >= to) return cover(first, end, open, lengths, out);
    cover(first, from, false, lengths, out);
    out.push_back({hours, from, to});
    if (!open) cover(to, end, false, lengths, out);
}

}  // namespace

Result<StoredReach> read_reach(store::sql::Statement& statement) {
    const auto row = statement.step();
    if (!row) return fail(row.error());
    const StoredReach out{statement.int64(0), statement.optional_int64(1)};
    statement.reset();
    return out;
}

Result<RollupReach> read_reach(store::sql::Database& db) {
    auto statement = db.prepare(kReadReach);
    if (!statement) return fail(std::move(statement.error()));
    const auto stored = read_reach(*statement);
    if (!stored) return fail(stored.error());
    return stored->reach();
}

std::vector<HourSpan> cover_hours(std::int64_t first_hour, std::int64_t end_hour,
                                  const RollupReach& reach, std::int64_t longest) {
    const auto lengths = static_cast<std::size_t>(
        std::count_if(kSpanHours.begin(), kSpanHours.end(),
                      [longest](std::int64_t hours) { return hours <= longest; }));
    std::vector<HourSpan> out;
    if (lengths == 0) {
        cover(first_hour, end_hour, false, 0, out);
        return out;
    }
    const std::int64_t days = reach.before(kSpanHours.back());
    const std::int64_t hours = reach.before(kDayHours);
    cover(first_hour, std::min(end_hour, days), end_hour >= days, lengths, out);
    // The day under way has the hours that are over.
    cover(std::max(first_hour, days), std::min(end_hour, hours), end_hour >= hours, 1, out);
    cover(std::max(first_hour, hours), end_hour, false, 0, out);
    return out;
}

RollupWindow window_of(std::int64_t since_us, std::int64_t until_us, const RollupReach& reach) {
    if (since_us >= until_us) return {};
    const auto part_at = [&](std::int64_t us) {
        const std::int64_t hour = hour_of(us);
        const std::int64_t length = hour >= reach.hours_from ? 1 : kDayHours;
        const std::int64_t first = span_start(hour, length);
        return CutSpan{us, us, first, first + length};
    };
    CutSpan head = part_at(since_us);
    CutSpan tail = part_at(until_us);
    const bool begins = head.first_hour * kHourUs == since_us;
    RollupWindow out{begins ? head.first_hour : head.end_hour, tail.first_hour, {}};
    if (out.first_hour > out.end_hour) {
        head.to_us = until_us;
        return {head.end_hour, head.end_hour, {head}};
    }
    if (!begins) {
        head.to_us = head.end_hour * kHourUs;
        out.cuts.push_back(head);
    }
    tail.from_us = tail.first_hour * kHourUs;
    if (tail.from_us < until_us) out.cuts.push_back(tail);
    return out;
}

Result<std::int64_t> requests_of(store::sql::Database& db, std::int64_t first_hour,
                                 std::int64_t end_hour, const RollupReach& reach,
                                 std::string_view condition) {
    auto rows = db.prepare(
        fmt::format("SELECT coalesce(sum(requests), 0) FROM rollup_group WHERE hours = ?1 AND"
                    " start >= ?2 AND start < ?3{}",
                    condition));
    if (!rows) return fail(std::move(rows.error()));
    std::int64_t out = 0;
    for (const HourSpan& span : cover_hours(first_hour, end_hour, reach)) {
        rows->bind(1, span.hours).bind(2, span.first_hour).bind(3, span.end_hour);
        const auto row = rows->step();
        if (!row) return fail(row.error());
        out += rows->int64(0);
        rows->reset();
    }
    return out;
}

Result<bool> has_rows_of(store::sql::Database& db, const CutSpan& cut, const RollupReach& reach) {
    const auto wanted = requests_of(db, cut.first_hour, cut.end_hour, reach);
    if (!wanted) return fail(wanted.error());
    auto rows = db.prepare(
        "SELECT count(*) FROM request WHERE id >= ?1 AND id < ?2 AND ts_us >= ?3 AND ts_us < ?4");
    if (!rows) return fail(std::move(rows.error()));
    // The hour around it allows for an id that was made a little off.
    const auto low = id_bound((cut.first_hour - 1) * kHourUs);
    const auto high = id_bound((cut.end_hour + 1) * kHourUs);
    rows->bind_blob(1, low.bytes).bind_blob(2, high.bytes);
    rows->bind(3, cut.first_hour * kHourUs).bind(4, cut.end_hour * kHourUs);
    const auto row = rows->step();
    if (!row) return fail(row.error());
    return rows->int64(0) >= *wanted;
}

std::string whole_note(const CutSpan& cut) {
    const bool hour = cut.end_hour - cut.first_hour == 1;
    return fmt::format("{} counts as a whole: its rows are older than ledger.retention_days",
                       hour ? iso_time(cut.first_hour * kHourUs).substr(0, 16) + "Z"
                            : iso_day(floor_div(cut.first_hour, kDayHours)));
}

}  // namespace leeway::ledger
