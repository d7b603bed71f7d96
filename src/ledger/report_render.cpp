#include "json/write.hpp"
#include "ledger/report.hpp"
#include "ledger/report_parts.hpp"
#include "ledger/time_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

namespace leeway::ledger {
namespace {

constexpr int kBarWidth = 24;
constexpr const char* kBold = "\x1b[1m";
constexpr const char* kDim = "\x1b[2m";
constexpr const char* kSpentColour = "\x1b[33m";
constexpr const char* kSavedColour = "\x1b[32m";
constexpr const char* kReset = "\x1b[0m";

/// Unknown when something was asked for and none of it has a known amount.
std::optional<PicoUsdSum> spent(const Totals& t) {
    if (t.requests > 0 && t.unknown_cost >= t.requests) return std::nullopt;
    return t.spent;
}
std::optional<PicoUsdSum> baseline(const Totals& t) {
    if (t.requests > 0 && t.known_baseline == 0) return std::nullopt;
    return t.baseline;
}
std::optional<PicoUsdSum> saved(const Totals& t) {
    if (t.requests > 0 && t.known_saved == 0) return std::nullopt;
    return t.saved;
}

double share(std::int64_t part, std::int64_t whole) {
    return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

std::string percent(std::int64_t part, std::int64_t whole) {
    return whole == 0 ? "-" : fmt::format("{:.1f}%", 100.0 * share(part, whole));
}

/// A bar for what was spent and what was saved, to the scale of the dearest row.
std::string bar(const Totals& t, Int128 scale, bool colour) {
    if (scale <= 0) return {};
    const auto cells = [&](Int128 amount) {
        if (amount <= 0) return 0;
        return static_cast<int>(
            std::min<Int128>((amount * kBarWidth + scale / 2) / scale, kBarWidth));
    };
    const int spent = cells(t.spent.value());
    const int saved = std::min(cells(t.saved.value()), kBarWidth - spent);
    std::string out;
    if (colour) out += kSpentColour;
    for (int i = 0; i < spent; ++i) out += "█";
    if (colour) out += kSavedColour;
    for (int i = 0; i < saved; ++i) out += "░";
    if (colour) out += kReset;
    return out;
}

using Cells = std::vector<std::string>;

Cells cells_of(const std::string& group, const Totals& t) {
    return {group,
            with_separators(t.requests),
            with_separators(t.errors),
            with_separators(t.input_tokens),
            with_separators(t.output_tokens),
            usd_cell(spent(t)),
            usd_cell(baseline(t)),
            usd_cell(saved(t)),
            percent(t.hits, t.requests),
            percent(t.unknown_cost, t.requests)};
}

std::string by_text(const ReportQuery& query, std::string_view between) {
    std::string out;
    for (const ReportBy by : query.by) {
        if (!out.empty()) out += between;
        out += to_string(by);
    }
    return out;
}

/// "name / 2026-11-24"
std::string group_text(const ReportRow& row) {
    std::string out;
    for (const std::string& group : row.groups) {
        if (!out.empty()) out += " / ";
        out += group.empty() ? "(none)" : printable(group);
    }
    return out;
}

std::string title_of(const Report& report) {
    std::string out = "Leeway report by " + by_text(report.query, ", ");
    for (const ReportFilter& filter : report.query.filters) {
        out += fmt::format(", {} {}", to_string(filter.by),
                           filter.value.empty() ? "(none)" : printable(filter.value));
    }
    if (report.query.since_us) out += ", since " + iso_time(*report.query.since_us);
    if (report.query.until_us) out += ", until " + iso_time(*report.query.until_us);
    return out + " (days in UTC)";
}

void totals_json(json::Writer& out, const Totals& t) {
    out.key("requests").integer(t.requests).key("errors").integer(t.errors);
    out.key("input_tokens").integer(t.input_tokens).key("output_tokens").integer(t.output_tokens);
    money_json(out, "spent", spent(t));
    money_json(out, "baseline", baseline(t));
    money_json(out, "saved", saved(t));
    out.key("hits").integer(t.hits).key("hit_rate").number(share(t.hits, t.requests));
    out.key("unknown_price_requests").integer(t.unknown_cost);
    out.key("unknown_price_share").number(share(t.unknown_cost, t.requests));
    out.key("unknown_baseline_requests").integer(t.requests - t.known_baseline);
}

}  // namespace

std::string render_table(const Report& report, bool colour) {
    const auto paint = [&](const char* code, const std::string& text) {
        return colour ? code + text + kReset : text;
    };
    std::string out = paint(kBold, title_of(report)) + "\n\n";
    if (report.rows.empty()) {
        out += report.query.since_us || report.query.until_us
                   ? "No request in this time. Leave out --since and --until to see all.\n"
                   : "No request yet. Start the gateway with `leeway serve`, send it one, and look "
                     "here again:\n\n"
                     "  curl http://127.0.0.1:8484/v1/chat/completions -H 'content-type: "
                     "application/json' \\\n"
                     "    -d '{\"model\": \"MODEL\", \"messages\": [{\"role\": \"user\", "
                     "\"content\": \"Hello\"}]}'\n";
        return out;
    }
    std::vector<Cells> lines;
    lines.push_back({by_text(report.query, " / "), "requests", "errors", "input tok", "output tok",
                     "spent", "baseline", "saved", "hits", "no price"});
    Int128 scale = 0;
    for (const ReportRow& row : report.rows) {
        lines.push_back(cells_of(group_text(row), row.totals));
        const Int128 saved = std::max<Int128>(row.totals.saved.value(), 0);
        scale = std::max(scale, std::max<Int128>(row.totals.spent.value(), 0) + saved);
    }
    lines.push_back(cells_of("total", report.totals));
    const std::vector<std::string> texts = aligned(lines, 1);
    out += paint(kDim, texts.front()) + "\n";
    for (std::size_t i = 0; i < report.rows.size(); ++i) {
        const std::string picture = bar(report.rows[i].totals, scale, colour);
        out += texts[i + 1] + (picture.empty() ? "" : "  " + picture) + "\n";
    }
    out += paint(kBold, texts.back()) + "\n";
    if (scale > 0) {
        out += "\n" + paint(kSpentColour, "█") + " spent  " + paint(kSavedColour, "░") +
               " saved (baseline − spent, where both are known)\n";
    }
    if (report.totals.unknown_cost > 0) {
        out += fmt::format(
            "{} of {} requests have an unknown price and are not in `spent`; give "
            "their models a price in the configuration.\n",
            report.totals.unknown_cost, report.totals.requests);
    }
    return out;
}

std::string render_json(const Report& report) {
    std::string text;
    json::Writer out(text);
    out.object().key("by").string(by_text(report.query, ","));
    time_json(out, "since", report.query.since_us);
    time_json(out, "until", report.query.until_us);
    out.key("rows").array();
    for (const ReportRow& row : report.rows) {
        out.object().key("group").string(row.groups.front());
        for (std::size_t i = 0; row.groups.size() > 1 && i < row.groups.size(); ++i) {
            out.key(to_string(report.query.by[i])).string(row.groups[i]);
        }
        totals_json(out, row.totals);
        out.close_object();
    }
    out.close_array().key("totals").object();
    totals_json(out, report.totals);
    out.close_object().close_object();
    return text + "\n";
}

std::string render_csv(const Report& report) {
    std::string out = fmt::format(
        "{},requests,errors,input_tokens,output_tokens,spent_usd,baseline_usd,saved_usd,"
        "spent_pico_usd,baseline_pico_usd,saved_pico_usd,hits,hit_rate,unknown_price_requests,"
        "unknown_price_share\n",
        by_text(report.query, ","));
    for (const ReportRow& row : report.rows) {
        const Totals& t = row.totals;
        const std::optional<PicoUsdSum> amounts[] = {spent(t), baseline(t), saved(t)};
        for (const std::string& group : row.groups) out += csv_text(group) + ",";
        out += fmt::format("{},{},{},{}", t.requests, t.errors, t.input_tokens, t.output_tokens);
        for (const auto& amount : amounts) {
            out += "," + (amount ? to_usd_string(*amount) : std::string());
        }
        for (const auto& amount : amounts) {
            out += "," + (amount ? to_pico_string(*amount) : std::string());
        }
        out += fmt::format(",{},{:.6f},{},{:.6f}\n", t.hits, share(t.hits, t.requests),
                           t.unknown_cost, share(t.unknown_cost, t.requests));
    }
    return out;
}

}  // namespace leeway::ledger
