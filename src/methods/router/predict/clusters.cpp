#include "methods/router/predict/clusters.hpp"

#include "base/chances.hpp"
#include "store/vectors/kernel.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace leeway::router {
namespace {

// Centres hardly move after that many rounds, and the table that lies over them even less.
constexpr int kRounds = 12;

void to_unit(std::span<float> vector) {
    const float length = std::sqrt(store::vectors::dot(vector, vector));
    if (length <= 0) return;
    for (float& x : vector) x /= length;
}

}  // namespace

void Clusters::cosines(std::span<const float> vector, std::span<float> cosines) const noexcept {
    for (std::size_t c = 0; c < cosines.size(); ++c)
        cosines[c] = store::vectors::dot(centre(c), vector);
}

std::uint32_t Clusters::nearest(std::span<const float> vector) const noexcept {
    std::uint32_t best = 0;
    float most = -2;
    for (std::size_t c = 0; c < size(); ++c) {
        const float cosine = store::vectors::dot(centre(c), vector);
        if (cosine > most) {
            most = cosine;
            best = static_cast<std::uint32_t>(c);
        }
    }
    return best;
}

Clusters find_clusters(std::span<const float> vectors, std::size_t dimension, std::size_t most,
                       std::uint64_t seed) {
    Clusters out{dimension, {}};
    const std::size_t rows = dimension == 0 ? 0 : vectors.size() / dimension;
    const std::size_t wanted = std::min(most, rows);
    if (wanted == 0) return out;
    const auto row = [&](std::size_t i) {
        return vectors.subspan(i * dimension, dimension);
    };
    // Begins at rows drawn without putting back.
    std::vector<std::uint32_t> order(rows);
    for (std::size_t i = 0; i < rows; ++i) order[i] = static_cast<std::uint32_t>(i);
    Chances chances(seed);
    for (std::size_t i = 0; i < wanted; ++i)
        std::swap(order[i], order[i + chances.below(static_cast<std::uint32_t>(rows - i))]);
    for (std::size_t i = 0; i < wanted; ++i) {
        const auto from = row(order[i]);
        out.centres.insert(out.centres.end(), from.begin(), from.end());
    }
    std::vector<float> sums(out.centres.size());
    std::vector<std::size_t> counts(wanted);
    for (int round = 0; round < kRounds; ++round) {
        std::ranges::fill(sums, 0.0F);
        std::ranges::fill(counts, std::size_t{0});
        for (std::size_t i = 0; i < rows; ++i) {
            const std::size_t c = out.nearest(row(i));
            ++counts[c];
            float* const sum = sums.data() + c * dimension;
            for (std::size_t d = 0; d < dimension; ++d) sum[d] += row(i)[d];
        }
        for (std::size_t c = 0; c < wanted; ++c) {
            if (counts[c] == 0) continue;  // it stays where it was
            const std::span<float> centre =
                std::span(out.centres).subspan(c * dimension, dimension);
            std::copy_n(sums.begin() + static_cast<std::ptrdiff_t>(c * dimension), dimension,
                        centre.begin());
            to_unit(centre);
        }
    }
    return out;
}

}  // namespace leeway::router
