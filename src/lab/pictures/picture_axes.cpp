#include "lab/pictures/picture_axes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace leeway::lab {
namespace {

constexpr double kRequests = 1000;
constexpr double kPercent = 100;
constexpr double kWide = 20;  // from here on a linear axis would put the cheap ones on one spot

bool is_finite(const CostQuality& at) noexcept {
    return std::isfinite(at.cost) && std::isfinite(at.quality);
}

struct Range {
    double low = std::numeric_limits<double>::infinity();
    double high = -std::numeric_limits<double>::infinity();
    void add(double value) noexcept {
        low = std::min(low, value);
        high = std::max(high, value);
    }
};

/// The least of 1, 2 and 5 times a power of ten that is at least `least`.
double round_step(double least) {
    const double ten = std::pow(10, std::floor(std::log10(least)));
    for (const double factor : {1.0, 2.0, 5.0})
        if (factor * ten >= least * (1 - 1e-9)) return factor * ten;
    return 10 * ten;
}

}  // namespace

double PictureAxis::place(double value) const noexcept {
    const double from = logarithmic ? std::log(low) : low;
    const double to = logarithmic ? std::log(high) : high;
    const double at = logarithmic ? std::log(std::max(value, low)) : value;
    return std::clamp((at - from) / (to - from), 0.0, 1.0);
}

std::vector<double> PictureAxis::ticks(std::size_t most) const {
    std::vector<double> out;
    constexpr double kSlack = 1e-9;
    if (!logarithmic) {
        const double step = round_step((high - low) / static_cast<double>(most));
        for (double at = std::ceil(low / step - kSlack); at * step <= high * (1 + kSlack); ++at)
            out.push_back(at * step);
        return out;
    }
    const auto within = [&](double value) {
        return value >= low * (1 - kSlack) && value <= high * (1 + kSlack);
    };
    for (double ten = std::floor(std::log10(low)); ten <= std::ceil(std::log10(high)); ++ten)
        for (const double factor : {1.0, 2.0, 5.0})
            if (const double value = factor * std::pow(10, ten); within(value))
                out.push_back(value);
    if (out.size() <= most) return out;
    std::erase_if(out, [](double value) {
        const double ten = std::log10(value);
        return std::abs(ten - std::round(ten)) > 1e-6;
    });
    return out;
}

PictureAxes axes_of(const CostQualityPicture& picture) {
    Range cost;
    Range quality;
    const auto add = [&](const CostQuality& at) {
        if (!is_finite(at)) return;
        cost.add(at.cost * kRequests);
        quality.add(at.quality * kPercent);
    };
    for (const auto& line : picture.lines) std::ranges::for_each(line.points, add);
    for (const auto& point : picture.points) add(point.at);
    if (cost.low > cost.high) return {{0, 1, false}, {0, kPercent, false}};
    PictureAxes out;
    out.cost.logarithmic = cost.low > 0 && cost.high > kWide * cost.low;
    constexpr double kMargin = 0.06;
    if (out.cost.logarithmic) {
        const double factor = std::pow(cost.high / cost.low, kMargin);
        out.cost.low = cost.low / factor;
        out.cost.high = cost.high * factor;
    } else {
        out.cost.low = 0;
        out.cost.high = cost.high > 0 ? cost.high * (1 + kMargin) : 1;
    }
    const double spread = std::max(quality.high - quality.low, 1.0);
    out.quality.low = std::max(quality.low - kMargin * spread, 0.0);
    out.quality.high = std::min(quality.high + kMargin * spread, kPercent);
    if (out.quality.high <= out.quality.low) out.quality.low = out.quality.high - 1;
    return out;
}

PicturePlace place_of(const PictureAxes& axes, const CostQuality& at) noexcept {
    return {axes.cost.place(at.cost * kRequests), axes.quality.place(at.quality * kPercent)};
}

std::vector<PicturePlace> path_of(const PictureAxes& axes, const std::vector<CostQuality>& points) {
    constexpr int kSteps = 24;
    std::vector<PicturePlace> out;
    const CostQuality* last = nullptr;
    for (const CostQuality& point : points) {
        if (!is_finite(point)) continue;
        if (last != nullptr && axes.cost.logarithmic) {
            for (int step = 1; step < kSteps; ++step) {
                const double share = static_cast<double>(step) / kSteps;
                // Even steps on the axis.
                const double cost = last->cost > 0
                                        ? last->cost * std::pow(point.cost / last->cost, share)
                                        : point.cost * share;
                const double along =
                    point.cost > last->cost ? (cost - last->cost) / (point.cost - last->cost) : 1;
                out.push_back(place_of(
                    axes, {cost, last->quality + along * (point.quality - last->quality)}));
            }
        }
        out.push_back(place_of(axes, point));
        last = &point;
    }
    return out;
}

std::string tick_text(double value) {
    constexpr double kThousand = 1000;
    if (value >= kThousand) {
        const auto whole = static_cast<long long>(std::llround(value));
        return fmt::format("{},{:03}", whole / 1000, whole % 1000);
    }
    return fmt::format("{:.4g}", std::abs(value) < 1e-12 ? 0.0 : value);
}

}  // namespace leeway::lab
