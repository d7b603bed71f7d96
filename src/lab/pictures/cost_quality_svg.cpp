#include "lab/pictures/cost_quality_picture.hpp"
#include "lab/pictures/picture_axes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace leeway::lab {
namespace {

// Pixels.
constexpr double kWidth = 840;
constexpr double kHeight = 520;
constexpr double kLeft = 70;
constexpr double kRight = 30;
constexpr double kTop = 56;
constexpr double kBottom = 96;
constexpr double kPlotWidth = kWidth - kLeft - kRight;
constexpr double kPlotHeight = kHeight - kTop - kBottom;
constexpr double kLetter = 6.6;  // width of one of the labels, about
constexpr double kLineHeight = 14;

// Told apart with any kind of colour vision (Okabe and Ito 2008).
constexpr std::array<std::string_view, 7> kColours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                      "#e69f00", "#56b4e9", "#7a6a00"};
constexpr std::string_view kGrey = "#8a8f98";

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&quot;"; break;
            default:
                // What XML 1.0 has no form for.
                out += static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' ? ' ' : c;
        }
    }
    return out;
}

double x_of(const PicturePlace& place) { return kLeft + place.x * kPlotWidth; }
double y_of(const PicturePlace& place) { return kTop + (1 - place.y) * kPlotHeight; }

void draw_axes(std::string& out, const PictureAxes& axes) {
    constexpr std::size_t kMostTicks = 9;
    for (const double tick : axes.cost.ticks(kMostTicks)) {
        const double x = kLeft + axes.cost.place(tick) * kPlotWidth;
        out += fmt::format(
            "<line class=\"grid\" x1=\"{0:.1f}\" y1=\"{1}\" x2=\"{0:.1f}\" y2=\"{2}\"/>\n"
            "<text class=\"tick\" x=\"{0:.1f}\" y=\"{3}\" text-anchor=\"middle\">{4}</text>\n",
            x, kTop, kTop + kPlotHeight, kTop + kPlotHeight + 18, tick_text(tick));
    }
    for (const double tick : axes.quality.ticks(kMostTicks)) {
        const double y = kTop + (1 - axes.quality.place(tick)) * kPlotHeight;
        out += fmt::format(
            "<line class=\"grid\" x1=\"{1}\" y1=\"{0:.1f}\" x2=\"{2}\" y2=\"{0:.1f}\"/>\n"
            "<text class=\"tick\" x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>\n",
            y, kLeft, kLeft + kPlotWidth, kLeft - 8, y + 4, tick_text(tick));
    }
    out += fmt::format(
        "<rect class=\"frame\" x=\"{0}\" y=\"{1}\" width=\"{2}\" height=\"{3}\"/>\n"
        "<text class=\"axis\" x=\"{4}\" y=\"{5}\" text-anchor=\"middle\">USD per 1,000 "
        "requests{6}</text>\n"
        "<text class=\"axis\" x=\"18\" y=\"{7}\" text-anchor=\"middle\" transform=\"rotate(-90 18 "
        "{7})\">quality, %</text>\n",
        kLeft, kTop, kPlotWidth, kPlotHeight, kLeft + kPlotWidth / 2, kTop + kPlotHeight + 40,
        axes.cost.logarithmic ? " (logarithmic)" : "", kTop + kPlotHeight / 2);
}

/// A place for a label beside its point, where none is yet.
class Labels {
public:
    void put(std::string& out, double x, double y, std::string_view name) {
        const double width = kLetter * static_cast<double>(name.size());
        const bool to_left = x + 10 + width > kWidth - 4;
        Box box{to_left ? x - 10 - width : x + 10, y - kLineHeight / 2, width};
        constexpr int kTries = 12;
        const double start = box.y;
        for (int attempt = 1; attempt < kTries && taken(box); ++attempt) {
            // Below, above, further below …
            const int lines = (attempt + 1) / 2;
            box.y = start + kLineHeight * (attempt % 2 == 1 ? lines : -lines);
        }
        boxes_.push_back(box);
        out += fmt::format("<text class=\"label\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", box.x,
                           box.y + kLineHeight - 3, escaped(name));
    }

private:
    struct Box {
        double x;
        double y;
        double width;
    };
    [[nodiscard]] bool taken(const Box& box) const {
        return std::ranges::any_of(boxes_, [&](const Box& other) {
            return box.x < other.x + other.width && other.x < box.x + box.width &&
                   std::abs(box.y - other.y) < kLineHeight;
        });
    }
    std::vector<Box> boxes_;
};

}  // namespace

std::string as_svg(const CostQualityPicture& picture) {
    std::string out = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
        "height=\"{1}\" role=\"img\">\n<title>{2}</title>\n"
        "<style>\n"
        "text {{ font-family: system-ui, sans-serif; fill: #24292f; }}\n"
        ".title {{ font-size: 17px; font-weight: 600; }}\n"
        ".axis {{ font-size: 13px; }}\n.tick, .label, .key {{ font-size: 12px; }}\n"
        ".grid {{ stroke: #e4e7eb; }}\n.frame {{ fill: none; stroke: #8a8f98; }}\n"
        "</style>\n<rect width=\"{0}\" height=\"{1}\" fill=\"#ffffff\"/>\n"
        "<text class=\"title\" x=\"{3}\" y=\"32\">{2}</text>\n",
        kWidth, kHeight, escaped(picture.title), kLeft);
    const PictureAxes axes = axes_of(picture);
    draw_axes(out, axes);
    double key = kLeft;
    std::size_t colour = 0;
    std::size_t dashes = 0;
    constexpr std::array<std::string_view, 3> kDashes = {"6 4", "2 3", "9 3 2 3"};
    for (const auto& line : picture.lines) {
        const std::string_view stroke = line.background ? kGrey : kColours[colour];
        if (!line.background) colour = (colour + 1) % kColours.size();
        const std::string style = line.background
                                      ? fmt::format(
                                            "stroke=\"{}\" stroke-width=\"1.5\" "
                                            "stroke-dasharray=\"{}\"",
                                            stroke, kDashes[dashes++ % kDashes.size()])
                                      : fmt::format("stroke=\"{}\" stroke-width=\"2.5\"", stroke);
        std::string path;
        for (const PicturePlace& place : path_of(axes, line.points))
            path +=
                fmt::format("{}{:.1f},{:.1f}", path.empty() ? "" : " ", x_of(place), y_of(place));
        out += fmt::format("<polyline points=\"{}\" fill=\"none\" {}/>\n", path, style);
        out += fmt::format(
            "<line x1=\"{0:.1f}\" y1=\"{2}\" x2=\"{1:.1f}\" y2=\"{2}\" {3}/>\n"
            "<text class=\"key\" x=\"{4:.1f}\" y=\"{5}\">{6}</text>\n",
            key, key + 26, kHeight - 24, style, key + 32, kHeight - 20, escaped(line.name));
        key += 52 + kLetter * static_cast<double>(line.name.size());
    }
    Labels labels;
    for (const auto& point : picture.points) {
        if (!std::isfinite(point.at.cost) || !std::isfinite(point.at.quality)) continue;
        const PicturePlace place = place_of(axes, point.at);
        const double x = x_of(place);
        const double y = y_of(place);
        out += point.operating
                   ? fmt::format("<path d=\"M{0:.1f} {1:.1f}l7 7l-7 7l-7 -7z\" fill=\"{2}\"/>\n", x,
                                 y - 7, kColours[0])
                   : fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"#24292f\"/>\n",
                                 x, y);
        labels.put(out, x, y, point.name);
    }
    return out + "</svg>\n";
}

}  // namespace leeway::lab
