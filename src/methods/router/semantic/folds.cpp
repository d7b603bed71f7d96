#include "methods/router/semantic/folds.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace leeway::router {
namespace {

/// SplitMix64 (Steele et al. 2014): the standard library's shuffles differ between implementations.
std::uint64_t next(std::uint64_t& state) noexcept {
    state += 0x9E3779B97F4A7C15ULL;
    std::uint64_t z = state;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31U);
}

}  // namespace

std::vector<std::size_t> stratified_folds(std::span<const std::int32_t> labels, std::size_t folds,
                                          std::uint64_t seed) {
    std::vector<std::size_t> order(labels.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::uint64_t state = seed;
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[next(state) % i]);
    std::vector<std::size_t> place(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) place[order[i]] = i;
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return std::pair(labels[a], place[a]) < std::pair(labels[b], place[b]);
    });
    std::vector<std::size_t> out(labels.size());
    // Dealt like cards, on from one label to the next: so the parts are of equal size, too.
    for (std::size_t i = 0; i < order.size(); ++i)
        out[order[i]] = i % std::max<std::size_t>(1, folds);
    return out;
}

}  // namespace leeway::router
