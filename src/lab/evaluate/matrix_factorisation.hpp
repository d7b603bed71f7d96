#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace leeway::lab {

/// The router of RouteLLM (arXiv 2406.18665) as a baseline: score(m, q) = w · (v_m/|v_m| ∘ W x_q) over embeddings x,
/// fitted to which of two models answered better, by binary cross-entropy and Adam. Its pairs are those of any models, not
/// of two fixed ones. Immutable after fitting.
class MatrixFactorisation {
public:
    struct Options {
        std::size_t factors = 32;
        std::size_t epochs = 15;
        double rate = 1e-3;
        double decay = 1e-5;
        std::uint64_t seed = 1;
    };
    /// `vectors`: rows × dimension; `quality`: rows × models, NaN where it is not known.
    MatrixFactorisation(std::span<const float> vectors, std::size_t dimension,
                        std::span<const float> quality, std::size_t models, const Options& options);

    /// Fills `out`, one per model; only differences mean something.
    void score(std::span<const float> vector, std::span<float> out) const;

private:
    class Fit;
    std::size_t dimension_;
    // Multiplied out once it is fitted: a vector per model.
    std::vector<float> directions_;  // models × dimension
};

}  // namespace leeway::lab
