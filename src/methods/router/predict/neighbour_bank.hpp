#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace leeway::router {

/// A row of a bank and how near it is.
struct NearRow {
    float cosine = 0;
    std::uint32_t row = 0;
};

/// Vectors of past queries by the cluster that they lie in, so that the near ones are found by looking at some clusters
/// only. Plain data; one thread changes it, then any number may read.
struct NeighbourBank {
    std::size_t dimension = 0;
    std::vector<float> vectors;  ///< rows × dimension, of unit length
    std::vector<std::vector<std::uint32_t>> cells;  ///< rows by cluster

    [[nodiscard]] std::size_t size() const noexcept {
        return dimension == 0 ? 0 : vectors.size() / dimension;
    }
    [[nodiscard]] std::span<const float> row(std::size_t r) const noexcept {
        return std::span(vectors).subspan(r * dimension, dimension);
    }
    /// Adds a row that lies in the cluster `cell`.
    void add(std::span<const float> vector, std::uint32_t cell);
    /// Calls `take` for the rows of the clusters near `vector` in turn, with their cosines, until `enough` says so after
    /// a cluster or there is none left. `order`: the clusters, nearest first.
    template <class Take, class Enough>
    void scan(std::span<const float> vector, std::span<const std::uint32_t> order, Take&& take,
              Enough&& enough) const {
        for (const std::uint32_t cell : order) {
            for (const std::uint32_t r : cells[cell]) take(r, cosine(vector, r));
            if (enough()) return;
        }
    }

private:
    [[nodiscard]] float cosine(std::span<const float> vector, std::uint32_t row) const noexcept;
};

/// The mean of a value over neighbours, weighted by their cosines and shrunk to `prior_mean` as if `prior` more
/// neighbours had that.
class NeighbourMean {
public:
    void add(float cosine, float value) noexcept;
    [[nodiscard]] float shrunk(float prior_mean, float prior) const noexcept;

private:
    float weights_ = 0;
    float squares_ = 0;
    float sum_ = 0;
};

}  // namespace leeway::router
