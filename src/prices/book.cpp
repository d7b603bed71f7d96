#include "prices/book.hpp"

#include "base/hash.hpp"
#include "prices/scale.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace leeway::prices {
namespace {

/// Makers of models: many others sell these under the same names at other prices.
constexpr std::array<std::string_view, 11> kMakers{"openai",   "anthropic",  "google",  "mistral",
                                                   "deepseek", "x-ai",       "cohere",  "zhipuai",
                                                   "minimax",  "moonshotai", "voyageai"};

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// "claude-x-20250514" with its date as "2025-05-14", which is how some lists write it; empty: no date.
std::string with_dashes(std::string_view model) {
    for (std::size_t at = 0; at + 9 <= model.size(); ++at) {
        if (model[at] != '-' || model.substr(at + 1, 2) != "20") continue;
        const std::string_view digits = model.substr(at + 1, 8);
        const bool ends = at + 9 == model.size() || model[at + 9] == '-' || model[at + 9] == ':';
        if (!ends || !std::all_of(digits.begin(), digits.end(), is_digit)) continue;
        std::string out(model.substr(0, at + 5));
        out.append("-").append(digits.substr(4, 2)).append("-").append(digits.substr(6, 2));
        out.append(model.substr(at + 9));
        return out;
    }
    return {};
}

const BookModel* first_match(const BookProvider& provider, std::string_view lower) {
    for (const BookModel& model : provider.models) {
        if (model.match.matches(lower)) return &model;
    }
    return nullptr;
}

/// The token rates of `from` times a factor. What is counted by the piece has one price in all tiers.
Rates scaled(const Rates& from, std::uint32_t factor_bp, const std::vector<Bucket>& units) {
    Rates out;
    for (const Bucket unit : units) {
        if (const auto rate = from[unit]) out.set(unit, times(*rate, factor_bp));
    }
    if (!units.empty()) return out;
    for (const BucketInfo& info : kBuckets) {
        const auto rate = from[info.bucket];
        if (!rate) continue;
        out.set(info.bucket, is_tokens(info.kind) ? times(*rate, factor_bp) : *rate);
    }
    return out;
}

bool same_conditions(const RateSheet& a, const RateSheet& b) {
    return a.tier == b.tier && a.region == b.region && a.above == b.above;
}

void apply(const OverlayEntry& entry, const BookProvider& provider, BookModel& model) {
    std::vector<RateSheet> added;
    if (entry.factor_bp == 0) {
        added.push_back(entry.sheet);
    } else {
        for (const RateSheet& sheet : model.sheets) {
            if (sheet.tier != Tier::kStandard || !sheet.region.empty()) continue;
            RateSheet scaled_sheet = sheet;
            scaled_sheet.rates = scaled(sheet.rates, entry.factor_bp, entry.units);
            scaled_sheet.tier = entry.sheet.tier;
            scaled_sheet.region = entry.sheet.region;
            scaled_sheet.valid_from = std::max(sheet.valid_from, entry.sheet.valid_from);
            scaled_sheet.valid_to = std::min(sheet.valid_to, entry.sheet.valid_to);
            scaled_sheet.source = entry.sheet.source;
            scaled_sheet.confidence = entry.sheet.confidence;
            if (scaled_sheet.rates.empty()) continue;
            if (scaled_sheet.valid_from < scaled_sheet.valid_to) added.push_back(scaled_sheet);
        }
    }
    for (RateSheet& sheet : added) {
        // Only what lies in the same time: a price of ours from today on leaves last month's alone.
        for (RateSheet& old : model.sheets) {
            if (!same_conditions(old, sheet) || old.valid_to <= sheet.valid_from ||
                old.valid_from >= sheet.valid_to) {
                continue;
            }
            if (old.valid_from < sheet.valid_from) {
                old.valid_to = sheet.valid_from;
            } else {
                old.valid_from = std::min(old.valid_to, sheet.valid_to);
            }
            seal(old, provider.id, model.id);
        }
        seal(sheet, provider.id, model.id);
    }
    std::erase_if(model.sheets,
                  [](const RateSheet& sheet) { return sheet.valid_from >= sheet.valid_to; });
    model.sheets.insert(model.sheets.end(), added.begin(), added.end());
}

}  // namespace

std::string date_text(std::int64_t unix_s) {
    const std::chrono::year_month_day day{std::chrono::floor<std::chrono::days>(
        std::chrono::sys_seconds(std::chrono::seconds(unix_s)))};
    return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(day.year()),
                       static_cast<unsigned>(day.month()), static_cast<unsigned>(day.day()));
}

std::optional<std::int64_t> parse_day(std::string_view text) noexcept {
    if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
    const auto number = [text](std::size_t at, std::size_t count) {
        int out = 0;
        for (std::size_t i = at; i < at + count; ++i) {
            if (!is_digit(text[i])) return -1;
            out = out * 10 + (text[i] - '0');
        }
        return out;
    };
    const int year = number(0, 4);
    const int month = number(5, 2);
    const int day = number(8, 2);
    if (year < 0 || month < 0 || day < 0) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year(year),
                                           std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    if (!date.ok()) return std::nullopt;
    return std::chrono::sys_days(date).time_since_epoch().count() * std::int64_t{86'400};
}

void seal(RateSheet& sheet, std::string_view provider, std::string_view model) {
    std::string text = fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n", provider,
                                   model, to_string(sheet.tier), sheet.region, sheet.above,
                                   sheet.valid_from, sheet.valid_to, sheet.day_from, sheet.day_to,
                                   sheet.machine_hour, sheet.machine_share, sheet.source);
    for (const BucketInfo& info : kBuckets) {
        if (const auto rate = sheet.rates[info.bucket]) {
            text += fmt::format("{} {}\n", info.name, rate->value());
        }
    }
    sheet.id = checksum64(text);
}

std::string conditions_text(const RateSheet& sheet) {
    std::string out;
    const auto add = [&out](const std::string& words) {
        if (!out.empty()) out += ", ";
        out += words;
    };
    if (sheet.tier != Tier::kStandard) add(std::string(to_string(sheet.tier)));
    if (!sheet.region.empty()) add("region " + sheet.region);
    if (sheet.above >= 0) add(fmt::format("above {} tokens", sheet.above));
    if (sheet.valid_from != kBeginning) add("from " + date_text(sheet.valid_from));
    if (sheet.valid_to != kForever) add("to " + date_text(sheet.valid_to));
    if (!sheet.whole_day()) {
        add(fmt::format("{:02}:{:02}–{:02}:{:02} UTC", sheet.day_from / 3600,
                        sheet.day_from / 60 % 60, sheet.day_to / 3600, sheet.day_to / 60 % 60));
    }
    return out;
}

Result<std::shared_ptr<const PriceBook>> PriceBook::make(BookInfo info,
                                                         std::vector<BookProvider> providers) {
    auto book = std::shared_ptr<PriceBook>(new PriceBook);
    book->info_ = std::move(info);
    book->providers_ = std::move(providers);
    BookInfo& counts = book->info_;
    counts.models = counts.sheets = counts.rates = 0;
    for (const BookProvider& provider : book->providers_) {
        counts.models += provider.models.size();
        for (const BookModel& model : provider.models) {
            counts.sheets += model.sheets.size();
            for (const RateSheet& sheet : model.sheets) {
                for (const BucketInfo& bucket : kBuckets) {
                    counts.rates += sheet.rates.has(bucket.bucket) ? 1 : 0;
                }
            }
        }
    }
    const std::vector<std::string> problems = check_book(*book);
    if (problems.empty()) return std::shared_ptr<const PriceBook>(std::move(book));
    std::string message = "the price book is refused: " + problems.front();
    if (problems.size() > 1) {
        message += fmt::format(" (and {} more faults)", problems.size() - 1);
    }
    return fail(ErrorCode::kConfig, std::move(message),
                "`leeway prices check FILE` lists all of them");
}

Result<std::shared_ptr<const PriceBook>> PriceBook::with(
    const std::vector<OverlayEntry>& overlay) const {
    std::vector<BookProvider> providers = providers_;
    for (const OverlayEntry& entry : overlay) {
        bool matched = false;
        for (BookProvider& provider : providers) {
            if (provider.id != entry.provider) continue;
            for (BookModel& model : provider.models) {
                if (!entry.match.matches(lower_case(model.id))) continue;
                matched = true;
                apply(entry, provider, model);
            }
        }
        if (!matched) {
            return fail(ErrorCode::kConfig,
                        fmt::format("{} matches no model of '{}' in {}", entry.what, entry.provider,
                                    info_.name),
                        "correct it or take it out");
        }
    }
    return make(info_, std::move(providers));
}

const BookProvider* PriceBook::by_id(std::string_view id) const noexcept {
    for (const BookProvider& provider : providers_) {
        if (provider.id == id) return &provider;
    }
    return nullptr;
}

const BookProvider* PriceBook::provider(std::string_view id, std::string_view base_url,
                                        std::string_view name) const {
    if (!id.empty()) return by_id(lower_case(id));
    if (!base_url.empty()) {
        const std::string url = lower_case(base_url);
        for (const BookProvider& provider : providers_) {
            if (provider.url.matches(url)) return &provider;
        }
        return nullptr;  // a server of one's own is not the provider that it is named after
    }
    if (name.empty()) return nullptr;
    const std::string lower = lower_case(name);
    if (const BookProvider* exact = by_id(lower)) return exact;
    for (const BookProvider& provider : providers_) {
        if (provider.names.matches(lower)) return &provider;
    }
    return nullptr;
}

PriceBook::Found PriceBook::find(const BookProvider& provider, std::string_view model) const {
    const std::string lower = lower_case(model);
    for (const std::string& name : {lower, with_dashes(lower)}) {
        if (name.empty()) continue;
        if (const BookModel* found = first_match(provider, name)) return {&provider, found};
        for (const std::string& id : provider.fallback) {
            const BookProvider* other = by_id(id);
            if (other == nullptr) continue;
            if (const BookModel* found = first_match(*other, name)) return {other, found};
        }
    }
    return {};
}

std::vector<PriceBook::Found> PriceBook::search(std::string_view text) const {
    std::vector<Found> out;
    const std::string lower = lower_case(text);
    const std::size_t slash = lower.find('/');
    if (slash != std::string::npos) {
        if (const BookProvider* named = by_id(lower.substr(0, slash))) {
            const Found found = find(*named, std::string_view(lower).substr(slash + 1));
            if (found.model != nullptr) return {found};
        }
    }
    for (const BookProvider& provider : providers_) {
        if (const BookModel* model = first_match(provider, lower))
            out.push_back({&provider, model});
    }
    if (!out.empty()) return out;
    for (const BookProvider& provider : providers_) {
        for (const BookModel& model : provider.models) {
            const std::string id = lower_case(provider.id + "/" + model.id);
            if (id.find(lower) != std::string::npos) out.push_back({&provider, &model});
        }
    }
    return out;
}

PriceBook::Found PriceBook::named(std::string_view text) const {
    if (const std::size_t slash = text.find('/'); slash != std::string_view::npos) {
        const std::string_view seller = text.substr(0, slash);
        const BookProvider* named = provider(seller, {}, {});
        if (named == nullptr) named = provider({}, {}, seller);
        if (named != nullptr) return find(*named, text.substr(slash + 1));
    }
    Found best;
    std::size_t best_rank = kMakers.size() + 1;
    for (const Found& found : search(text)) {
        // The search also gives models whose name only holds this one.
        if (find(*found.provider, text).model != found.model) continue;
        const auto maker = std::find(kMakers.begin(), kMakers.end(), found.provider->id);
        const auto rank = static_cast<std::size_t>(maker - kMakers.begin());
        if (rank < best_rank) {
            best = found;
            best_rank = rank;
        }
    }
    return best;
}

}  // namespace leeway::prices
