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

Result<void> add_rollups(Database& db, ReportBy by, const Range& range, Sums& sums) {
    auto rows = db.prepare(fmt::format(
        "SELECT {}, requests, errors, hits, unknown_cost, known_baseline, known_saved,"
        " input_tokens, output_tokens, spent_hi, spent_lo, baseline_hi, baseline_lo, saved_hi,"
        " saved_lo FROM rollup_day WHERE day >= ?1 AND day < ?2",
        rollup_column(by)));
    if (!rows) return fail(std::move(rows.error()));
    rows->bind(1, range.first_day).bind(2, range.end_day);
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

Result<std::string> read_all(Database& db, const ReportOptions& options, std::int64_t now_us) {
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
        return read_all(*empty, options, unix_now_us());
    }
    return read_all(**db, options, unix_now_us());
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
    Sums sums;
    Result<void> done;
    if (range.first_day >= range.end_day) {
        done = add_rows(db, query.by, range.since_us, range.until_us, sums);
    } else {
        done = add_rollups(db, query.by, range, sums);
        if (done && query.since_us) {
            done = add_rows(db, query.by, range.since_us, range.first_day * kDayUs, sums);
        }
        if (done && query.until_us) {
            done = add_rows(db, query.by, range.end_day * kDayUs, range.until_us, sums);
        }
    }
    if (!done) return fail(std::move(done.error()));

    Report report;
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
