#include "ledger/savings.hpp"

#include "base/clock.hpp"
#include "ledger/reader.hpp"
#include "ledger/report_filter.hpp"
#include "ledger/report_parts.hpp"
#include "ledger/report_scan.hpp"
#include "ledger/schema.hpp"
#include "ledger/time_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace leeway::ledger {
namespace {

using store::sql::Database;
using store::sql::Statement;
using store::sql::Transaction;

/// What the arms of the routes add up to, by the route's number.
using Arms = std::map<std::int64_t, std::array<ArmTotals, 3>>;

class Builder {
public:
    Builder(Database& db, SavingsReport& report) : db_(db), report_(report) {}

    Result<void> run() {
        const ReportQuery& query = report_.query;
        const bool rolled =
            std::all_of(query.filters.begin(), query.filters.end(),
                        [](const ReportFilter& filter) { return filter.by == ReportBy::kRoute; });
        const ReportRange range = range_of(query.since_us, query.until_us);
        Result<void> done = rolled ? add_window(range) : add_rows(range.since_us, range.until_us);
        if (!done) return done;
        PicoUsdSum sum = report_.actual;
        for (const StepSum& step : report_.steps) sum.add(step.total());
        if (sum != report_.baseline) {
            return fail(ErrorCode::kInternal,
                        "the steps of the waterfalls do not add up to the baseline",
                        "the ledger's database was changed by another program");
        }
        Names names(db_);
        for (const auto& [route, arms] : arms_) {
            report_.comparisons.push_back(
                compare_arms(names.text(route), arms[static_cast<std::size_t>(Arm::kTreated)],
                             arms[static_cast<std::size_t>(Arm::kHeldOut)]));
        }
        return {};
    }

private:
    Result<void> add_window(const ReportRange& range) {
        auto reach = read_reach(db_);
        if (!reach) return fail(std::move(reach.error()));
        const RollupWindow window = window_of(range.since_us, range.until_us, *reach);
        auto done = add_rollups(window.first_hour, window.end_hour, *reach);
        for (const CutSpan& cut : window.cuts) {
            if (!done) return done;
            const auto all = has_rows_of(db_, cut, *reach);
            if (!all) return fail(all.error());
            if (!*all) report_.notes.push_back(whole_note(cut));
            done = *all ? add_rows(cut.from_us, cut.to_us)
                        : add_rollups(cut.first_hour, cut.end_hour, *reach);
        }
        return done;
    }

    /// Their parameters count from `number` on, without gaps: PostgreSQL asks for each one's type.
    [[nodiscard]] std::string conditions(int number) const {
        std::string out;
        for (const ReportFilter& filter : report_.query.filters) {
            out += " AND " + filter_condition(db_, filter, number);
            number += filter_has_parameter(filter) ? 1 : 0;
        }
        return out;
    }

    void bind_filters(Statement& rows, int number) const {
        for (const ReportFilter& filter : report_.query.filters) {
            if (filter_has_parameter(filter)) rows.bind(number++, filter.value);
        }
    }

    void add_step(std::int64_t step, std::int64_t label, std::int64_t requests, PicoUsdSum amount) {
        if (step == kStepUnknown) report_.unknown += requests;
        if (step == kStepActual) report_.actual.add(amount);
        if (step == kStepBaseline) {
            report_.baseline.add(amount);
            report_.known += requests;
        }
        if (step < 0 || step >= static_cast<std::int64_t>(prices::kSavingSteps)) return;
        StepSum& sum = report_.steps[static_cast<std::size_t>(step)];
        sum.requests += requests;
        sum.by_label[static_cast<std::size_t>(label & 3)].add(amount);
    }

    Result<void> add_rollups(std::int64_t first_hour, std::int64_t end_hour,
                             const RollupReach& reach) {
        const std::string where =
            " WHERE hours = ?1 AND start >= ?2 AND start < ?3" + conditions(4);
        auto steps = db_.prepare("SELECT step, label, requests, hi, lo FROM rollup_saving" + where);
        if (!steps) return fail(std::move(steps.error()));
        auto arms = db_.prepare(
            "SELECT route, arm, requests, errors, known, spent_hi, spent_lo, squares_usd2"
            " FROM rollup_arm" +
            where);
        if (!arms) return fail(std::move(arms.error()));
        for (const HourSpan& span : cover_hours(first_hour, end_hour, reach)) {
            for (Statement* rows : {&*steps, &*arms}) {
                rows->reset();
                rows->bind(1, span.hours).bind(2, span.first_hour).bind(3, span.end_hour);
                bind_filters(*rows, 4);
            }
            if (auto done = add_steps(*steps); !done) return done;
            if (auto done = add_arms(*arms); !done) return done;
        }
        return {};
    }

    Result<void> add_steps(Statement& rows) {
        while (true) {
            const auto row = rows.step();
            if (!row) return fail(row.error());
            if (!*row) return {};
            add_step(rows.int64(0), rows.int64(1), rows.int64(2),
                     join({rows.int64(3), rows.int64(4)}));
        }
    }

    Result<void> add_arms(Statement& rows) {
        while (true) {
            const auto row = rows.step();
            if (!row) return fail(row.error());
            if (!*row) return {};
            ArmTotals& sum = arms_[rows.int64(0)][static_cast<std::size_t>(rows.int64(1) % 3)];
            sum.requests += rows.int64(2);
            sum.errors += rows.int64(3);
            sum.known += rows.int64(4);
            sum.spent.add(join({rows.int64(5), rows.int64(6)}));
            sum.squares_usd2 += rows.real(7);
        }
    }

    Result<void> add_rows(std::int64_t from_us, std::int64_t to_us) {
        if (from_us >= to_us) return {};
        auto rows = db_.prepare_scan(
            "SELECT route, arm, end, cost_pico_usd, baseline_pico_usd, saving_labels,"
            " saved_exact_cache_pico_usd, saved_tier_pico_usd, saved_route_pico_usd,"
            " saved_prompt_cache_pico_usd, saved_billing_pico_usd, saved_attempts_pico_usd,"
            " saved_gateway_pico_usd FROM request WHERE id >= ?1 AND id < ?2 AND ts_us >= ?3 AND"
            " ts_us < ?4" +
            conditions(5));
        if (!rows) return fail(std::move(rows.error()));
        const auto low = id_bound(from_us - kHourUs);
        auto high = id_bound(to_us + kHourUs);
        if (!report_.query.until_us) high.bytes.fill(0xff);
        rows->bind_blob(1, low.bytes).bind_blob(2, high.bytes).bind(3, from_us).bind(4, to_us);
        bind_filters(*rows, 5);
        while (true) {
            const auto row = rows->step();
            if (!row) return fail(row.error());
            if (!*row) return {};
            add_row(*rows);
        }
    }

    void add_row(const Statement& row) {
        if (row.is_null(5)) {
            ++report_.unknown;
        } else {
            add_step(kStepBaseline, 0, 1, PicoUsdSum(row.int64(4)));
            add_step(kStepActual, 0, 1, PicoUsdSum(row.int64(3)));
            prices::Waterfall labels;
            labels.unpack_labels(static_cast<std::uint32_t>(row.int64(5)));
            for (std::size_t i = 0; i < prices::kSavingSteps; ++i) {
                const std::int64_t saved = row.int64(6 + static_cast<int>(i));
                if (saved == 0) continue;
                add_step(static_cast<std::int64_t>(i), static_cast<std::int64_t>(labels.labels[i]),
                         1, PicoUsdSum(saved));
            }
        }
        const std::int64_t arm = row.int64(1);
        if (arm == 0) return;
        ArmTotals& sum = arms_[row.int64(0)][static_cast<std::size_t>(arm % 3)];
        ++sum.requests;
        const auto end = static_cast<EndState>(row.int64(2));
        sum.errors += end != EndState::kOk && end != EndState::kClientGone ? 1 : 0;
        const auto cost = row.optional_int64(3);
        if (!cost) return;
        ++sum.known;
        sum.spent.add(PicoUsd(*cost));
        const double usd = static_cast<double>(*cost) / 1e12;
        sum.squares_usd2 += usd * usd;
    }

    Database& db_;
    SavingsReport& report_;
    Arms arms_;
};

Result<std::string> text_of(const ReportOptions& options, std::FILE* err) {
    replay_for_reader(options.state_dir, options.database, err);
    ReportQuery query;
    query.filters = options.filters;
    if (auto read = read_times(options, unix_now_us(), query); !read) return fail(read.error());
    auto db = open_for_reading(options.state_dir, options.database);
    if (!db) return fail(std::move(db.error()));
    SavingsReport report;
    report.query = query;
    if (*db) {
        auto built = build_savings(**db, query);
        if (!built) return fail(std::move(built.error()));
        report = std::move(*built);
    }
    for (const std::string& note : report.notes) fmt::print(err, "note: {}\n", note);
    switch (options.format) {
        case ReportFormat::kTable: return render_savings_table(report, options.colour);
        case ReportFormat::kJson: return render_savings_json(report);
        case ReportFormat::kCsv: return render_savings_csv(report);
    }
    return std::string();
}

/// Nine digits: beyond them an interval depends on the order in which its squares were added up, which is another one in
/// each database.
double rounded(double value) {
    if (!(value > 0) || !std::isfinite(value)) return value;
    constexpr int kDigits = 9;
    const double scale = std::pow(10.0, kDigits - 1 - std::floor(std::log10(value)));
    return std::isfinite(scale) ? std::round(value * scale) / scale : value;
}

}  // namespace

Comparison compare_arms(std::string route, const ArmTotals& treated, const ArmTotals& held_out) {
    Comparison out;
    out.route = std::move(route);
    out.treated = treated;
    out.held_out = held_out;
    if (treated.known < kLeastEvidence || held_out.known < kLeastEvidence) return out;
    const auto mean = [](const ArmTotals& arm) {
        return static_cast<double>(arm.spent.value()) / 1e12 / static_cast<double>(arm.known);
    };
    const auto variance_of_mean = [&](const ArmTotals& arm) {
        const auto n = static_cast<double>(arm.known);
        const double squares = arm.squares_usd2 - n * mean(arm) * mean(arm);
        return std::max(squares, 0.0) / (n - 1) / n;
    };
    out.difference_usd = mean(held_out) - mean(treated);
    const double half =
        rounded(1.96 * std::sqrt(variance_of_mean(treated) + variance_of_mean(held_out)));
    out.low_usd = out.difference_usd - half;
    out.high_usd = out.difference_usd + half;
    out.claim = out.low_usd > 0    ? Comparison::Claim::kSaves
                : out.high_usd < 0 ? Comparison::Claim::kCostsMore
                                   : Comparison::Claim::kNoDifference;
    return out;
}

Result<SavingsReport> build_savings(Database& db, const ReportQuery& query) {
    auto snapshot = Transaction::begin_read(db);
    if (!snapshot) return fail(std::move(snapshot.error()));
    SavingsReport report;
    report.query = query;
    if (auto done = Builder(db, report).run(); !done) return fail(std::move(done.error()));
    return report;
}

int run_savings(const ReportOptions& options, std::FILE* out, std::FILE* err) {
    return write_report(text_of(options, err), out, err);
}

}  // namespace leeway::ledger
