#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace leeway::router {

/// Models put together that are known in the very same rows, so that what depends on the rows only is done once.
struct KnownGroups {
    std::vector<std::uint32_t> group_of;  ///< of each model
    std::vector<std::vector<bool>> known;  ///< of each group, by row
    std::vector<std::size_t> rows;  ///< of each group: how many are known

    [[nodiscard]] std::size_t size() const noexcept { return known.size(); }
    /// `qualities`: of each model, by row, of one length; NaN is not known.
    [[nodiscard]] static KnownGroups of(std::span<const std::span<const float>> qualities);
};

}  // namespace leeway::router
