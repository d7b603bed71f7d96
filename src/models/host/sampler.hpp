#pragma once

#include "models/host/engine.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

namespace leeway::models {

/// Index of the largest value (the first of equals). `values` is not empty.
[[nodiscard]] std::int32_t arg_max(std::span<const float> values) noexcept;

/// log Σ exp(values), safe against overflow. `values` is not empty.
[[nodiscard]] float log_sum_exp(std::span<const float> values) noexcept;

/// The `count` largest entries as (index, value), largest first.
[[nodiscard]] std::vector<std::pair<std::int32_t, float>> largest(std::span<const float> values,
                                                                  std::size_t count);

/// Chooses the tokens of one answer. Engine thread only.
class Sampler {
public:
    /// `seed` is used as it is: the caller draws one when the request has none.
    Sampler(const Sampling& options, std::uint32_t seed);

    /// Picks the next token and remembers it for the penalties. Changes `logits` (bias, penalties).
    [[nodiscard]] std::int32_t sample(std::span<float> logits);

private:
    struct Candidate {
        std::int32_t id;
        float weight;  // exp((logit - max) / temperature): 1 for the likeliest
    };

    void adjust(std::span<float> logits) const noexcept;
    [[nodiscard]] std::int32_t draw(std::span<const float> logits);
    void collect(std::span<const float> logits, float best, float floor);
    [[nodiscard]] std::int32_t pick(std::span<const Candidate> candidates) noexcept;
    [[nodiscard]] double uniform() noexcept;

    float temperature_;
    float top_p_;
    float min_p_;
    std::size_t top_k_;
    float frequency_penalty_;
    float presence_penalty_;
    std::vector<std::pair<std::int32_t, float>> bias_;
    std::unordered_map<std::int32_t, std::uint32_t> counts_;
    std::vector<Candidate> candidates_;  // kept between calls for its memory
    std::uint64_t random_state_;
};

}  // namespace leeway::models
