#include "prices/book.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace leeway::prices {
namespace {

// In 1e-15 USD per token; 1e9 of them are 1 USD per million tokens.
constexpr std::int64_t kUsdPerMillion = 1'000'000'000;
constexpr std::int64_t kMostInput = 1'000 * kUsdPerMillion;
constexpr std::int64_t kMostOutput = 5'000 * kUsdPerMillion;
// The cheapest tokens cost 0.002 USD per million; below this it is a price per token or per thousand.
constexpr std::int64_t kLeast = kUsdPerMillion / 2000;
// By the piece: up to 10 USD each (an agent's search) would be a lot.
constexpr std::int64_t kMostPiece = 10'000'000 * kUsdPerMillion;
// Output costs up to 10 times the input, cached input up to as much as fresh: with much room.
constexpr std::int64_t kMostTimes = 100;
constexpr std::int64_t kJump = 100;

bool far_apart(std::int64_t a, std::int64_t b, std::int64_t times) noexcept {
    if (a <= 0 || b <= 0) return false;  // free is no magnitude
    return Int128{a} >= Int128{b} * times || Int128{b} >= Int128{a} * times;
}

std::string usd(std::int64_t femto) {
    return to_usd_string(Int128{femto} * 1000);  // per million units
}

void check_rates(const std::string& where, const Rates& rates, std::vector<std::string>& out) {
    for (const BucketInfo& info : kBuckets) {
        const auto rate = rates[info.bucket];
        if (!rate || rate->value() == 0) continue;
        const bool tokens = is_tokens(info.kind);
        const std::int64_t most = info.kind == BucketKind::kInputTokens    ? kMostInput
                                  : info.kind == BucketKind::kOutputTokens ? kMostOutput
                                                                           : kMostPiece;
        if (rate->value() > most) {
            out.push_back(fmt::format("{}: {} = {} USD per million is more than anybody asks",
                                      where, info.name, usd(rate->value())));
        } else if (tokens && rate->value() < kLeast) {
            out.push_back(
                fmt::format("{}: {} = {} USD per million is less than anybody asks: is it "
                            "per token, or per thousand tokens?",
                            where, info.name, usd(rate->value())));
        }
    }
    const auto input = rates[Bucket::kInput];
    if (!input) return;
    for (const Bucket other : {Bucket::kOutput, Bucket::kReasoning}) {
        const auto rate = rates[other];
        if (rate && far_apart(rate->value(), input->value(), kMostTimes)) {
            out.push_back(fmt::format("{}: {} ({}) and input ({}) are not of the same magnitude",
                                      where, to_string(other), usd(rate->value()),
                                      usd(input->value())));
        }
    }
    for (const Bucket other : {Bucket::kCacheWrite, Bucket::kCacheWrite5m, Bucket::kCacheWrite1h,
                               Bucket::kCachedInput}) {
        const auto rate = rates[other];
        if (rate && input->value() > 0 && rate->value() / 10 > input->value()) {
            out.push_back(fmt::format("{}: {} ({}) costs over ten times the input ({})", where,
                                      to_string(other), usd(rate->value()), usd(input->value())));
        }
    }
}

bool overlap(const RateSheet& a, const RateSheet& b) noexcept {
    return a.tier == b.tier && a.region == b.region && a.above == b.above &&
           a.day_from == b.day_from && a.day_to == b.day_to && a.valid_from < b.valid_to &&
           b.valid_from < a.valid_to;
}

void check_model(const std::string& where, const BookModel& model, std::vector<std::string>& out) {
    for (std::size_t i = 0; i < model.sheets.size(); ++i) {
        const RateSheet& sheet = model.sheets[i];
        if (sheet.valid_from >= sheet.valid_to) {
            out.push_back(fmt::format("{}: a price ends before it begins ({})", where,
                                      conditions_text(sheet)));
        }
        if (sheet.rates.empty() && sheet.machine_hour < 0) {
            out.push_back(where + ": a price without a rate");
        }
        check_rates(where, sheet.rates, out);
        for (std::size_t j = 0; j < i; ++j) {
            if (!overlap(sheet, model.sheets[j])) continue;
            out.push_back(fmt::format("{}: two prices hold at the same time ({}; {})", where,
                                      conditions_text(model.sheets[j]), conditions_text(sheet)));
        }
    }
}

/// Sheets by their conditions in words, which name each of them within its model.
std::map<std::string, const RateSheet*> by_condition(const BookModel& model) {
    std::map<std::string, const RateSheet*> out;
    for (const RateSheet& sheet : model.sheets) out.emplace(conditions_text(sheet), &sheet);
    return out;
}

using ModelKey = std::pair<std::string, std::string>;
std::map<ModelKey, const BookModel*> models_of(const PriceBook& book) {
    std::map<ModelKey, const BookModel*> out;
    for (const BookProvider& provider : book.providers()) {
        for (const BookModel& model : provider.models) {
            out.emplace(ModelKey{provider.id, model.id}, &model);
        }
    }
    return out;
}

void diff_model(const ModelKey& key, const BookModel& before, const BookModel& after,
                std::vector<BookChange>& out) {
    const auto old_sheets = by_condition(before);
    const auto new_sheets = by_condition(after);
    const auto compare = [&](const std::string& condition, const RateSheet* a, const RateSheet* b) {
        for (const BucketInfo& info : kBuckets) {
            const auto was = a == nullptr ? std::nullopt : a->rates[info.bucket];
            const auto is = b == nullptr ? std::nullopt : b->rates[info.bucket];
            if (was == is) continue;
            out.push_back({BookChange::Kind::kChanged, key.first, key.second, condition,
                           info.bucket, was, is});
        }
    };
    for (const auto& [condition, sheet] : old_sheets) {
        const auto other = new_sheets.find(condition);
        compare(condition, sheet, other == new_sheets.end() ? nullptr : other->second);
    }
    for (const auto& [condition, sheet] : new_sheets) {
        if (!old_sheets.contains(condition)) compare(condition, nullptr, sheet);
    }
}

}  // namespace

std::vector<std::string> check_book(const PriceBook& book) {
    std::vector<std::string> out;
    if (book.info().rates == 0) out.emplace_back("it holds no rate at all");
    for (const BookProvider& provider : book.providers()) {
        for (const BookModel& model : provider.models) {
            check_model(provider.id + "/" + model.id, model, out);
        }
    }
    return out;
}

std::vector<std::string> check_successor(const PriceBook& old, const PriceBook& fresh) {
    std::vector<std::string> out;
    if (fresh.info().models * 2 < old.info().models) {
        out.push_back(
            fmt::format("it has {} models where the present book has {}: is it truncated?",
                        fresh.info().models, old.info().models));
    }
    for (const BookChange& change : diff_books(old, fresh)) {
        if (change.kind != BookChange::Kind::kChanged || !change.before || !change.after) continue;
        if (!is_tokens(info_of(change.bucket).kind)) continue;
        if (far_apart(change.before->value(), change.after->value(), kJump)) {
            out.push_back(
                fmt::format("{}/{}: {} goes from {} to {} USD per million: a wrong magnitude?",
                            change.provider, change.model, to_string(change.bucket),
                            usd(change.before->value()), usd(change.after->value())));
        }
    }
    return out;
}

std::vector<BookChange> diff_books(const PriceBook& before, const PriceBook& after) {
    std::vector<BookChange> out;
    const auto old_models = models_of(before);
    const auto new_models = models_of(after);
    for (const auto& [key, model] : old_models) {
        const auto other = new_models.find(key);
        if (other == new_models.end()) {
            out.push_back({BookChange::Kind::kRemoved, key.first, key.second, {}, {}, {}, {}});
        } else {
            diff_model(key, *model, *other->second, out);
        }
    }
    for (const auto& [key, model] : new_models) {
        if (!old_models.contains(key)) {
            out.push_back({BookChange::Kind::kAdded, key.first, key.second, {}, {}, {}, {}});
        }
    }
    return out;
}

}  // namespace leeway::prices
