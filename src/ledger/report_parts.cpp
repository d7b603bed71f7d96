#include "ledger/report_parts.hpp"

#include "ledger/time_text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::ledger {
namespace {

std::string separated(std::string digits) {
    const std::size_t start = digits.starts_with('-') ? 1 : 0;
    for (std::size_t at = digits.size(); at > start + 3;) {
        at -= 3;
        digits.insert(at, ",");
    }
    return digits;
}

/// Width on a terminal, near enough: one column per code point.
std::size_t columns(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    }));
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
    return (negative ? "-" : "") + separated(all.substr(0, dot)) + "." + fraction;
}

std::string usd_cell(std::optional<PicoUsdSum> amount) {
    if (!amount) return "unknown";
    std::string text = display_usd(*amount);
    text.insert(text.starts_with('-') ? 1 : 0, "$");
    return text;
}

std::string exact_usd_cell(std::optional<PicoUsdSum> amount) {
    if (!amount) return "unknown";
    const std::string all = to_usd_string(*amount);
    const std::size_t dot = std::min(all.find('.'), all.size());
    std::string fraction = dot < all.size() ? all.substr(dot + 1) : std::string();
    fraction.resize(std::max<std::size_t>(fraction.size(), 2), '0');
    std::string text = separated(all.substr(0, dot)) + "." + fraction;
    text.insert(text.starts_with('-') ? 1 : 0, "$");
    return text;
}

std::string with_separators(std::int64_t count) { return separated(std::to_string(count)); }

std::string printable(std::string_view text) {
    std::string out(text);
    std::replace_if(
        out.begin(), out.end(),
        [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
    return out;
}

std::vector<std::string> aligned(const std::vector<std::vector<std::string>>& lines,
                                 std::size_t left) {
    std::vector<std::size_t> widths;
    for (const auto& cells : lines) {
        widths.resize(std::max(widths.size(), cells.size()));
        for (std::size_t i = 0; i < cells.size(); ++i) {
            widths[i] = std::max(widths[i], columns(cells[i]));
        }
    }
    std::vector<std::string> out;
    for (const auto& cells : lines) {
        std::string& line = out.emplace_back();
        for (std::size_t i = 0; i < cells.size(); ++i) {
            const std::string space(widths[i] - columns(cells[i]), ' ');
            if (i > 0) line += "  ";
            line += i < left ? cells[i] + space : space + cells[i];
        }
    }
    return out;
}

void money_json(json::Writer& out, std::string_view name, std::optional<PicoUsdSum> amount) {
    const std::string prefix(name);
    const std::string pico = amount ? to_pico_string(*amount) : std::string();
    out.key(prefix + "_usd");
    amount ? out.string(to_usd_string(*amount)) : out.null();
    out.key(prefix + "_pico");
    amount ? out.string(pico) : out.null();
    out.key(prefix + "_pico_usd");
    amount ? out.raw(pico) : out.null();
}

void time_json(json::Writer& out, std::string_view name, std::optional<std::int64_t> ts_us) {
    out.key(name);
    ts_us ? out.string(iso_time(*ts_us)) : out.null();
}

int write_report(const Result<std::string>& text, std::FILE* out, std::FILE* err) {
    if (!text) {
        fmt::print(err, "leeway report: {}\n", text.error().text());
        return 1;
    }
    const bool written = std::fwrite(text->data(), 1, text->size(), out) == text->size();
    return written && std::fflush(out) == 0 ? 0 : 1;
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

}  // namespace leeway::ledger
