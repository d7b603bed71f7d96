#include "lab/pictures/cost_quality_picture.hpp"

#include "lab/pictures/picture_axes.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

namespace leeway::lab {
namespace {

CostQualityPicture two_models() {
    CostQualityPicture out;
    out.title = "support <R&D>";
    out.lines = {{"cascade", {{0.0001, 0.6}, {0.0004, 0.8}, {0.001, 0.82}}},
                 {"zero router", {{0.0001, 0.6}, {0.001, 0.8}}, true}};
    out.points = {{"small", {0.0001, 0.6}}, {"large", {0.001, 0.8}}, {"now", {0.0004, 0.8}, true}};
    return out;
}

TEST(CostQualityPicture, AxesHoldAllThatIsDrawn) {
    const PictureAxes axes = axes_of(two_models());
    EXPECT_FALSE(axes.cost.logarithmic);
    EXPECT_EQ(axes.cost.low, 0);
    EXPECT_GT(axes.cost.high, 1.0);
    EXPECT_LT(axes.quality.low, 60);
    EXPECT_GT(axes.quality.high, 82);
    const PicturePlace cheap = place_of(axes, {0.0001, 0.6});
    const PicturePlace dear = place_of(axes, {0.001, 0.8});
    EXPECT_LT(cheap.x, dear.x);
    EXPECT_LT(cheap.y, dear.y);
}

TEST(CostQualityPicture, MixturesAreNoStraightLineOnALogarithmicAxis) {
    CostQualityPicture picture;
    picture.lines = {{"zero router", {{0.0001, 0.5}, {0.1, 0.9}}}};
    const PictureAxes axes = axes_of(picture);
    ASSERT_TRUE(axes.cost.logarithmic);
    const auto path = path_of(axes, picture.lines.front().points);
    ASSERT_GT(path.size(), 10U);
    // Half of the way on the axis is sqrt(1000) times the cheap one's cost, of which little goes to the dear one.
    const PicturePlace middle = path[path.size() / 2];
    const PicturePlace first = path.front();
    const PicturePlace last = path.back();
    EXPECT_LT(middle.y, first.y + 0.1 * (last.y - first.y));
}

TEST(CostQualityPicture, TicksAreRoundAndWithin) {
    const PictureAxis linear{0, 7.3, false};
    EXPECT_EQ(linear.ticks(9), (std::vector<double>{0, 1, 2, 3, 4, 5, 6, 7}));
    const PictureAxis wide{0.03, 90, true};
    for (const double tick : wide.ticks(9)) {
        EXPECT_GE(tick, 0.03);
        EXPECT_LE(tick, 90);
    }
    EXPECT_EQ(wide.ticks(5).size(), 3U);  // 0.1, 1, 10
    EXPECT_EQ(tick_text(0.05), "0.05");
    EXPECT_EQ(tick_text(12'500), "12,500");
}

TEST(CostQualityPicture, SvgNamesWhatItShowsAndEscapesIt) {
    const std::string svg = as_svg(two_models());
    EXPECT_TRUE(svg.starts_with("<svg xmlns="));
    EXPECT_TRUE(svg.ends_with("</svg>\n"));
    EXPECT_NE(svg.find("support &lt;R&amp;D&gt;"), std::string::npos);
    EXPECT_EQ(svg.find("<R&D>"), std::string::npos);
    for (const char* name : {"cascade", "zero router", "small", "large", "now"})
        EXPECT_NE(svg.find(std::string(">") + name + "</text>"), std::string::npos) << name;
    std::size_t lines = 0;
    for (std::size_t at = 0; (at = svg.find("<polyline", at)) != std::string::npos; ++at) ++lines;
    EXPECT_EQ(lines, 2U);
}

TEST(CostQualityPicture, WhatIsNoNumberIsLeftOut) {
    CostQualityPicture picture = two_models();
    picture.points.push_back({"unknown", {std::numeric_limits<double>::infinity(), 0.5}});
    picture.lines.front().points.push_back({0.002, std::nan("")});
    const std::string svg = as_svg(picture);
    EXPECT_EQ(svg.find("unknown"), std::string::npos);
    EXPECT_EQ(svg.find("nan"), std::string::npos);
    EXPECT_EQ(svg.find("inf"), std::string::npos);
    EXPECT_EQ(as_plot(picture).find("unknown"), std::string::npos);
}

TEST(CostQualityPicture, PlotFitsTheTerminal) {
    CostQualityPicture picture = two_models();
    for (int i = 0; i < 12; ++i)
        picture.points.push_back({"a-model-with-a-long-name", {0.0002 + 0.00005 * i, 0.7}});
    std::istringstream lines(as_plot(picture, 60, 14));
    std::size_t count = 0;
    for (std::string line; std::getline(lines, line); ++count) {
        const auto characters = std::ranges::count_if(
            line, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; });
        EXPECT_LE(characters, 60) << line;
    }
    EXPECT_GT(count, 14U);
}

TEST(CostQualityPicture, PlotMarksPointsOverLines) {
    const std::string plot = as_plot(two_models());
    for (const char* mark : {"A", "B", "◆", "*", "·"})
        EXPECT_NE(plot.find(mark), std::string::npos) << mark << '\n' << plot;
}

TEST(CostQualityPicture, NothingIsStillAPicture) {
    const CostQualityPicture none;
    EXPECT_TRUE(none.empty());
    EXPECT_NE(as_svg(none).find("</svg>"), std::string::npos);
    EXPECT_FALSE(as_plot(none).empty());
}

}  // namespace
}  // namespace leeway::lab
