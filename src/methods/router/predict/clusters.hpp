#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace leeway::router {

/// Centres of unit length among vectors of unit length (spherical k-means). Plain data.
struct Clusters {
    std::size_t dimension = 0;
    std::vector<float> centres;  ///< size() × dimension

    [[nodiscard]] std::size_t size() const noexcept {
        return dimension == 0 ? 0 : centres.size() / dimension;
    }
    [[nodiscard]] std::span<const float> centre(std::size_t c) const noexcept {
        return std::span(centres).subspan(c * dimension, dimension);
    }
    [[nodiscard]] std::uint32_t nearest(std::span<const float> vector) const noexcept;
    /// Fills `cosines`, one per centre.
    void cosines(std::span<const float> vector, std::span<float> cosines) const noexcept;
};

/// At most `most` centres of the rows of `vectors`, fewer where there are fewer rows. The same for equal arguments on one
/// kind of processor.
[[nodiscard]] Clusters find_clusters(std::span<const float> vectors, std::size_t dimension,
                                     std::size_t most, std::uint64_t seed);

}  // namespace leeway::router
