#include "methods/cascade/chain_grid.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>

namespace leeway::cascade {

CutGrid::CutGrid(std::span<const Score> scores, std::size_t steps) : first_(scores.size()) {
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(),
              [&](std::size_t x, std::size_t y) { return scores[x] > scores[y]; });
    cuts_.push_back({std::numeric_limits<double>::infinity(), 0});
    const std::size_t n = scores.size();
    std::size_t begin = 0;  // rows before it have their cut
    for (std::size_t step = 1; step <= steps; ++step) {
        std::size_t end = std::max(begin, n * step / steps);
        while (end > 0 && end < n && scores[order[end - 1]] == scores[order[end]]) ++end;
        if (end == begin) continue;
        for (std::size_t i = begin; i < end; ++i)
            first_[order[i]] = static_cast<std::uint8_t>(cuts_.size());
        cuts_.push_back(scores[order[end - 1]]);
        begin = end;
    }
}

void ChainGrid::build(std::array<std::size_t, 3> models, const CutGrid& a, const CutGrid& b) {
    const LabelledModel& first = labels_.models[models[0]];
    const LabelledModel& second = labels_.models[models[1]];
    const LabelledModel& third = labels_.models[models[2]];
    width_ = b.size();
    upto_.assign(a.size() * width_, {});
    accepted_.assign(a.size(), 0);
    cost_a_ = 0;
    rows_ = static_cast<double>(labels_.rows());
    for (std::size_t row = 0; row < labels_.rows(); ++row) {
        const std::size_t i = a.first_accepting(row);
        accepted_[i] += first.quality[row];
        cost_a_ += first.cost[row];
        Cell& cell = upto_[i * width_ + b.first_accepting(row)];
        cell.quality_b += second.quality[row];
        cell.quality_c += third.quality[row];
        cell.cost_b += second.cost[row];
        cell.cost_c += third.cost[row];
    }
    const auto add = [](Cell& to, const Cell& from) {
        to.quality_b += from.quality_b;
        to.quality_c += from.quality_c;
        to.cost_b += from.cost_b;
        to.cost_c += from.cost_c;
    };
    std::partial_sum(accepted_.begin(), accepted_.end(), accepted_.begin());
    // Along b from strict to lax, and along a from lax to strict: [i][j] then has what cut i of a does not accept.
    for (std::size_t i = 0; i < a.size(); ++i)
        for (std::size_t j = 1; j < width_; ++j)
            add(upto_[i * width_ + j], upto_[i * width_ + j - 1]);
    for (std::size_t i = a.size() - 1; i-- > 0;)
        for (std::size_t j = 0; j < width_; ++j)
            add(upto_[i * width_ + j], upto_[(i + 1) * width_ + j]);
    std::rotate(upto_.begin(), upto_.begin() + static_cast<std::ptrdiff_t>(width_), upto_.end());
    std::fill(upto_.end() - static_cast<std::ptrdiff_t>(width_), upto_.end(), Cell{});
}

CostQuality ChainGrid::at(std::size_t cut_a, std::size_t cut_b) const noexcept {
    const Cell& taken = upto_[cut_a * width_ + cut_b];
    const Cell& all = upto_[cut_a * width_ + width_ - 1];
    return {(cost_a_ + all.cost_b + all.cost_c - taken.cost_c) / rows_,
            (accepted_[cut_a] + taken.quality_b + all.quality_c - taken.quality_c) / rows_};
}

Frontier fit_chains(const Labelled& labels, std::size_t steps) {
    const std::size_t count = labels.models.size();
    std::vector<std::optional<CutGrid>> grids(count);
    const std::vector<CostQuality> singles = single_outcomes(labels);
    for (std::size_t m = 0; m < count; ++m) {
        if (!labels.models[m].score.empty()) grids[m].emplace(labels.models[m].score, steps);
    }
    Frontier out;
    ChainGrid grid(labels);
    std::vector<CostQuality> points;
    std::vector<std::array<std::size_t, 2>> cuts;
    for (std::size_t a = 0; a < count; ++a) {
        for (std::size_t b = 0; b < count; ++b) {
            if (!grids[a] || !grids[b] || !(singles[a].cost < singles[b].cost)) continue;
            for (std::size_t c = 0; c < count; ++c) {
                if (!(singles[b].cost < singles[c].cost)) continue;
                const std::array models{a, b, c};
                grid.build(models, *grids[a], *grids[b]);
                points.clear();
                cuts.clear();
                for (std::size_t i = 0; i < grids[a]->size(); ++i) {
                    for (std::size_t j = 0; j < grids[b]->size(); ++j) {
                        points.push_back(grid.at(i, j));
                        cuts.push_back({i, j});
                    }
                }
                for (const std::size_t best : upper_hull(points)) {
                    const std::array chosen{grids[a]->cut(cuts[best][0]),
                                            grids[b]->cut(cuts[best][1])};
                    out.add(cascade_of(models, chosen), points[best]);
                }
            }
        }
    }
    out.hull = upper_hull(out.points);
    return out;
}

}  // namespace leeway::cascade
