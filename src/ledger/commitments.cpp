#include "ledger/commitments.hpp"

#include "base/clock.hpp"
#include "json/write.hpp"
#include "ledger/reader.hpp"
#include "ledger/report_filter.hpp"
#include "ledger/report_parts.hpp"
#include "ledger/schema.hpp"
#include "ledger/time_text.hpp"
#include "tokens/model_map.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace leeway::ledger {
namespace {

using prices::Commitment;
using prices::CommitmentWindow;
using store::sql::Database;
using store::sql::Transaction;

bool covers(const Commitment& commitment, const std::string& model) {
    if (commitment.models.empty()) return true;
    return std::any_of(
        commitment.models.begin(), commitment.models.end(),
        [&](const std::string& pattern) { return tokens::matches_wildcard(pattern, model); });
}

Result<void> add_up(Database& db, std::int64_t end_day, CommitmentStanding& standing) {
    auto rows = db.prepare(
        "SELECT n.text, a.attempts, a.unknown_cost, a.spent_hi, a.spent_lo FROM rollup_attempt a"
        " JOIN name n ON n.id = a.model WHERE a.day >= ?1 AND a.day < ?2 AND"
        " a.provider = (SELECT id FROM name WHERE text = ?3)");
    if (!rows) return fail(std::move(rows.error()));
    rows->bind(1, standing.window.first_day).bind(2, std::min(end_day, standing.window.end_day));
    rows->bind(3, standing.commitment.provider);
    while (true) {
        const auto row = rows->step();
        if (!row) return fail(row.error());
        if (!*row) return {};
        if (!covers(standing.commitment, std::string(rows->text(0)))) continue;
        standing.attempts += rows->int64(1);
        standing.unknown_cost += rows->int64(2);
        standing.spent.add(join({rows->int64(3), rows->int64(4)}));
    }
}

std::string_view state_of(const CommitmentStanding& one) {
    return prices::kCommitmentStateNames[static_cast<std::size_t>(one.window.state)];
}

std::string models_of(const Commitment& commitment, const char* between) {
    return fmt::format("{}", fmt::join(commitment.models, between));
}

/// A double: for people and a picture, not for money.
std::optional<double> share(const CommitmentStanding& one) {
    const auto used = one.used();
    if (!used || one.commitment.amount.value() <= 0) return std::nullopt;
    return static_cast<double>(used->value()) / static_cast<double>(one.commitment.amount.value());
}

Result<std::string> text_of(const ReportOptions& options, std::span<const Commitment> commitments,
                            std::FILE* err) {
    replay_for_reader(options.state_dir, options.database, err);
    ReportQuery query;
    const std::int64_t now_us = unix_now_us();
    if (auto read = read_times(options, now_us, query); !read) return fail(read.error());
    auto db = open_or_empty(options.state_dir, options.database);
    if (!db) return fail(std::move(db.error()));
    // The end is exclusive: until the first of a month shows the month before.
    const std::int64_t at_us = query.until_us ? *query.until_us - 1 : now_us;
    const auto report = build_commitments(*db, commitments, at_us);
    if (!report) return fail(report.error());
    switch (options.format) {
        case ReportFormat::kTable: return render_commitments_table(*report, options.colour);
        case ReportFormat::kJson: return render_commitments_json(*report);
        case ReportFormat::kCsv: return render_commitments_csv(*report);
    }
    return std::string();
}

}  // namespace

std::optional<PicoUsdSum> CommitmentStanding::used() const noexcept {
    if (attempts > 0 && unknown_cost >= attempts) return std::nullopt;
    return spent;
}

std::optional<PicoUsdSum> CommitmentStanding::left() const noexcept {
    if (!used()) return std::nullopt;
    return PicoUsdSum(std::max<Int128>(Int128{commitment.amount.value()} - spent.value(), 0));
}

std::optional<PicoUsdSum> CommitmentStanding::beyond() const noexcept {
    if (!used()) return std::nullopt;
    return PicoUsdSum(std::max<Int128>(spent.value() - commitment.amount.value(), 0));
}

Result<CommitmentReport> build_commitments(Database& db, std::span<const Commitment> commitments,
                                           std::int64_t at_us) {
    auto snapshot = Transaction::begin_read(db);
    if (!snapshot) return fail(std::move(snapshot.error()));
    CommitmentReport report;
    report.at_us = at_us;
    const std::int64_t day = day_of(at_us);
    for (const Commitment& commitment : commitments) {
        CommitmentStanding& one = report.standings.emplace_back();
        one.commitment = commitment;
        one.window = prices::window_of(commitment, day);
        if (one.window.state == CommitmentWindow::State::kUpcoming) continue;
        if (auto done = add_up(db, day + 1, one); !done) return fail(std::move(done.error()));
    }
    return report;
}

std::string render_commitments_table(const CommitmentReport& report, bool colour) {
    const auto paint = [&](const char* code, const std::string& text) {
        return colour ? code + text + "\x1b[0m" : text;
    };
    std::string out = paint("\x1b[1m", "Leeway commitments at " + iso_time(report.at_us)) + "\n\n";
    if (report.standings.empty()) {
        return out +
               "No commitment is configured. A provider has them as `commitments:`, for example\n"
               "  commitments: [{name: openai-2026, usd: 5000, per: month}]\n";
    }
    std::vector<std::vector<std::string>> lines{{"commitment", "provider", "models", "from", "to",
                                                 "state", "committed", "used", "left", "beyond",
                                                 "used %", "no price"}};
    std::int64_t unknown = 0;
    for (const CommitmentStanding& one : report.standings) {
        const auto part = share(one);
        unknown += one.unknown_cost;
        lines.push_back(
            {printable(one.commitment.name), printable(one.commitment.provider),
             one.commitment.models.empty() ? "all" : printable(models_of(one.commitment, " ")),
             iso_day(one.window.first_day), iso_day(one.window.end_day), std::string(state_of(one)),
             exact_usd_cell(PicoUsdSum(one.commitment.amount.value())), exact_usd_cell(one.used()),
             exact_usd_cell(one.left()), exact_usd_cell(one.beyond()),
             part ? fmt::format("{:.1f}%", *part * 100) : "unknown",
             with_separators(one.unknown_cost)});
    }
    const std::vector<std::string> texts = aligned(lines, 6);
    out += paint("\x1b[2m", texts.front()) + "\n";
    for (std::size_t i = 1; i < texts.size(); ++i) out += texts[i] + "\n";
    if (unknown > 0) {
        out += fmt::format(
            "\n{} calls have an unknown price and are not in `used`: more than that may be used.\n",
            unknown);
    }
    return out;
}

std::string render_commitments_json(const CommitmentReport& report) {
    std::string text;
    json::Writer out(text);
    out.object();
    time_json(out, "at", report.at_us);
    out.key("commitments").array();
    for (const CommitmentStanding& one : report.standings) {
        out.object().key("name").string(one.commitment.name);
        out.key("provider").string(one.commitment.provider).key("models").array();
        for (const std::string& model : one.commitment.models) out.string(model);
        out.close_array().key("per").string(to_string(one.commitment.per));
        out.key("from").string(iso_day(one.window.first_day));
        out.key("to").string(iso_day(one.window.end_day)).key("state").string(state_of(one));
        money_json(out, "committed", PicoUsdSum(one.commitment.amount.value()));
        money_json(out, "used", one.used());
        money_json(out, "left", one.left());
        money_json(out, "beyond", one.beyond());
        const auto part = share(one);
        out.key("used_share");
        part ? out.number(*part) : out.null();
        out.key("attempts").integer(one.attempts);
        out.key("unknown_price_attempts").integer(one.unknown_cost);
        out.close_object();
    }
    out.close_array().close_object();
    return text + "\n";
}

std::string render_commitments_csv(const CommitmentReport& report) {
    std::string out =
        "commitment,provider,models,per,from,to,state,committed_usd,used_usd,left_usd,beyond_usd,"
        "committed_pico_usd,used_pico_usd,left_pico_usd,beyond_pico_usd,attempts,"
        "unknown_price_attempts\n";
    for (const CommitmentStanding& one : report.standings) {
        out +=
            fmt::format("{},{},{},{},{},{},{}", csv_text(one.commitment.name),
                        csv_text(one.commitment.provider), csv_text(models_of(one.commitment, " ")),
                        to_string(one.commitment.per), iso_day(one.window.first_day),
                        iso_day(one.window.end_day), state_of(one));
        const std::array<std::optional<PicoUsdSum>, 4> amounts{
            PicoUsdSum(one.commitment.amount.value()), one.used(), one.left(), one.beyond()};
        for (const auto& amount : amounts) {
            out += "," + (amount ? to_usd_string(*amount) : std::string());
        }
        for (const auto& amount : amounts) {
            out += "," + (amount ? to_pico_string(*amount) : std::string());
        }
        out += fmt::format(",{},{}\n", one.attempts, one.unknown_cost);
    }
    return out;
}

int run_commitments(const ReportOptions& options, std::span<const Commitment> commitments,
                    std::FILE* out, std::FILE* err) {
    return write_report(text_of(options, commitments, err), out, err);
}

}  // namespace leeway::ledger
