#include "ledger/cost_differences.hpp"

#include "base/clock.hpp"
#include "json/write.hpp"
#include "ledger/reader.hpp"
#include "ledger/report_filter.hpp"
#include "ledger/report_parts.hpp"
#include "ledger/report_scan.hpp"
#include "ledger/schema.hpp"
#include "ledger/time_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

namespace leeway::ledger {
namespace {

using store::sql::Database;
using store::sql::Statement;
using store::sql::Transaction;

Int128 magnitude(Int128 value) { return value < 0 ? -value : value; }

bool is_beyond(const CostDifference& one, std::int64_t tolerance_bp) {
    constexpr std::int64_t kBasisPoints = 10'000;
    const Int128 larger =
        std::max(magnitude(Int128{one.own.value()}), magnitude(Int128{one.reported.value()}));
    return magnitude(one.difference()) * kBasisPoints > larger * tolerance_bp;
}

/// Larger differences first, then the older request.
bool worse(const CostDifference& a, const CostDifference& b) {
    const Int128 size_a = magnitude(a.difference());
    const Int128 size_b = magnitude(b.difference());
    return std::tie(size_b, a.id.bytes, a.attempt) < std::tie(size_a, b.id.bytes, b.attempt);
}

void keep_worst(const CostDifference& one, std::size_t most, std::vector<CostDifference>& out) {
    if (most == 0 || one.difference() == 0) return;
    const auto place = std::upper_bound(out.begin(), out.end(), one, worse);
    if (out.size() == most && place == out.end()) return;
    out.insert(place, one);
    if (out.size() > most) out.pop_back();
}

void add(CostDifferenceRow& row, const std::optional<CostDifference>& compared, PicoUsd reported,
         const CostDifferenceQuery& query) {
    ++row.attempts;
    if (!compared) {
        ++row.unpriced;
        row.unpriced_reported.add(reported);
        return;
    }
    ++row.compared;
    row.beyond += is_beyond(*compared, query.tolerance_bp) ? 1 : 0;
    row.own.add(compared->own);
    row.reported.add(reported);
}

struct IdBounds {
    RequestId low, high;
};

/// `bounds` is filled; the statement is bound to it and to `query`.
Result<Statement> rows_of(Database& db, const ReportQuery& query, IdBounds& bounds) {
    std::string sql =
        "SELECT a.request_id, a.number, a.provider, a.model, a.computed_cost_pico_usd,"
        " a.reported_cost_pico_usd FROM attempt a JOIN request r ON r.id = a.request_id"
        " WHERE a.request_id >= ?1 AND a.request_id < ?2 AND r.ts_us >= ?3 AND r.ts_us < ?4 AND"
        " a.reported_cost_pico_usd IS NOT NULL";
    int number = 5;
    for (const ReportFilter& filter : query.filters) {
        sql += " AND " + filter_condition(db, filter, number, "a.");
        number += filter_has_parameter(filter) ? 1 : 0;
    }
    auto rows = db.prepare_scan(sql);
    if (!rows) return rows;
    const ReportRange range = range_of(query.since_us, query.until_us);
    bounds.low = id_bound(range.since_us - (query.since_us ? kHourUs : 0));
    bounds.high = id_bound(range.until_us + (query.until_us ? kHourUs : 0));
    if (!query.until_us) bounds.high.bytes.fill(0xff);
    rows->bind_blob(1, bounds.low.bytes).bind_blob(2, bounds.high.bytes);
    rows->bind(3, range.since_us).bind(4, range.until_us);
    number = 5;
    for (const ReportFilter& filter : query.filters) {
        if (filter_has_parameter(filter)) rows->bind(number++, filter.value);
    }
    return rows;
}

/// Days of the range that the roll-ups have and the rows have no more.
Result<void> note_missing_rows(Database& db, const ReportQuery& query,
                               std::vector<std::string>& notes) {
    const auto first_day = db.query_int("SELECT min(day) FROM rollup_attempt");
    if (!first_day) return fail(first_day.error());
    const auto first_us = db.query_int(
        "SELECT ts_us FROM request WHERE id = (SELECT id FROM request ORDER BY id LIMIT 1)");
    if (!first_us) return fail(first_us.error());
    if (!*first_day) return {};
    const std::int64_t kept = *first_us ? day_of(**first_us) : INT64_MAX;
    const ReportRange range = range_of(query.since_us, query.until_us);
    const std::int64_t asked = std::max(**first_day, day_of(range.since_us));
    if (asked < kept && range.until_us > **first_day * kDayUs) {
        notes.push_back(
            fmt::format("only rows are compared, and ledger.retention_days took those {} away",
                        *first_us ? "before " + iso_day(kept) : std::string("of this time")));
    }
    return {};
}

Result<std::string> text_of(const ReportOptions& options, CostDifferenceQuery query,
                            std::FILE* err) {
    replay_for_reader(options.state_dir, options.database, err);
    query.report.filters = options.filters;
    if (auto read = read_times(options, unix_now_us(), query.report); !read) {
        return fail(read.error());
    }
    auto db = open_for_reading(options.state_dir, options.database);
    if (!db) return fail(std::move(db.error()));
    CostDifferenceReport report;
    report.query = query;
    if (*db) {
        auto built = build_cost_differences(**db, query);
        if (!built) return fail(std::move(built.error()));
        report = std::move(*built);
    }
    for (const std::string& note : report.notes) fmt::print(err, "note: {}\n", note);
    switch (options.format) {
        case ReportFormat::kTable: return render_cost_differences_table(report, options.colour);
        case ReportFormat::kJson: return render_cost_differences_json(report);
        case ReportFormat::kCsv: return render_cost_differences_csv(report);
    }
    return std::string();
}

/// nullopt where nothing could be compared: then there are no figures, not figures of 0.
std::optional<PicoUsdSum> if_compared(const CostDifferenceRow& row, PicoUsdSum amount) {
    if (row.attempts > 0 && row.compared == 0) return std::nullopt;
    return amount;
}

std::vector<std::string> cells_of(const CostDifferenceRow& row, std::string provider,
                                  std::string model) {
    return {std::move(provider),
            std::move(model),
            with_separators(row.attempts),
            exact_usd_cell(if_compared(row, row.own)),
            exact_usd_cell(if_compared(row, row.reported)),
            exact_usd_cell(if_compared(row, row.difference())),
            with_separators(row.beyond),
            with_separators(row.unpriced)};
}

void row_json(json::Writer& out, const CostDifferenceRow& row) {
    out.key("attempts").integer(row.attempts).key("compared").integer(row.compared);
    out.key("beyond_tolerance").integer(row.beyond);
    money_json(out, "own", if_compared(row, row.own));
    money_json(out, "reported", if_compared(row, row.reported));
    money_json(out, "difference", if_compared(row, row.difference()));
    out.key("unknown_price_attempts").integer(row.unpriced);
    money_json(out, "unknown_price_reported", row.unpriced_reported);
}

std::string percent_text(std::int64_t basis_points) {
    return fmt::format("{}.{:02} %", basis_points / 100, basis_points % 100);
}

}  // namespace

Result<CostDifferenceReport> build_cost_differences(Database& db,
                                                    const CostDifferenceQuery& query) {
    auto snapshot = Transaction::begin_read(db);
    if (!snapshot) return fail(std::move(snapshot.error()));
    CostDifferenceReport report;
    report.query = query;
    Names names(db);
    std::map<std::pair<std::int64_t, std::int64_t>, CostDifferenceRow> groups;
    {
        IdBounds bounds;
        auto rows = rows_of(db, query.report, bounds);
        if (!rows) return fail(std::move(rows.error()));
        while (true) {
            const auto more = rows->step();
            if (!more) return fail(more.error());
            if (!*more) break;
            CostDifferenceRow& row = groups[{rows->int64(2), rows->int64(3)}];
            const PicoUsd reported(rows->int64(5));
            std::optional<CostDifference> compared;
            if (const auto own = rows->optional_int64(4)) {
                compared.emplace();
                const auto id = rows->blob(0);
                std::copy_n(id.begin(), std::min(id.size(), compared->id.bytes.size()),
                            compared->id.bytes.begin());
                compared->attempt = rows->int64(1);
                compared->own = PicoUsd(*own);
                compared->reported = reported;
                keep_worst(*compared, query.worst, row.worst);
            }
            add(row, compared, reported, query);
            add(report.total, compared, reported, query);
        }
    }
    for (auto& [key, row] : groups) {
        row.provider = names.text(key.first);
        row.model = names.text(key.second);
        report.rows.push_back(std::move(row));
    }
    std::sort(report.rows.begin(), report.rows.end(), [](const auto& a, const auto& b) {
        const Int128 size_a = magnitude(a.difference().value());
        const Int128 size_b = magnitude(b.difference().value());
        return std::tie(size_b, a.provider, a.model) < std::tie(size_a, b.provider, b.model);
    });
    if (auto noted = note_missing_rows(db, query.report, report.notes); !noted) {
        return fail(std::move(noted.error()));
    }
    return report;
}

std::string render_cost_differences_table(const CostDifferenceReport& report, bool colour) {
    const auto paint = [&](const char* code, const std::string& text) {
        return colour ? code + text + "\x1b[0m" : text;
    };
    std::string title = "Leeway cost differences: what providers told − what our prices say";
    if (report.query.report.since_us) title += ", since " + iso_time(*report.query.report.since_us);
    if (report.query.report.until_us) title += ", until " + iso_time(*report.query.report.until_us);
    std::string out = paint("\x1b[1m", title) + "\n\n";
    if (report.rows.empty()) {
        return out + "No provider told what it bills in this time (xAI and OpenRouter do).\n";
    }
    std::vector<std::vector<std::string>> lines{
        {"provider", "model", "calls", "own", "reported", "difference", "beyond", "no price"}};
    for (const CostDifferenceRow& row : report.rows) {
        lines.push_back(cells_of(row, printable(row.provider), printable(row.model)));
    }
    lines.push_back(cells_of(report.total, "total", ""));
    const std::vector<std::string> texts = aligned(lines, 2);
    out += paint("\x1b[2m", texts.front()) + "\n";
    for (std::size_t i = 1; i + 1 < texts.size(); ++i) out += texts[i] + "\n";
    out += paint("\x1b[1m", texts.back()) + "\n";
    out += fmt::format("\nbeyond: calls whose figures differ by more than {} of the larger one\n",
                       percent_text(report.query.tolerance_bp));
    if (report.total.unpriced > 0) {
        out += fmt::format("{} calls, reported as {}, have no price of ours and are in no sum.\n",
                           report.total.unpriced, exact_usd_cell(report.total.unpriced_reported));
    }
    for (const CostDifferenceRow& row : report.rows) {
        if (row.worst.empty()) continue;
        out += fmt::format("\nworst of {} {}\n", printable(row.provider), printable(row.model));
        std::vector<std::vector<std::string>> worst;
        worst.reserve(row.worst.size());
        for (const CostDifference& one : row.worst) {
            worst.push_back({"  " + one.id.text(), fmt::format("attempt {}", one.attempt),
                             exact_usd_cell(PicoUsdSum(one.own.value())),
                             exact_usd_cell(PicoUsdSum(one.reported.value())),
                             exact_usd_cell(PicoUsdSum(one.difference()))});
        }
        for (const std::string& line : aligned(worst, 2)) out += line + "\n";
    }
    return out;
}

std::string render_cost_differences_json(const CostDifferenceReport& report) {
    std::string text;
    json::Writer out(text);
    out.object();
    time_json(out, "since", report.query.report.since_us);
    time_json(out, "until", report.query.report.until_us);
    out.key("tolerance_basis_points").integer(report.query.tolerance_bp);
    out.key("rows").array();
    for (const CostDifferenceRow& row : report.rows) {
        out.object().key("provider").string(row.provider).key("model").string(row.model);
        row_json(out, row);
        out.key("worst").array();
        for (const CostDifference& one : row.worst) {
            out.object().key("id").string(one.id.text()).key("attempt").integer(one.attempt);
            money_json(out, "own", PicoUsdSum(one.own.value()));
            money_json(out, "reported", PicoUsdSum(one.reported.value()));
            money_json(out, "difference", PicoUsdSum(one.difference()));
            out.close_object();
        }
        out.close_array().close_object();
    }
    out.close_array().key("totals").object();
    row_json(out, report.total);
    out.close_object().close_object();
    return text + "\n";
}

std::string render_cost_differences_csv(const CostDifferenceReport& report) {
    std::string out =
        "provider,model,attempts,compared,beyond_tolerance,own_usd,reported_usd,difference_usd,"
        "own_pico_usd,reported_pico_usd,difference_pico_usd,unknown_price_attempts,"
        "unknown_price_reported_pico_usd,worst\n";
    for (const CostDifferenceRow& row : report.rows) {
        out += fmt::format("{},{},{},{},{}", csv_text(row.provider), csv_text(row.model),
                           row.attempts, row.compared, row.beyond);
        const std::array<std::optional<PicoUsdSum>, 3> amounts{if_compared(row, row.own),
                                                               if_compared(row, row.reported),
                                                               if_compared(row, row.difference())};
        for (const auto& amount : amounts) {
            out += "," + (amount ? to_usd_string(*amount) : std::string());
        }
        for (const auto& amount : amounts) {
            out += "," + (amount ? to_pico_string(*amount) : std::string());
        }
        out += fmt::format(",{},{},", row.unpriced, to_pico_string(row.unpriced_reported));
        for (std::size_t i = 0; i < row.worst.size(); ++i) {
            out += (i == 0 ? "" : " ") + row.worst[i].id.text();
        }
        out += "\n";
    }
    return out;
}

int run_cost_differences(const ReportOptions& options, std::int64_t tolerance_bp, std::size_t worst,
                         std::FILE* out, std::FILE* err) {
    CostDifferenceQuery query;
    query.tolerance_bp = tolerance_bp;
    query.worst = worst;
    return write_report(text_of(options, std::move(query), err), out, err);
}

}  // namespace leeway::ledger
