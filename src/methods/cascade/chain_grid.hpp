#pragma once

#include "methods/cascade/policy.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace leeway::cascade {

/// Cuts of one model's score that accept rising shares of the labelled answers, from none to all, as near to even
/// steps as equal scores allow.
class CutGrid {
public:
    /// `scores`: not empty. `steps`: 1 … 255; fewer cuts are made where scores are equal.
    CutGrid(std::span<const Score> scores, std::size_t steps);

    [[nodiscard]] std::size_t size() const noexcept { return cuts_.size(); }
    [[nodiscard]] const Score& cut(std::size_t place) const noexcept { return cuts_[place]; }
    /// The first (strictest) cut that accepts this row's answer.
    [[nodiscard]] std::size_t first_accepting(std::size_t row) const noexcept {
        return first_[row];
    }

private:
    std::vector<Score> cuts_;
    std::vector<std::uint8_t> first_;
};

/// The mean cost and quality of "a, then b, then c" for every pair of cuts, by two-dimensional prefix sums: O(rows +
/// cuts²), not their product. One per thread: it keeps its working memory.
class ChainGrid {
public:
    explicit ChainGrid(const Labelled& labels) : labels_(labels) {}

    /// Tables for three different models; `a` and `b` have scores, and the grids are theirs.
    void build(std::array<std::size_t, 3> models, const CutGrid& a, const CutGrid& b);
    /// At those cuts; after `build`.
    [[nodiscard]] CostQuality at(std::size_t cut_a, std::size_t cut_b) const noexcept;

private:
    /// Sums over the rows that a cut pair leaves to somebody.
    struct Cell {
        double quality_b = 0;
        double quality_c = 0;
        double cost_b = 0;
        double cost_c = 0;
    };
    const Labelled& labels_;
    std::size_t width_ = 0;
    std::vector<Cell> upto_;  // [first accepting a > i][first accepting b ≤ j]
    std::vector<double> accepted_;  // quality of a, by cut
    double cost_a_ = 0;
    double rows_ = 0;
};

/// The best of all three-model chains (cost rising) over a grid of `steps` cuts, for each of many costs: what may be
/// added to a frontier. Chosen by counted outcomes, so it promises too much: `fit_frontier` asks for a win on other
/// rows.
[[nodiscard]] Frontier fit_chains(const Labelled& labels, std::size_t steps);

}  // namespace leeway::cascade
