#pragma once

#include "tokens/count.hpp"
#include "tokens/model_map.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace leeway::tokens {

/// Cheap facts of a request from which the tokens of a model without a public tokenizer are estimated.
struct CalibrationFeatures {
    double base_tokens = 0;  ///< o200k_base tokens of all text
    double tool_tokens = 0;  ///< of these, those of tool schemas
    double digit_bytes = 0;  ///< ASCII digits
    double other_bytes = 0;  ///< bytes that are not ASCII
    double messages = 0;
    double requests = 1;  ///< 0: a text alone, without the frame that a request has
};

/// Estimates the input tokens of one model family from requests whose count the provider reported:
/// Bayesian linear regression on relative errors (each request counts alike whatever its size), updated
/// one request at a time from a fixed prior, with the noise learned too. Before the first report it gives
/// the prior's wide interval. Not thread-safe; small enough to copy.
class Calibration {
public:
    static constexpr std::size_t kN = 6;
    using Vector = std::array<double, kN>;
    /// All that was learned, as it is kept in a file (docs/formats/calibration.md).
    struct State {
        Vector mean{};
        std::array<Vector, kN> covariance{};  ///< in units of the noise
        double noise_weight = 0;  ///< observations that the noise estimate is worth
        double noise_sum = 0;
        double drift = 0;  ///< moving mean of standardised errors
        std::uint64_t reports = 0;
    };
    /// Reports from which on an estimate counts as calibrated.
    static constexpr std::uint64_t kEnoughReports = 8;

    /// With the prior of a family; families of exact vocabularies need none and get slope 1.
    explicit Calibration(ModelFamily family = ModelFamily::kUnknown);
    /// What was learned before. nullopt: no learning leads to such a state, so it is damaged.
    [[nodiscard]] static std::optional<Calibration> restore(const State& state);
    [[nodiscard]] const State& state() const noexcept { return state_; }

    /// Mean and 95 % interval; `heuristic` before `kEnoughReports`, then `calibrated`.
    [[nodiscard]] TokenCount estimate(const CalibrationFeatures& features) const;

    /// Learns from a request of which the provider reported `tokens` input tokens. Reports of 0 or fewer,
    /// and features that are not finite, are passed over. A report far outside of all that was seen
    /// counts less the further out it lies (Huber), so that one wrong row cannot bend the fit.
    void learn(const CalibrationFeatures& features, std::int64_t tokens);

    [[nodiscard]] std::uint64_t reports() const noexcept { return state_.reports; }
    /// The last reports lie on one side, further out than chance allows: the provider may have changed
    /// its tokenizer.
    [[nodiscard]] bool drifts() const noexcept;
    /// What to do about a drift: keeps the mean and forgets how sure it was, so that the next reports
    /// count as the first ones did. `family` gives the prior again.
    void begin_again(ModelFamily family);
    /// Standard deviation of relative errors, e.g. 0.05.
    [[nodiscard]] double relative_error() const noexcept;

private:
    [[nodiscard]] static Vector row(const CalibrationFeatures& features, double scale) noexcept;
    [[nodiscard]] static double scale_of(const CalibrationFeatures& features) noexcept;
    [[nodiscard]] double spread(const Vector& x) const noexcept;

    State state_;
};

}  // namespace leeway::tokens
