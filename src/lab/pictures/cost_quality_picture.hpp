#pragma once

#include "methods/cascade/hull.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace leeway::lab {

using cascade::CostQuality;

/// What quality costs: ways to choose models as lines, single models and what is in use as points. Costs are in USD per
/// request, qualities from 0 to 1. Plain data.
struct CostQualityPicture {
    struct Line {
        std::string name;
        /// Costs rise; between two points lies what mixtures of them cost and yield, a straight line.
        std::vector<CostQuality> points;
        bool background = false;  ///< a bound or a baseline, drawn thin
    };
    struct Point {
        std::string name;
        CostQuality at;
        bool operating = false;  ///< what is in use, not a model alone
    };
    std::string title;
    std::vector<Line> lines;
    std::vector<Point> points;

    /// Whether there is anything to draw.
    [[nodiscard]] bool empty() const noexcept { return lines.empty() && points.empty(); }
};

/// A picture that stands alone: no scripts, fonts or links. Costs are on a logarithmic axis where the dearest is more than
/// twenty times the cheapest. What is not finite is left out.
[[nodiscard]] std::string as_svg(const CostQualityPicture& picture);

/// The same for a terminal, `columns` wide (at least 40) and `rows` high (at least 10) without title and legend; ends with
/// a line end.
[[nodiscard]] std::string as_plot(const CostQualityPicture& picture, std::size_t columns = 76,
                                  std::size_t rows = 18);

}  // namespace leeway::lab
