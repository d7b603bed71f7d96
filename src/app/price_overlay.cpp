#include "app/config_reader.hpp"
#include "app/price_layers.hpp"
#include "base/strings.hpp"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

namespace leeway::app {
namespace {

constexpr unsigned kDeepestMatch = 8;

/// "50%" or "110%" in basis points.
std::optional<std::uint32_t> factor_of(std::string_view text) {
    if (!text.ends_with('%')) return std::nullopt;
    const auto rate = parse_usd_per_million(trim(text.substr(0, text.size() - 1)));
    constexpr std::int64_t kBasisPoint = 10'000'000;  // 0.01 in the unit of the parser
    if (!rate || rate->value() % kBasisPoint != 0) return std::nullopt;
    const std::int64_t points = rate->value() / kBasisPoint;
    if (points < 1 || points > 100'000) return std::nullopt;
    return static_cast<std::uint32_t>(points);
}

prices::Matcher read_match(ConfigSource& source, Section section, unsigned depth = 0) {
    using Kind = prices::Matcher::Kind;
    for (const char* word : {"equals", "starts_with", "ends_with", "contains", "regex"}) {
        const auto value = section.scalar(word);
        if (!value) continue;
        section.finish();
        auto made = prices::Matcher::of(prices::Matcher::kind_of(word), value->text);
        if (made) return std::move(*made);
        source.error(value->mark, made.error().message);
        return {};
    }
    for (const char* word : {"or", "and"}) {
        if (!section.has(word) || depth > kDeepestMatch) continue;
        std::vector<prices::Matcher> parts;
        for (Section& part : section.list_of_sections(word)) {
            parts.push_back(read_match(source, std::move(part), depth + 1));
        }
        section.finish();
        return prices::Matcher::of(prices::Matcher::kind_of(word), std::move(parts));
    }
    if (section.has("not") && depth <= kDeepestMatch) {
        std::vector<prices::Matcher> parts{read_match(source, section.section("not"), depth + 1)};
        section.finish();
        return prices::Matcher::of(Kind::kNot, std::move(parts));
    }
    source.error(section.mark(),
                 "a match is one of equals, starts_with, ends_with, contains, regex, "
                 "or, and, not");
    return {};
}

void read_rates(ConfigSource& source, Section section, prices::Rates& out) {
    for (const prices::BucketInfo& info : prices::kBuckets) {
        const auto value = section.scalar(info.name);
        if (!value) continue;
        const auto rate = parse_usd_per_million(value->text);
        if (rate) {
            out.set(info.bucket, *rate);
        } else {
            source.error(value->mark, info.name, rate.error());
        }
    }
    section.finish();
}

prices::OverlayEntry read_entry(ConfigSource& source, Section& section) {
    prices::OverlayEntry out;
    out.what = fmt::format("the entry in line {}", section.mark().line + 1);
    section.text("provider", out.provider);
    if (!section.has("provider")) source.error(section.mark(), "an entry needs a provider");
    if (section.has("match")) {
        out.match = read_match(source, section.section("match"));
    } else {
        std::vector<PlacedText> models;
        section.list("models", models);
        std::vector<prices::Matcher> parts;
        for (const PlacedText& model : models) {
            auto part = prices::Matcher::of(prices::Matcher::Kind::kEquals, model.text);
            if (part) parts.push_back(std::move(*part));
        }
        if (parts.empty()) source.error(section.mark(), "an entry needs a match or models");
        out.match = prices::Matcher::of(prices::Matcher::Kind::kOr, std::move(parts));
    }
    section.declare("models");
    section.choice<prices::Tier>("tier", out.sheet.tier,
                                 {{"standard", prices::Tier::kStandard},
                                  {"batch", prices::Tier::kBatch},
                                  {"flex", prices::Tier::kFlex},
                                  {"priority", prices::Tier::kPriority},
                                  {"fast", prices::Tier::kFast}});
    section.text("region", out.sheet.region);
    std::uint32_t above = 0;
    section.number("above", above, 0, 1'000'000'000);
    if (section.has("above")) out.sheet.above = above;
    std::optional<std::int64_t> from;
    std::optional<std::int64_t> to;
    section.date("from", from);
    section.date("to", to);
    if (from) out.sheet.valid_from = *from;
    if (to) out.sheet.valid_to = *to;
    if (const auto factor = section.scalar("factor")) {
        const auto points = factor_of(factor->text);
        if (points) {
            out.factor_bp = *points;
        } else {
            source.error(factor->mark,
                         fmt::format("factor: '{}' is no percentage such as 50%", factor->text));
        }
    }
    std::vector<PlacedText> units;
    section.list("units", units);
    for (const PlacedText& unit : units) {
        bool known = false;
        for (const prices::BucketInfo& info : prices::kBuckets) {
            if (info.name != unit.text) continue;
            out.units.push_back(info.bucket);
            known = true;
        }
        if (!known) source.error(unit.mark, fmt::format("unknown unit '{}'", unit.text));
    }
    read_rates(source, section.section("rates"), out.sheet.rates);
    if ((out.factor_bp == 0) == out.sheet.rates.empty()) {
        source.error(section.mark(), "an entry has either a factor or rates");
    }
    section.text("source", out.sheet.source);
    if (!section.has("source")) source.error(section.mark(), "an entry needs a source");
    out.sheet.confidence = "single-source";
    section.text("confidence", out.sheet.confidence);
    std::optional<std::int64_t> checked;
    section.date("checked", checked);
    if (!checked) source.error(section.mark(), "an entry needs the date when it was checked");
    section.finish();
    return out;
}

}  // namespace

Result<std::vector<prices::OverlayEntry>> read_price_overlay(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        return fail(ErrorCode::kConfig, fmt::format("{} cannot be read", path),
                    "correct `prices: {overlay: …}`");
    }
    const std::string text((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
    ConfigSource source(path);
    std::vector<prices::OverlayEntry> out;
    try {
        if (const auto root = source.parse(text)) {
            Section top(source, *root, std::string(), YAML::Mark());
            for (Section& section : top.list_of_sections("entries")) {
                out.push_back(read_entry(source, section));
            }
            top.finish();
        }
    } catch (const YAML::Exception& exception) {
        source.error(exception.mark, exception.msg);
    }
    std::string problems;
    for (const ConfigProblem& problem : source.take_problems()) {
        if (!problem.is_error) continue;
        if (!problems.empty()) problems += '\n';
        problems += problem.text();
    }
    if (!problems.empty()) return fail(ErrorCode::kConfig, std::move(problems));
    return out;
}

}  // namespace leeway::app
