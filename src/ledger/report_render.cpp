#include "json/write.hpp"
#include "ledger/report.hpp"
#include "ledger/time_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
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

std::string with_separators(std::string digits) {
    const std::size_t start = digits.starts_with('-') ? 1 : 0;
    for (std::size_t at = digits.size(); at > start + 3;) {
        at -= 3;
        digits.insert(at, ",");
    }
    return digits;
}

/// Unknown when something was asked for and none of it has a known amount.
bool spent_known(const Totals& t) { return t.requests == 0 || t.unknown_cost < t.requests; }
bool baseline_known(const Totals& t) { return t.requests == 0 || t.known_baseline > 0; }
bool saved_known(const Totals& t) { return t.requests == 0 || t.known_saved > 0; }

std::string usd_cell(bool known, PicoUsdSum amount) {
    if (!known) return "unknown";
    std::string text = display_usd(amount);
    text.insert(text.starts_with('-') ? 1 : 0, "$");
    return text;
}

double share(std::int64_t part, std::int64_t whole) {
    return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

std::string percent(std::int64_t part, std::int64_t whole) {
    return whole == 0 ? "-" : fmt::format("{:.1f}%", 100.0 * share(part, whole));
}

/// Width on a terminal, near enough: one column per code point.
std::size_t columns(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    }));
}

/// Names come from a configuration, but a terminal must not be driven by one.
std::string printable(std::string_view text) {
    std::string out(text);
    std::replace_if(
        out.begin(), out.end(),
        [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
    return out;
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

using Cells = std::array<std::string, 10>;

Cells cells_of(const std::string& group, const Totals& t) {
    return {group,
            with_separators(std::to_string(t.requests)),
            with_separators(std::to_string(t.errors)),
            with_separators(std::to_string(t.input_tokens)),
            with_separators(std::to_string(t.output_tokens)),
            usd_cell(spent_known(t), t.spent),
            usd_cell(baseline_known(t), t.baseline),
            usd_cell(saved_known(t), t.saved),
            percent(t.hits, t.requests),
            percent(t.unknown_cost, t.requests)};
}

std::string line_of(const Cells& cells, const std::array<std::size_t, 10>& widths) {
    std::string out;
    for (std::size_t i = 0; i < cells.size(); ++i) {
        const std::string space(widths[i] - columns(cells[i]), ' ');
        if (i > 0) out += "  ";
        out += i == 0 ? cells[i] + space : space + cells[i];
    }
    return out;
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

void money_json(json::Writer& out, const char* name, bool known, PicoUsdSum amount) {
    const std::string usd = to_usd_string(amount);
    const std::string pico = to_pico_string(amount);
    const std::string prefix = name;
    out.key(prefix + "_usd");
    known ? out.string(usd) : out.null();
    out.key(prefix + "_pico");
    known ? out.string(pico) : out.null();
    out.key(prefix + "_pico_usd");
    known ? out.raw(pico) : out.null();
}

void totals_json(json::Writer& out, const Totals& t) {
    out.key("requests").integer(t.requests).key("errors").integer(t.errors);
    out.key("input_tokens").integer(t.input_tokens).key("output_tokens").integer(t.output_tokens);
    money_json(out, "spent", spent_known(t), t.spent);
    money_json(out, "baseline", baseline_known(t), t.baseline);
    money_json(out, "saved", saved_known(t), t.saved);
    out.key("hits").integer(t.hits).key("hit_rate").number(share(t.hits, t.requests));
    out.key("unknown_price_requests").integer(t.unknown_cost);
    out.key("unknown_price_share").number(share(t.unknown_cost, t.requests));
    out.key("unknown_baseline_requests").integer(t.requests - t.known_baseline);
}

std::string csv_text(std::string_view text) {
    if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"') out += '"';
        out += c;
    }
    return out + "\"";
}

void time_json(json::Writer& out, const char* name, std::optional<std::int64_t> ts_us) {
    out.key(name);
    ts_us ? out.string(iso_time(*ts_us)) : out.null();
}

}  // namespace

std::string display_usd(PicoUsdSum amount) {
    constexpr Int128 kUsd = 1'000'000'000'000;
    const bool negative = amount.value() < 0;
    Int128 magnitude = negative ? -amount.value() : amount.value();
    // Three significant digits: below one dollar that is two more decimals than leading zeros.
    int decimals = 2;
    for (Int128 limit = kUsd; decimals < 12 && magnitude != 0 && magnitude < limit; limit /= 10) {
        ++decimals;
    }
    Int128 unit = 1;
    for (int i = decimals; i < 12; ++i) unit *= 10;
    magnitude = (magnitude + unit / 2) / unit * unit;
    const std::string all = to_usd_string(magnitude);
    const std::size_t dot = std::min(all.find('.'), all.size());
    std::string fraction = dot < all.size() ? all.substr(dot + 1) : std::string();
    fraction.resize(static_cast<std::size_t>(decimals), '0');
    return (negative ? "-" : "") + with_separators(all.substr(0, dot)) + "." + fraction;
}

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
    std::array<std::size_t, 10> widths{};
    for (const Cells& cells : lines) {
        for (std::size_t i = 0; i < cells.size(); ++i) {
            widths[i] = std::max(widths[i], columns(cells[i]));
        }
    }
    out += paint(kDim, line_of(lines.front(), widths)) + "\n";
    for (std::size_t i = 0; i < report.rows.size(); ++i) {
        const std::string picture = bar(report.rows[i].totals, scale, colour);
        out += line_of(lines[i + 1], widths) + (picture.empty() ? "" : "  " + picture) + "\n";
    }
    out += paint(kBold, line_of(lines.back(), widths)) + "\n";
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
        const std::pair<bool, PicoUsdSum> amounts[] = {
            {spent_known(t), t.spent}, {baseline_known(t), t.baseline}, {saved_known(t), t.saved}};
        for (const std::string& group : row.groups) out += csv_text(group) + ",";
        out += fmt::format("{},{},{},{}", t.requests, t.errors, t.input_tokens, t.output_tokens);
        for (const auto& [known, amount] : amounts) {
            out += "," + (known ? to_usd_string(amount) : std::string());
        }
        for (const auto& [known, amount] : amounts) {
            out += "," + (known ? to_pico_string(amount) : std::string());
        }
        out += fmt::format(",{},{:.6f},{},{:.6f}\n", t.hits, share(t.hits, t.requests),
                           t.unknown_cost, share(t.unknown_cost, t.requests));
    }
    return out;
}

}  // namespace leeway::ledger
