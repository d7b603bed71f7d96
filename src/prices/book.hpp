#pragma once

#include "base/result.hpp"
#include "prices/match.hpp"
#include "prices/rates.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::prices {

struct BookModel {
    std::string id;
    Matcher match;
    std::vector<RateSheet> sheets;  ///< may be empty: known by name, its price is not
};

struct BookProvider {
    std::string id;    ///< "openai"
    std::string name;  ///< "OpenAI"
    Matcher url;       ///< of a base URL
    Matcher names;     ///< other words for it
    std::vector<std::string> fallback;  ///< ids of providers whose models it sells at their price
    std::vector<BookModel> models;  ///< the first that matches counts
};

struct BookInfo {
    std::string name;  ///< "genai-prices 0.1.8"
    std::string source;
    std::string licence;
    std::int64_t fetched_unix_s = 0;  ///< date of the data
    std::size_t models = 0;
    std::size_t sheets = 0;
    std::size_t rates = 0;
};

/// Additions to the models of a provider that match: other rates, or the standard tier's times a factor.
struct OverlayEntry {
    std::string provider;
    Matcher match;
    std::string what;  ///< for messages
    RateSheet sheet;  ///< conditions, source, and the rates when there is no factor
    std::vector<Bucket> units;  ///< of a factor: only these; empty: all tokens, pieces unchanged
    std::uint32_t factor_bp = 0;  ///< of the token rates of the general standard sheets; 0: none
};

/// Dated prices of many providers' models: docs/formats/prices.md. Immutable, shared by snapshots.
class PriceBook {
public:
    struct Found {
        const BookProvider* provider = nullptr;
        const BookModel* model = nullptr;
    };

    /// Reads a book and tests it with `check_book`. It is taken whole or refused whole: the error says
    /// what is wrong and where.
    [[nodiscard]] static Result<std::shared_ptr<const PriceBook>> parse(std::string_view json);
    [[nodiscard]] static Result<std::shared_ptr<const PriceBook>> make(
        BookInfo info, std::vector<BookProvider> providers);
    /// This book with our additions. What an overlay says of a tier, region and band replaces what the
    /// book says of it. An error when an entry matches nothing: then it is outdated.
    [[nodiscard]] Result<std::shared_ptr<const PriceBook>> with(
        const std::vector<OverlayEntry>& overlay) const;

    [[nodiscard]] const BookInfo& info() const noexcept { return info_; }
    [[nodiscard]] const std::vector<BookProvider>& providers() const noexcept { return providers_; }

    /// The provider that `id` names, else the one that `base_url` belongs to, else the one that `name`
    /// resembles; nullptr: none. Empty texts are passed over.
    [[nodiscard]] const BookProvider* provider(std::string_view id, std::string_view base_url,
                                               std::string_view name) const;
    /// The model that is sold under this name by the provider, or by one whose prices it takes.
    [[nodiscard]] Found find(const BookProvider& provider, std::string_view model) const;
    /// Everything that `text` may mean ("gpt-4o", "openai/gpt-4o"): models that match, of all providers;
    /// when none does, models whose id holds it.
    [[nodiscard]] std::vector<Found> search(std::string_view text) const;
    /// The one model that `text` names, for a caller that has no provider: "openai/gpt-4o", or a bare name,
    /// then as its maker sells it and, where no maker is known, the first in the book.
    [[nodiscard]] Found named(std::string_view text) const;

private:
    PriceBook() = default;
    [[nodiscard]] const BookProvider* by_id(std::string_view id) const noexcept;

    BookInfo info_;
    std::vector<BookProvider> providers_;
};

/// What is wrong with a book by itself: rates of a magnitude that nobody asks, periods that overlap,
/// nothing in it. Empty: nothing.
[[nodiscard]] std::vector<std::string> check_book(const PriceBook& book);
/// What makes `fresh` unlikely to be the successor of `old`: a rate that jumped by a factor of 100 or
/// more, half of the models gone. Empty: nothing.
[[nodiscard]] std::vector<std::string> check_successor(const PriceBook& old,
                                                       const PriceBook& fresh);

/// One difference between two books.
struct BookChange {
    enum class Kind : std::uint8_t { kAdded, kRemoved, kChanged };
    Kind kind = Kind::kChanged;
    std::string provider;
    std::string model;
    std::string condition;  ///< tier, region, band, dates; empty: the standard price
    Bucket bucket = Bucket::kInput;
    std::optional<FemtoUsdPerUnit> before;
    std::optional<FemtoUsdPerUnit> after;
};
/// Models that came or went (one change each) and rates that differ, in the books' order.
[[nodiscard]] std::vector<BookChange> diff_books(const PriceBook& before, const PriceBook& after);

/// The conditions of a sheet in words: "flex, above 272000 tokens, from 2026-07-30, 01:00–04:00 UTC".
[[nodiscard]] std::string conditions_text(const RateSheet& sheet);
/// Gives the sheet its id, from all that it says and whose it is.
void seal(RateSheet& sheet, std::string_view provider, std::string_view model);
/// "2026-07-30", for times in unix seconds.
[[nodiscard]] std::string date_text(std::int64_t unix_s);
/// nullopt: not a date YYYY-MM-DD.
[[nodiscard]] std::optional<std::int64_t> parse_day(std::string_view text) noexcept;

}  // namespace leeway::prices
