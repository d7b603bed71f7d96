#pragma once

#include "app/line_feed.hpp"
#include "ledger/record.hpp"
#include "prices/rates.hpp"
#include "prices/waterfall.hpp"
#include "wire/canonical/batch.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace leeway::app {

/// Adds up what the answers of a batch cost: each line is priced for itself, at the batch tier, and compared with
/// the standard one. Worker-local. `prices` must outlive it.
class BatchTally {
public:
    /// `unix_s`: when the batch was asked for.
    BatchTally(const prices::ModelPrices& prices, const wire::BatchDialect& dialect,
               wire::usage::Flavour flavour, std::int64_t unix_s) noexcept
        : prices_(prices), dialect_(dialect), flavour_(flavour), unix_s_(unix_s) {}

    /// More bytes of the output file.
    void feed(std::string_view bytes);
    /// The file is over.
    void finish();
    /// Nothing is known of the answers: the file is gone.
    void give_up() noexcept { known_ = false; }
    [[nodiscard]] std::int64_t answers() const noexcept { return answers_; }

    /// Usage, cost, baseline and savings of `out`, and those of its one attempt.
    void fill(ledger::RequestRecord& out) const;

private:
    void line(std::string_view text);
    void add(const prices::Usage& usage);

    const prices::ModelPrices& prices_;
    const wire::BatchDialect& dialect_;
    const wire::usage::Flavour flavour_;
    const std::int64_t unix_s_;
    LineFeed lines_;
    prices::Usage usage_;
    std::int64_t answers_ = 0;
    std::uint64_t price_id_ = 0;
    bool known_ = true;  // each answer told its usage
    std::optional<PicoUsd> cost_ = PicoUsd(0);
    std::optional<PicoUsd> baseline_ = PicoUsd(0);
    std::optional<prices::Waterfall> waterfall_ = prices::Waterfall();
};

}  // namespace leeway::app
