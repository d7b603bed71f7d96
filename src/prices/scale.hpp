#pragma once

#include "base/money.hpp"

#include <cstdint>

namespace leeway::prices {

/// `rate` × `basis_points` / 10000 (1 basis point = 0.01 %), rounded once, half to even.
[[nodiscard]] constexpr FemtoUsdPerUnit times(FemtoUsdPerUnit rate,
                                              std::uint32_t basis_points) noexcept {
    constexpr Int128 kWhole = 10'000;
    const Int128 product = Int128{rate.value()} * basis_points;
    Int128 out = product / kWhole;
    const Int128 twice = product % kWhole * 2;
    if (twice > kWhole || (twice == kWhole && out % 2 != 0)) ++out;
    return FemtoUsdPerUnit(static_cast<std::int64_t>(out));
}

}  // namespace leeway::prices
