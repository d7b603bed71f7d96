#pragma once

#include "base/money.hpp"
#include "base/result.hpp"
#include "guard/budget/book.hpp"
#include "prices/rates.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace leeway::app {

/// What is reserved for an answer whose request sets no limit.
inline constexpr std::int64_t kUsualAnswer = 16'384;

/// `value`, or the most that sums of it can bear.
[[nodiscard]] std::int64_t capped(Int128 value) noexcept;
/// The most input tokens that a request of so many bytes can have. `media`: images and files in it.
[[nodiscard]] Int128 input_bound(std::int64_t bytes, std::int64_t messages,
                                 std::int64_t media) noexcept;
/// The most that so many tokens can cost, in 1e-12 USD: at the dearest rates of any tier, region and band that holds at
/// `unix_s`. `longest`: how long a machine may be busy with it. nullopt: a price is not known.
[[nodiscard]] std::optional<std::int64_t> worst_cost(const prices::ModelPrices& prices,
                                                     std::int64_t unix_s,
                                                     std::chrono::milliseconds longest,
                                                     Int128 input, Int128 output) noexcept;

/// A hard budget applies, and the price of `model` is not known.
[[nodiscard]] Error price_unknown(const std::string& model);
/// A budget has no room.
[[nodiscard]] Error budget_exceeded(const budget::Refusal& refusal);

}  // namespace leeway::app
