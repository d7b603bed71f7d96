#pragma once

#include <cstdint>

namespace leeway {

/// Numbers from a seed (SplitMix64, Steele et al. 2014), the same on every machine: for experiments that must be
/// repeatable, never for secrets. One thread.
class Chances {
public:
    explicit Chances(std::uint64_t seed) noexcept : state_(seed) {}
    std::uint64_t bits() noexcept {
        std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
        z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
        return z ^ (z >> 31U);
    }
    /// In [0, 1).
    double uniform() noexcept { return static_cast<double>(bits() >> 11U) * 0x1p-53; }
    /// 0 to n − 1.
    std::uint32_t below(std::uint32_t n) noexcept {
        return static_cast<std::uint32_t>(uniform() * n);
    }

private:
    std::uint64_t state_;
};

}  // namespace leeway
