#pragma once

#include <cstdint>
#include <span>

namespace leeway {

/// Fills `out` with bytes fit for secrets (getrandom). Aborts if the system has none to give.
void secure_random(std::span<std::uint8_t> out);

/// A fast random number from a per-thread generator (xoshiro256**, Blackman & Vigna 2018), seeded
/// from the operating system. For ids and jitter, never for secrets.
[[nodiscard]] std::uint64_t fast_random() noexcept;

/// The same, as a number in [0, 1).
[[nodiscard]] inline double fast_uniform() noexcept {
    return static_cast<double>(fast_random() >> 11U) * 0x1p-53;
}

}  // namespace leeway
