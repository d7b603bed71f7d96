#include "ledger/report.hpp"

#include "base/clock.hpp"
#include "ledger/reader.hpp"
#include "ledger/schema.hpp"
#include "ledger/time_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace leeway::ledger {
namespace {

using store::sqlite::Database;
using store::sqlite::Statement;
using store::sqlite::Transaction;

constexpr std::int64_t kDayUs = 86'400'000'000;
constexpr std::int64_t kHourUs = 3'600'000'000;

/// Sums by a number: of a day or of a name.
using Sums = std::map<std::int64_t, Totals>;

/// Days and moments that a query covers. Days in [first_day, end_day) are whole.
struct Range {
    std::int64_t since_us;
    std::int64_t until_us;
    std::int64_t first_day;
    std::int64_t end_day;
};

// Far enough for any row, near enough to compute with.
constexpr std::int64_t kFarPast = -std::int64_t{1} << 60;
constexpr std::int64_t kFarFuture = std::int64_t{1} << 60;

Range range_of(const ReportQuery& query) {
    const std::int64_t since = std::clamp(query.since_us.value_or(kFarPast), kFarPast, kFarFuture);
    const std::int64_t until =
        std::clamp(query.until_us.value_or(kFarFuture), kFarPast, kFarFuture);
    return {.since_us = since,
            .until_us = until,
            .first_day = day_of(since + kDayUs - 1),
            .end_day = day_of(until)};
}

const char* rollup_column(ReportBy by) {
    switch (by) {
        case ReportBy::kDay: return "day";
        case ReportBy::kKey: return "key";
        case ReportBy::kRoute: return "route";
        case ReportBy::kModel: return "model";
    }
    return "day";
}

Result<void> add_rollups(Database& db, ReportBy by, std::int64_t first_day, std::int64_t end_day,
                         Sums& sums) {
    auto rows = db.prepare(fmt::format(
        "SELECT {}, requests, errors, hits, unknown_cost, known_baseline, known_saved,"
        " input_tokens, output_tokens, spent_hi, spent_lo, baseline_hi, baseline_lo, saved_hi,"
        " saved_lo FROM rollup_day WHERE day >= ?1 AND day < ?2",
        rollup_column(by)));
    if (!rows) return fail(std::move(rows.error()));
    rows->bind(1, first_day).bind(2, end_day);
    while (true) {
        const auto row = rows->step();
        if (!row) return fail(row.error());
        if (!*row) return {};
        Totals t;
        t.requests = rows->int64(1);
        t.errors = rows->int64(2);
        t.hits = rows->int64(3);
        t.unknown_cost = rows->int64(4);
        t.known_baseline = rows->int64(5);
        t.known_saved = rows->int64(6);
        t.input_tokens = rows->int64(7);
        t.output_tokens = rows->int64(8);
        t.spent = join({rows->int64(9), rows->int64(10)});
        t.baseline = join({rows->int64(11), rows->int64(12)});
        t.saved = join({rows->int64(13), rows->int64(14)});
        sums[rows->int64(0)].add(t);
    }
}

std::optional<PicoUsd> money(const Statement& row, int column) {
    const auto value = row.optional_int64(column);
    if (!value) return std::nullopt;
    return PicoUsd(*value);
}

/// A day that the range cuts. Ids begin with their millisecond, so they find the day's rows without
/// an index on the time; the hour around it allows for an id that was made a little off.
Result<void> add_rows(Database& db, ReportBy by, std::int64_t from_us, std::int64_t to_us,
                      Sums& sums) {
    if (from_us >= to_us) return {};
    const std::string sql =
        "SELECT ts_us, key, route, model, end, source, usage_state, cost_pico_usd,"
        " baseline_pico_usd, " +
        bucket_columns() +
        " FROM request WHERE id >= ?1 AND id < ?2 AND ts_us >= ?3 AND ts_us < ?4";
    auto rows = db.prepare(sql.c_str());
    if (!rows) return fail(std::move(rows.error()));
    const auto low = id_bound(from_us - kHourUs);
    const auto high = id_bound(to_us + kHourUs);
    rows->bind_blob(1, low.bytes).bind_blob(2, high.bytes).bind(3, from_us).bind(4, to_us);
    RequestRecord r;
    while (true) {
        const auto row = rows->step();
        if (!row) return fail(row.error());
        if (!*row) return {};
        r.end = static_cast<EndState>(rows->int64(4));
        r.source = static_cast<Source>(rows->int64(5));
        r.usage_state = static_cast<prices::UsageState>(rows->int64(6));
        r.cost = money(*rows, 7);
        r.baseline = money(*rows, 8);
        int column = 9;
        for (const prices::BucketInfo& info : prices::kBuckets) {
            r.usage[info.bucket] = rows->int64(column++);
        }
        // Columns 1 to 3 are those of kKey, kRoute and kModel.
        const std::int64_t group =
            by == ReportBy::kDay ? day_of(rows->int64(0)) : rows->int64(static_cast<int>(by));
        sums[group].add(r);
    }
}

/// Whether all rows that the roll-ups of `day` were made of are still there.
Result<bool> has_all_rows(Database& db, std::int64_t day) {
    auto rows = db.prepare(
        "SELECT (SELECT count(*) FROM request WHERE id >= ?1 AND id < ?2 AND ts_us >= ?3 AND"
        " ts_us < ?4) >= (SELECT coalesce(sum(requests), 0) FROM rollup_day WHERE day = ?5)");
    if (!rows) return fail(std::move(rows.error()));
    const auto low = id_bound(day * kDayUs - kHourUs);
    const auto high = id_bound((day + 1) * kDayUs + kHourUs);
    rows->bind_blob(1, low.bytes).bind_blob(2, high.bytes);
    rows->bind(3, day * kDayUs).bind(4, (day + 1) * kDayUs).bind(5, day);
    const auto row = rows->step();
    if (!row) return fail(row.error());
    const bool all = rows->int64(0) != 0;
    rows->reset();
    return all;
}

/// Days that the range cuts: from the rows, or as a whole where those are gone.
Result<void> add_cut_days(Database& db, ReportBy by, std::int64_t from_us, std::int64_t to_us,
                          Sums& sums, std::vector<std::string>& notes) {
    while (from_us < to_us) {
        const std::int64_t day = day_of(from_us);
        const std::int64_t end_us = std::min(to_us, (day + 1) * kDayUs);
        const auto all = has_all_rows(db, day);
        if (!all) return fail(all.error());
        Result<void> done;
        if (*all) {
            done = add_rows(db, by, from_us, end_us, sums);
        } else {
            done = add_rollups(db, by, day, day + 1, sums);
            notes.push_back(
                fmt::format("{} counts as a whole: its rows are older than ledger.retention_days",
                            iso_day(day)));
        }
        if (!done) return done;
        from_us = end_us;
    }
    return {};
}

Result<std::string> read_all(Database& db, const ReportOptions& options, std::int64_t now_us,
                             std::FILE* err) {
    ReportQuery query{.by = options.by};
    const std::pair<const std::string*, std::optional<std::int64_t>*> times[] = {
        {&options.since, &query.since_us}, {&options.until, &query.until_us}};
    for (const auto& [text, value] : times) {
        if (text->empty()) continue;
        const auto parsed = parse_time(*text, now_us);
        if (!parsed) return fail(parsed.error());
        *value = *parsed;
    }
    const auto report = build_report(db, query);
    if (!report) return fail(report.error());
    for (const std::string& note : report->notes) fmt::print(err, "note: {}\n", note);
    switch (options.format) {
        case ReportFormat::kTable: return render_table(*report, options.colour);
        case ReportFormat::kJson: return render_json(*report);
        case ReportFormat::kCsv: return render_csv(*report);
    }
    return std::string();
}

Result<std::string> report_text(const ReportOptions& options, std::FILE* err) {
    replay_for_reader(options.state_dir, err);
    auto db = open_for_reading(options.state_dir);
    if (!db) return fail(std::move(db.error()));
    if (!*db) {
        // Before the first start there is no database: report on an empty one in memory.
        auto empty = Database::open(":memory:");
        if (!empty) return fail(std::move(empty.error()));
        if (auto made = store::sqlite::migrate(*empty, "ledger", migrations()); !made) {
            return fail(std::move(made.error()));
        }
        return read_all(*empty, options, unix_now_us(), err);
    }
    return read_all(**db, options, unix_now_us(), err);
}

}  // namespace

std::string_view to_string(ReportBy by) noexcept {
    switch (by) {
        case ReportBy::kDay: return "day";
        case ReportBy::kKey: return "key";
        case ReportBy::kRoute: return "route";
        case ReportBy::kModel: return "model";
    }
    return "day";
}

std::optional<ReportBy> parse_report_by(std::string_view text) noexcept {
    for (const ReportBy by : {ReportBy::kDay, ReportBy::kKey, ReportBy::kRoute, ReportBy::kModel}) {
        if (text == to_string(by)) return by;
    }
    return std::nullopt;
}

Result<Report> build_report(Database& db, const ReportQuery& query) {
    auto snapshot = Transaction::begin_read(db);
    if (!snapshot) return fail(std::move(snapshot.error()));
    const Range range = range_of(query);
    Report report;
    Sums sums;
    Result<void> done;
    const auto cut = [&](std::int64_t from_us, std::int64_t to_us) {
        if (done) done = add_cut_days(db, query.by, from_us, to_us, sums, report.notes);
    };
    if (range.first_day >= range.end_day) {
        cut(range.since_us, range.until_us);
    } else {
        done = add_rollups(db, query.by, range.first_day, range.end_day, sums);
        if (query.since_us) cut(range.since_us, range.first_day * kDayUs);
        if (query.until_us) cut(range.end_day * kDayUs, range.until_us);
    }
    if (!done) return fail(std::move(done.error()));

    report.query = query;
    Names names(db);
    for (const auto& [group, totals] : sums) {
        report.totals.add(totals);
        report.rows.push_back(
            {query.by == ReportBy::kDay ? iso_day(group) : names.text(group), totals});
    }
    if (query.by != ReportBy::kDay) {
        std::sort(report.rows.begin(), report.rows.end(),
                  [](const ReportRow& a, const ReportRow& b) {
                      if (a.totals.spent != b.totals.spent) return a.totals.spent > b.totals.spent;
                      return a.group < b.group;
                  });
    }
    return report;
}

int run_report(const ReportOptions& options, std::FILE* out, std::FILE* err) {
    const auto text = report_text(options, err);
    if (!text) {
        fmt::print(err, "leeway report: {}\n", text.error().text());
        return 1;
    }
    const bool written = std::fwrite(text->data(), 1, text->size(), out) == text->size();
    return written && std::fflush(out) == 0 ? 0 : 1;
}

}  // namespace leeway::ledger
