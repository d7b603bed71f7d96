#include "lab/replay/doubly_robust.hpp"

#include "methods/cascade/confidence.hpp"

#include <algorithm>
#include <cstddef>

namespace leeway::lab {
namespace {

constexpr std::size_t kFolds = 5;
constexpr double kLeastPropensity = 0.02;

/// The curves of the rows that are not in `fold`.
struct Curves {
    cascade::Platt value;  // of value / most
    cascade::Platt known;
};

Curves fit(std::span<const PartlyKnown> rows, std::size_t fold, double most) {
    std::vector<double> signals;
    std::vector<double> values;
    std::vector<double> all_signals;
    std::vector<double> known;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (i % kFolds == fold) continue;
        all_signals.push_back(rows[i].known_by);
        known.push_back(rows[i].value ? 1 : 0);
        if (!rows[i].value) continue;
        signals.push_back(rows[i].signal);
        values.push_back(*rows[i].value / most);
    }
    return {cascade::fit_platt(signals, values), cascade::fit_platt(all_signals, known)};
}

}  // namespace

std::vector<double> doubly_robust(std::span<const PartlyKnown> rows, double most) {
    std::vector<double> out(rows.size());
    const bool whole =
        std::ranges::all_of(rows, [](const PartlyKnown& row) { return row.value.has_value(); });
    if (whole || most <= 0) {
        for (std::size_t i = 0; i < rows.size(); ++i) out[i] = rows[i].value.value_or(0);
        return out;
    }
    for (std::size_t fold = 0; fold < kFolds; ++fold) {
        const Curves curves = fit(rows, fold, most);
        for (std::size_t i = fold; i < rows.size(); i += kFolds) {
            const PartlyKnown& row = rows[i];
            out[i] = most * curves.value.probability(row.signal);
            if (!row.value) continue;
            const double chance = curves.known.probability(row.known_by);
            out[i] += (*row.value - out[i]) / std::max(chance, kLeastPropensity);
        }
    }
    return out;
}

}  // namespace leeway::lab
