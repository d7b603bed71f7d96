#pragma once

#include "lab/pictures/cost_quality_picture.hpp"

#include <string>
#include <vector>

namespace leeway::lab {

/// One direction of a picture: from values to places between 0 and 1.
struct PictureAxis {
    double low = 0;
    double high = 1;
    bool logarithmic = false;

    [[nodiscard]] double place(double value) const noexcept;
    /// About `most` round values within, rising.
    [[nodiscard]] std::vector<double> ticks(std::size_t most) const;
};

struct PictureAxes {
    PictureAxis cost;  ///< USD per 1,000 requests
    PictureAxis quality;  ///< percent
};
[[nodiscard]] PictureAxes axes_of(const CostQualityPicture& picture);

/// A line as places (x, y from 0 to 1, y upwards): more points where a straight line is none on the axes.
struct PicturePlace {
    double x = 0;
    double y = 0;
};
[[nodiscard]] PicturePlace place_of(const PictureAxes& axes, const CostQuality& at) noexcept;
[[nodiscard]] std::vector<PicturePlace> path_of(const PictureAxes& axes,
                                                const std::vector<CostQuality>& points);

/// "0.05", "2", "1,500".
[[nodiscard]] std::string tick_text(double value);

}  // namespace leeway::lab
