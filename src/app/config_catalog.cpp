#include "app/config_model.hpp"
#include "base/money.hpp"
#include "base/strings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace leeway::app {
namespace {

/// "12.5" or "12.5%" in basis points.
std::optional<std::uint32_t> basis_points(std::string_view text) {
    if (text.ends_with('%')) text = trim(text.substr(0, text.size() - 1));
    const std::size_t dot = text.find('.');
    const auto whole = parse_u64(text.substr(0, dot));
    std::uint64_t hundredths = 0;
    if (dot != std::string_view::npos) {
        const std::string_view digits = text.substr(dot + 1);
        const auto value = parse_u64(digits);
        if (!value || digits.empty() || digits.size() > 2) return std::nullopt;
        hundredths = digits.size() == 1 ? *value * 10 : *value;
    }
    if (!whole || *whole > 100 || *whole * 100 + hundredths > 10'000) return std::nullopt;
    return static_cast<std::uint32_t>(*whole * 100 + hundredths);
}

}  // namespace

void read_percentage(ConfigSource& source, Section& section, std::string_view key,
                     std::uint32_t& out) {
    const auto value = section.scalar(key);
    if (!value) return;
    if (const auto points = basis_points(value->text)) {
        out = *points;
    } else {
        source.error(value->mark, fmt::format("{}: '{}' is not a percentage (write 0% to 100% with "
                                              "at most two decimals, such as 12.5%)",
                                              key, value->text));
    }
}

namespace {

/// An amount of USD, not negative.
void read_usd(ConfigSource& source, Section& section, std::string_view key, std::int64_t& pico) {
    const auto value = section.scalar(key);
    if (!value) return;
    const auto amount = parse_usd(value->text);
    if (amount && amount->value() >= 0) {
        pico = amount->value();
    } else {
        source.error(value->mark,
                     fmt::format("{}: '{}' is not an amount of USD", key, value->text));
    }
}

void read_machine(ConfigSource& source, Section& section, ModelConfig& out) {
    read_usd(source, section, "machine_hour", out.machine_hour_pico_usd);
    section.number("machine_share", out.machine_share, 1, 100'000);
}

/// What is counted by the piece: USD per thousand, as the vendors' lists have it.
void read_services(ConfigSource& source, Section& section, prices::Rates& out) {
    for (const prices::BucketInfo& info : prices::kBuckets) {
        if (prices::is_tokens(info.kind)) continue;
        const std::string key = fmt::format("{}_per_thousand", info.name);
        const auto value = section.scalar(key);
        if (!value) continue;
        const auto rate = parse_usd_per_million(value->text);
        constexpr std::int64_t kMost = 1'000'000'000'000;  // 1000 USD for a thousand
        if (!rate || rate->value() > kMost) {
            source.error(value->mark, fmt::format("{}: '{}' is not a price in USD per thousand",
                                                  key, value->text));
            continue;
        }
        out.set(info.bucket, FemtoUsdPerUnit(rate->value() * 1000));
    }
}

/// `most_usd` is what no vendor asks: beyond it the unit is very likely wrong.
void read_rate(ConfigSource& source, Section& section, std::string_view key, std::int64_t most_usd,
               prices::Bucket bucket, prices::Rates& out) {
    const auto value = section.scalar(key);
    if (!value) return;
    const auto rate = parse_usd_per_million(value->text);
    if (!rate) {
        source.error(value->mark, key, rate.error());
        return;
    }
    constexpr std::int64_t kUsdPerMillion = 1'000'000'000;  // in 1e-15 USD per token
    if (rate->value() > most_usd * kUsdPerMillion) {
        source.error(
            value->mark,
            fmt::format("{}: {} USD per million tokens is more than any model costs; is it "
                        "cents, or a price for another number of tokens?",
                        key, value->text));
        return;
    }
    if (rate->value() > 0 && rate->value() < kUsdPerMillion / 1000) {
        source.warning(value->mark,
                       fmt::format("{}: {} USD per million tokens is very little; did you type a "
                                   "price per token, or per thousand tokens?",
                                   key, value->text));
    }
    out.set(bucket, *rate);
}

void read_price(ConfigSource& source, Section section, ModelConfig& model) {
    constexpr std::int64_t kMostInput = 1'000;
    constexpr std::int64_t kMostOutput = 5'000;
    prices::Rates& out = model.price;
    for (const prices::BucketInfo& info : prices::kBuckets) {
        if (!prices::is_tokens(info.kind)) continue;
        const bool input = info.kind == prices::BucketKind::kInputTokens;
        read_rate(source, section, info.name, input ? kMostInput : kMostOutput, info.bucket, out);
    }
    // The short name, as the vendors' lists have it.
    read_rate(source, section, "cache_write", kMostInput, prices::Bucket::kCacheWrite, out);
    read_services(source, section, out);
    read_machine(source, section, model);
    read_percentage(source, section, "discount", model.discount_bp);
    if (model.discount_bp > 0 && !out.empty()) {
        source.error(section.mark("discount"),
                     "a price of your own needs no discount: write what you pay");
    }
    if (model.machine_hour_pico_usd >= 0 && !out.empty()) {
        source.error(section.mark("machine_hour"),
                     "a model is priced per token or per hour of its machine, not both");
    }
    section.finish();
}

/// `targets:` instead of `provider:` and `name:`.
std::vector<YAML::Mark> read_targets(ConfigSource& source, Section& section, ModelConfig& out) {
    std::vector<YAML::Mark> marks;
    for (Section& one : section.list_of_sections("targets")) {
        TargetConfig target;
        target.upstream_name = out.name;
        one.text("provider", target.provider);
        one.text("name", target.upstream_name);
        one.number("weight", target.weight, 1, 1'000);
        if (!one.has("provider")) source.error(one.mark(), "a target needs a provider");
        marks.push_back(one.mark("provider"));
        one.finish();
        out.targets.push_back(std::move(target));
    }
    using providers::Balance;
    section.choice<Balance>("balance", out.balance,
                            {{"weighted", Balance::kWeighted},
                             {"least_pending", Balance::kLeastPending},
                             {"peak_ewma", Balance::kPeakEwma},
                             {"sticky", Balance::kSticky}});
    if (section.has("balance") && out.targets.empty())
        source.error(section.mark("balance"), "'balance' needs `targets` to choose from");
    for (const char* key : {"provider", "name", "file", "sha256"}) {
        if (!out.targets.empty() && section.has(key)) {
            source.error(section.mark(key),
                         fmt::format("a model with targets has no {} of its own", key));
        }
    }
    if (!out.targets.empty()) {
        out.provider = out.targets.front().provider;
        out.upstream_name = out.targets.front().upstream_name;
    }
    return marks;
}

/// What the model is not able to do.
void read_abilities(ConfigSource& source, Section& section, pipeline::Abilities& out) {
    constexpr std::uint32_t kMostContext = 100'000'000;
    std::uint32_t context = 0;
    section.number("context", context, 1, kMostContext);
    out.context_tokens = context;
    std::vector<PlacedText> lacks;
    section.list("lacks", lacks);
    const std::array<std::pair<std::string_view, bool*>, 4> words{{{"tools", &out.tools},
                                                                   {"images", &out.images},
                                                                   {"audio", &out.audio},
                                                                   {"schema", &out.schema}}};
    for (const PlacedText& lack : lacks) {
        const auto found = std::find_if(words.begin(), words.end(),
                                        [&](const auto& word) { return word.first == lack.text; });
        if (found == words.end()) {
            source.unknown(lack.mark, "ability", lack.text, {"tools", "images", "audio", "schema"});
        } else {
            *found->second = false;
        }
    }
}

}  // namespace

void read_discount(ConfigSource& source, Section section, ProviderConfig& out) {
    DiscountConfig discount;
    read_percentage(source, section, "percent", discount.discount_bp);
    section.date("from", discount.from_unix_s);
    section.date("to", discount.to_unix_s);
    if (!section.has("percent")) {
        source.error(section.mark(), "a discount needs its percent");
    }
    section.finish();
    out.discounts.push_back(discount);
}

void read_commitment(ConfigSource& source, Section section, ProviderConfig& out,
                     ProviderMarks& marks) {
    using prices::CommitmentPer;
    prices::Commitment commitment;
    commitment.provider = out.name;
    PlacedText name{{}, section.mark()};
    if (const auto given = section.scalar("name")) name = *given;
    commitment.name = name.text;
    if (name.text.empty()) source.error(name.mark, "a commitment needs a name");
    std::int64_t pico_usd = 0;
    read_usd(source, section, "usd", pico_usd);
    commitment.amount = PicoUsd(pico_usd);
    if (!section.has("usd")) {
        source.error(section.mark(), "a commitment needs its amount: `usd:`");
    } else if (pico_usd == 0) {
        source.error(section.mark("usd"), "a commitment to spend nothing is none");
    }
    section.choice<CommitmentPer>("per", commitment.per,
                                  {{"month", CommitmentPer::kMonth},
                                   {"year", CommitmentPer::kYear},
                                   {"term", CommitmentPer::kTerm}});
    std::optional<std::int64_t> from;
    std::optional<std::int64_t> to;
    section.date("from", from);
    section.date("to", to);
    if (from) commitment.from_day = *from / prices::kDaySeconds;
    if (to) commitment.to_day = *to / prices::kDaySeconds;
    if (commitment.from_day >= commitment.to_day) {
        source.error(section.mark("to"), "'to' is the day after its last, so later than 'from'");
    }
    if (commitment.per == CommitmentPer::kTerm && !(from && to)) {
        source.error(section.mark(), "a commitment per term needs `from:` and `to:`");
    }
    std::vector<PlacedText> models;
    section.list("models", models);
    for (PlacedText& model : models) {
        commitment.models.push_back(model.text);
        marks.committed_models.push_back(std::move(model));
    }
    marks.commitments.push_back(std::move(name));
    section.finish();
    out.commitments.push_back(std::move(commitment));
}

void read_tier(ConfigSource& source, Section& section, prices::Tier& out,
               std::chrono::milliseconds& flex_wait, GatherConfig* gather) {
    section.duration("flex_wait", flex_wait, std::chrono::milliseconds(1));
    const auto value = section.raw_scalar("tier");
    if (gather != nullptr) {
        Section gathering = section.section("gather");
        gathering.duration("least_wait", gather->least_wait, std::chrono::milliseconds(1));
        gathering.duration("window", gather->window, std::chrono::milliseconds(1));
        gathering.number("requests", gather->requests, 1, 50'000);
        gathering.finish();
        if (section.has("gather") && !(value && value->text == "batch"))
            source.error(section.mark("gather"), "only a route with tier: batch gathers requests");
    }
    if (value && value->text == "batch") {
        if (gather != nullptr) {
            section.declare("tier");
            out = prices::Tier::kBatch;
            return;
        }
        source.error(value->mark,
                     "tier: batch is of routes, whose callers say how long they can wait; "
                     "`tier: flex` is for those that can wait a little");
        return;
    }
    section.choice<prices::Tier>(
        "tier", out, {{"standard", prices::Tier::kStandard}, {"flex", prices::Tier::kFlex}});
}

void read_model(ConfigSource& source, const PlacedText& name, Section& section, Draft& draft) {
    ModelConfig out;
    out.name = name.text;
    out.upstream_name = name.text;
    section.text("provider", out.provider);
    if (!section.has("provider") && !section.has("targets")) {
        source.error(name.mark, fmt::format("model '{}' needs a provider", out.name));
    }
    section.text("name", out.upstream_name);
    read_price(source, section.section("price"), out);
    section.text("file", out.file);
    if (out.file.find('/') != std::string::npos || out.file == "." || out.file == "..") {
        source.error(section.mark("file"),
                     "'file' is the name of a file inside local.folder, without a path");
    }
    read_tier(source, section, out.tier, out.flex_wait, nullptr);
    section.text("vocabulary", out.vocabulary);
    section.text("sha256", out.sha256);
    if (!out.sha256.empty() &&
        (out.sha256.size() != 64 ||
         out.sha256.find_first_not_of("0123456789abcdef") != std::string::npos)) {
        source.error(section.mark("sha256"), "'sha256' must be 64 lower-case hexadecimal digits");
    }
    std::vector<YAML::Mark> targets = read_targets(source, section, out);
    std::vector<PlacedText> fallbacks;
    section.list("fallbacks", fallbacks);
    for (const PlacedText& model : fallbacks) out.fallbacks.push_back(model.text);
    std::vector<PlacedText> tags;
    section.list("tags", tags);
    for (PlacedText& tag : tags) out.tags.push_back(std::move(tag.text));
    read_abilities(source, section, out.abilities);
    draft.model_marks.push_back({name.mark, section.mark("provider"), std::move(targets),
                                 section.mark("file"), std::move(fallbacks)});
    draft.config.models.push_back(std::move(out));
    section.finish();
}

}  // namespace leeway::app
