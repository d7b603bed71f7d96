#include "app/price_layers.hpp"

#include "base/strings.hpp"
#include "prices/scale.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

namespace leeway::app {
namespace {

using prices::RateSheet;

/// `sheet` in pieces, with the discount on the one that lies in its time.
void add_discounted(const RateSheet& sheet, const DiscountConfig& discount,
                    std::vector<RateSheet>& out) {
    const std::int64_t from =
        std::max(sheet.valid_from, discount.from_unix_s.value_or(prices::kBeginning));
    const std::int64_t to = std::min(sheet.valid_to, discount.to_unix_s.value_or(prices::kForever));
    if (from >= to) {
        out.push_back(sheet);
        return;
    }
    const auto piece = [&](std::int64_t begin, std::int64_t end) -> RateSheet& {
        RateSheet& part = out.emplace_back(sheet);
        part.valid_from = begin;
        part.valid_to = end;
        return part;
    };
    if (sheet.valid_from < from) piece(sheet.valid_from, from);
    RateSheet& reduced = piece(from, to);
    for (const prices::BucketInfo& info : prices::kBuckets) {
        if (const auto rate = sheet.rates[info.bucket]) {
            reduced.rates.set(info.bucket, prices::discounted(*rate, discount.discount_bp));
        }
    }
    reduced.source = fmt::format("{} less {}.{:02} %", sheet.source, discount.discount_bp / 100,
                                 discount.discount_bp % 100);
    if (to < sheet.valid_to) piece(to, sheet.valid_to);
}

void apply_discount(const DiscountConfig& discount, std::vector<RateSheet>& sheets) {
    std::vector<RateSheet> out;
    for (const RateSheet& sheet : sheets) add_discounted(sheet, discount, out);
    sheets = std::move(out);
}

/// Makes the prices of `region` the general ones: all requests of the provider run there.
void settle_in(const std::string& region, std::vector<RateSheet>& sheets) {
    std::vector<RateSheet> there;
    for (const RateSheet& sheet : sheets) {
        if (sheet.region == region) there.push_back(sheet);
    }
    for (RateSheet& sheet : there) sheet.region.clear();
    std::erase_if(sheets, [&](const RateSheet& sheet) {
        if (!sheet.region.empty()) return true;
        return std::any_of(there.begin(), there.end(),
                           [&](const RateSheet& own) { return own.tier == sheet.tier; });
    });
    sheets.insert(sheets.end(), there.begin(), there.end());
}

const ProviderConfig* provider_of(const Config& config, const ModelConfig& model) {
    for (const ProviderConfig& provider : config.providers) {
        if (provider.name == model.provider) return &provider;
    }
    return nullptr;
}

}  // namespace

Result<std::shared_ptr<const prices::PriceBook>> read_price_book(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        return fail(ErrorCode::kConfig, fmt::format("the price book {} cannot be read", path),
                    "./run makes one; or name another with `prices: {book: FILE}`");
    }
    const std::string text((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
    auto book = prices::PriceBook::parse(text);
    if (!book) book.error().message = fmt::format("{}: {}", path, book.error().message);
    return book;
}

Result<std::shared_ptr<const prices::PriceBook>> load_price_book(const PricesConfig& config) {
    if (config.book.empty()) return std::shared_ptr<const prices::PriceBook>();
    auto book = read_price_book(config.book);
    if (!book || config.overlay.empty()) return book;
    const auto overlay = read_price_overlay(config.overlay);
    if (!overlay) return fail(overlay.error());
    auto with_ours = (*book)->with(*overlay);
    if (!with_ours) {
        with_ours.error().message =
            fmt::format("{}: {}", config.overlay, with_ours.error().message);
    }
    return with_ours;
}

prices::PriceBook::Found book_entry(const Config& config, const ModelConfig& model,
                                    const prices::PriceBook* book) {
    const ProviderConfig* provider = provider_of(config, model);
    if (book == nullptr || provider == nullptr || provider->dialect == ProviderDialect::kEmbedded)
        return {};
    const prices::BookProvider* seller =
        book->provider(provider->price_name, provider->base_url, provider->name);
    if (seller == nullptr) return {};
    return book->find(*seller, model.upstream_name.empty() ? model.name : model.upstream_name);
}

prices::ModelPrices prices_of(const Config& config, const ModelConfig& model,
                              const prices::PriceBook* book) {
    if (!model.price.empty()) return prices::ModelPrices(model.price);
    if (model.machine_hour_pico_usd >= 0) {
        RateSheet sheet;
        sheet.machine_hour = model.machine_hour_pico_usd;
        sheet.machine_share = model.machine_share;
        sheet.source = "configuration";
        sheet.confidence = "configured";
        prices::seal(sheet, model.provider, model.name);
        return prices::ModelPrices(std::vector{sheet});
    }
    const auto found = book_entry(config, model, book);
    if (found.model == nullptr) return {};
    std::vector<RateSheet> sheets = found.model->sheets;
    const ProviderConfig& provider = *provider_of(config, model);
    if (!provider.region.empty()) settle_in(provider.region, sheets);
    for (const DiscountConfig& discount : provider.discounts) apply_discount(discount, sheets);
    if (model.discount_bp > 0) {
        DiscountConfig own;
        own.discount_bp = model.discount_bp;
        apply_discount(own, sheets);
    }
    const bool changed =
        !provider.region.empty() || !provider.discounts.empty() || model.discount_bp > 0;
    if (changed) {
        for (RateSheet& sheet : sheets) prices::seal(sheet, found.provider->id, found.model->id);
    }
    return prices::ModelPrices(std::move(sheets));
}

Result<void> PriceBooks::refresh(const PricesConfig& config) {
    auto fresh = load_price_book(config);
    if (!fresh) return fail(std::move(fresh.error()));
    if (book_ && *fresh && file_ == config.book) {
        const auto doubts = prices::check_successor(*book_, **fresh);
        if (!doubts.empty()) {
            return fail(
                ErrorCode::kConfig,
                fmt::format("the price book {} is refused: {}{}", config.book, doubts.front(),
                            doubts.size() > 1 ? fmt::format(" (and {} more)", doubts.size() - 1)
                                              : std::string()),
                "when it is right, restart the gateway");
        }
    }
    book_ = std::move(*fresh);
    file_ = config.book;
    return {};
}

}  // namespace leeway::app
