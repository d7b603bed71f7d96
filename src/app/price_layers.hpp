#pragma once

#include "app/config.hpp"
#include "prices/book.hpp"

#include <memory>
#include <string>
#include <vector>

namespace leeway::app {

/// Reads a file of corrections and additions to the price book (config/prices.yaml). The error's
/// message has a line for each problem.
[[nodiscard]] Result<std::vector<prices::OverlayEntry>> read_price_overlay(const std::string& path);

/// The book that the configuration means, with its overlay; null when it names none and there is none
/// where ./run puts it.
[[nodiscard]] Result<std::shared_ptr<const prices::PriceBook>> load_price_book(
    const PricesConfig& config);
/// A book alone, from a file.
[[nodiscard]] Result<std::shared_ptr<const prices::PriceBook>> read_price_book(
    const std::string& path);

/// The prices of a model, from the uppermost layer that has any: what the configuration says of the
/// model, else the book (`book` may be null) with the provider's region and discounts.
[[nodiscard]] prices::ModelPrices prices_of(const Config& config, const ModelConfig& model,
                                            const prices::PriceBook* book);
/// Where the book has the model; empty: it does not, or is not asked.
[[nodiscard]] prices::PriceBook::Found book_entry(const Config& config, const ModelConfig& model,
                                                  const prices::PriceBook* book);

/// The book that a running gateway uses. A new one that is refused leaves the old one in place. One
/// thread.
class PriceBooks {
public:
    /// Reads the files again. The error says why the new book is not taken. As the successor of a book it
    /// must resemble it, unless it is another file: somebody meant that.
    [[nodiscard]] Result<void> refresh(const PricesConfig& config);
    [[nodiscard]] const std::shared_ptr<const prices::PriceBook>& current() const noexcept {
        return book_;
    }

private:
    std::shared_ptr<const prices::PriceBook> book_;
    std::string file_;  // where book_ came from
};

}  // namespace leeway::app
