#pragma once

#include "tokens/count.hpp"
#include "tokens/model_map.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

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
    /// With the prior of a family; families of exact vocabularies need none and get slope 1.
    explicit Calibration(ModelFamily family = ModelFamily::kUnknown);

    /// Mean and 95 % interval.
    [[nodiscard]] TokenCount estimate(const CalibrationFeatures& features) const;

    /// Learns from a request of which the provider reported `tokens` input tokens. Reports of 0 or fewer,
    /// and features that are not finite, are passed over. A report far outside of all that was seen
    /// counts less the further out it lies (Huber), so that one wrong row cannot bend the fit.
    void learn(const CalibrationFeatures& features, std::int64_t tokens);

    [[nodiscard]] std::uint64_t reports() const noexcept { return reports_; }
    /// The last reports lie on one side, further out than chance allows: the provider may have changed
    /// its tokenizer.
    [[nodiscard]] bool drifts() const noexcept;
    /// Standard deviation of relative errors, e.g. 0.05.
    [[nodiscard]] double relative_error() const noexcept;

private:
    static constexpr std::size_t kN = 6;
    using Vector = std::array<double, kN>;
    [[nodiscard]] static Vector row(const CalibrationFeatures& features, double scale) noexcept;
    [[nodiscard]] static double scale_of(const CalibrationFeatures& features) noexcept;
    [[nodiscard]] double spread(const Vector& x) const noexcept;

    Vector mean_{};
    std::array<Vector, kN> covariance_{};  ///< in units of the noise
    double noise_weight_ = 0;  ///< observations that the noise estimate is worth
    double noise_sum_ = 0;
    double drift_ = 0;  ///< moving mean of standardised errors
    std::uint64_t reports_ = 0;
};

}  // namespace leeway::tokens
