#include "methods/router/predict/neighbour_bank.hpp"

#include "store/vectors/kernel.hpp"

#include <algorithm>

namespace leeway::router {
namespace {

constexpr float kLeastWeight = 0.01F;  // of a neighbour that has nothing to do with the question

}  // namespace

float NeighbourBank::cosine(std::span<const float> vector, std::uint32_t r) const noexcept {
    return store::vectors::dot(row(r), vector);
}

void NeighbourBank::add(std::span<const float> vector, std::uint32_t cell) {
    cells[cell].push_back(static_cast<std::uint32_t>(size()));
    vectors.insert(vectors.end(), vector.begin(), vector.end());
}

void NeighbourMean::add(float cosine, float value) noexcept {
    const float weight = std::max(cosine, kLeastWeight);
    weights_ += weight;
    squares_ += weight * weight;
    sum_ += weight * value;
}

float NeighbourMean::shrunk(float prior_mean, float prior) const noexcept {
    if (weights_ <= 0) return prior_mean;
    const float effective = weights_ * weights_ / squares_;  // as many of equal weight say as much
    return (sum_ / weights_ * effective + prior_mean * prior) / (effective + prior);
}

}  // namespace leeway::router
