#pragma once

#include "base/money.hpp"
#include "prices/rates.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace leeway::prices {

/// What made an answer cheaper (or dearer) than it would have been, in the order in which it acts.
/// Stored by number: never renumber, add at the end, and give the ledger a migration with a column.
enum class SavingStep : std::uint8_t {
    kExactCache = 0,  ///< the answer came from our cache
    kTier = 1,  ///< the gateway chose another class of service
    kRoute = 2,  ///< another model than the baseline answered
    kPromptCache =
        3,  ///< the provider's prompt cache, against the state the baseline would have met
    kBilling = 4,  ///< the provider bills other than our price says
    kAttempts = 5,  ///< paid attempts that did not give the answer; ≤ 0
    kGateway = 6,  ///< the gateway's own costs for the request; ≤ 0
};
inline constexpr std::size_t kSavingSteps = 7;
inline constexpr std::array<std::string_view, kSavingSteps> kSavingStepNames{
    "exact_cache", "tier", "route", "prompt_cache", "billing", "attempts", "gateway"};

/// How a saving is known. Stored by number: never renumber.
enum class SavingLabel : std::uint8_t {
    kNone = 0,  ///< nothing was saved
    kComputed = 1,  ///< same tokens, an identity of prices
    kModelled = 2,  ///< tokens or cache state that another model would have had: an assumption
    kMeasured = 3,  ///< against a random group that was held out
};
inline constexpr std::array<std::string_view, 4> kSavingLabelNames{"none", "computed", "modelled",
                                                                   "measured"};

/// The way from the baseline of one request down to what it cost: Σ saved + actual = baseline, exactly.
struct Waterfall {
    std::array<PicoUsd, kSavingSteps> saved{};
    std::array<SavingLabel, kSavingSteps> labels{};

    [[nodiscard]] PicoUsd operator[](SavingStep step) const noexcept {
        return saved[static_cast<std::size_t>(step)];
    }
    /// Whether the identity holds and no amount is near the end of its range.
    [[nodiscard]] bool closes(PicoUsd baseline, PicoUsd actual) const noexcept;
    /// Two bits a step, as the ledger keeps them.
    [[nodiscard]] std::uint32_t packed_labels() const noexcept;
    void unpack_labels(std::uint32_t packed) noexcept;
    friend bool operator==(const Waterfall&, const Waterfall&) = default;
};

/// Everything that the counterfactual of one answered request depends on.
struct CounterfactualInput {
    const ModelPrices* baseline = nullptr;  ///< of the model that would have answered
    const ModelPrices* used = nullptr;  ///< of the one that did
    bool same_model = false;
    bool from_cache = false;
    bool in_other_words =
        false;  ///< the answer that came from a cache was given to another question
    Usage usage;  ///< of the answer as served
    /// Input tokens the baseline would have read from its provider's prompt cache, by our simulation.
    /// Not used where the same model answered: then the provider's own count is the truth. Elsewhere the
    /// higher of the two counts.
    std::int64_t simulated_cached = 0;
    PriceQuery query;  ///< as billed
    Tier tier_asked = Tier::kStandard;  ///< what would have been billed without us
    std::optional<PicoUsd> actual;  ///< all attempts and the gateway's own costs; nullopt: unknown
    std::optional<PicoUsd> answer_cost;  ///< of the attempt that answered; 0 from the cache
    PicoUsd gateway_cost;
};

/// nullopt: unknown, because a price is. The waterfall is unknown as soon as one of its steps is.
struct Counterfactual {
    std::optional<PicoUsd> baseline;
    std::optional<Waterfall> waterfall;
};
[[nodiscard]] Counterfactual counterfactual(const CounterfactualInput& input) noexcept;

}  // namespace leeway::prices
