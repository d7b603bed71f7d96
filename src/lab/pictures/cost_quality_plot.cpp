#include "lab/pictures/cost_quality_picture.hpp"
#include "lab/pictures/picture_axes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace leeway::lab {
namespace {

constexpr std::size_t kMargin = 7;  // of the qualities and the axis on the left
constexpr std::array<std::string_view, 5> kStrokes = {"*", "+", "x", "#", "%"};
constexpr std::array<std::string_view, 3> kThin = {"·", "˙", ","};

/// Cells of one character each.
class Canvas {
public:
    Canvas(std::size_t columns, std::size_t rows)
        : columns_(columns), rows_(rows), cells_(columns * rows, " ") {}

    void set(const PicturePlace& at, std::string_view mark) {
        const auto last_column = static_cast<double>(columns_ - 1);
        const auto last_row = static_cast<double>(rows_ - 1);
        const auto x = static_cast<std::size_t>(std::lround(at.x * last_column));
        const auto y = static_cast<std::size_t>(std::lround((1 - at.y) * last_row));
        cells_[y * columns_ + x] = mark;
    }
    void stroke(const std::vector<PicturePlace>& path, std::string_view mark) {
        for (std::size_t i = 1; i < path.size(); ++i) {
            const PicturePlace& from = path[i - 1];
            const PicturePlace& to = path[i];
            const double cells = std::max(std::abs(to.x - from.x) * static_cast<double>(columns_),
                                          std::abs(to.y - from.y) * static_cast<double>(rows_));
            const int steps = std::max(1, static_cast<int>(std::ceil(cells)));
            for (int step = 0; step <= steps; ++step) {
                const double share = static_cast<double>(step) / steps;
                set({from.x + share * (to.x - from.x), from.y + share * (to.y - from.y)}, mark);
            }
        }
        if (path.size() == 1) set(path.front(), mark);
    }
    [[nodiscard]] std::string row(std::size_t y) const {
        std::string out;
        for (std::size_t x = 0; x < columns_; ++x) out += cells_[y * columns_ + x];
        out.erase(out.find_last_not_of(' ') + 1);
        return out;
    }

private:
    std::size_t columns_;
    std::size_t rows_;
    std::vector<std::string_view> cells_;
};

/// Entries side by side, in lines of at most `columns` characters (bytes, which is never less).
std::string key_text(const std::vector<std::string>& entries, std::size_t columns) {
    std::string out;
    std::size_t used = 0;
    for (const std::string& entry : entries) {
        if (used > 0 && used + entry.size() > columns) {
            out += '\n';
            used = 0;
        }
        out += entry;
        used += entry.size();
    }
    return out.empty() ? out : out + '\n';
}

/// A to Z, then a to z; what comes after has no letter of its own.
std::string letter_of(std::size_t number) {
    constexpr std::size_t kLetters = 26;
    if (number < kLetters) return std::string(1, static_cast<char>('A' + number));
    if (number < 2 * kLetters) return std::string(1, static_cast<char>('a' + number - kLetters));
    return "?";
}

std::string cost_line(const PictureAxis& axis, std::size_t width) {
    std::string out(width, ' ');
    std::size_t free_from = 0;
    for (const double tick : axis.ticks(6)) {
        const std::string text = tick_text(tick);
        const double middle = axis.place(tick) * static_cast<double>(width - 1);
        const double begin = std::max(0.0, middle - static_cast<double>(text.size()) / 2);
        const std::size_t at =
            std::min(static_cast<std::size_t>(begin), width - std::min(width, text.size()));
        if (at < free_from) continue;
        out.replace(at, text.size(), text);
        free_from = at + text.size() + 2;
    }
    out.erase(out.find_last_not_of(' ') + 1);
    return out;
}

}  // namespace

std::string as_plot(const CostQualityPicture& picture, std::size_t columns, std::size_t rows) {
    const std::size_t width = std::max<std::size_t>(columns, 40) - kMargin;
    const std::size_t height = std::max<std::size_t>(rows, 10) - 2;
    const PictureAxes axes = axes_of(picture);
    Canvas canvas(width, height);
    std::vector<std::string> key;
    key.reserve(std::max(picture.lines.size(), picture.points.size()));
    std::size_t thick = 0;
    std::size_t thin = 0;
    // The first line is the one that matters: it is drawn last.
    std::vector<std::string_view> marks;
    marks.reserve(picture.lines.size());
    for (const auto& line : picture.lines)
        marks.push_back(line.background ? kThin[thin++ % kThin.size()]
                                        : kStrokes[thick++ % kStrokes.size()]);
    for (std::size_t i = picture.lines.size(); i-- > 0;)
        canvas.stroke(path_of(axes, picture.lines[i].points), marks[i]);
    for (std::size_t i = 0; i < picture.lines.size(); ++i)
        key.push_back(fmt::format("  {} {}", marks[i], picture.lines[i].name));
    std::string legend = key_text(key, columns);
    key.clear();
    std::vector<std::string> letters;
    letters.reserve(picture.points.size());
    for (std::size_t i = 0; i < picture.points.size(); ++i)
        letters.push_back(picture.points[i].operating ? "◆" : letter_of(i));
    for (std::size_t i = 0; i < picture.points.size(); ++i) {
        const auto& point = picture.points[i];
        if (!std::isfinite(point.at.cost) || !std::isfinite(point.at.quality)) continue;
        canvas.set(place_of(axes, point.at), letters[i]);
        key.push_back(fmt::format("  {} {}", letters[i], point.name));
    }
    std::vector<std::string> qualities(height);
    for (const double tick : axes.quality.ticks(6)) {
        const double y = (1 - axes.quality.place(tick)) * static_cast<double>(height - 1);
        qualities[static_cast<std::size_t>(std::lround(y))] = tick_text(tick);
    }
    std::string out = picture.title + "\nquality, %\n";
    for (std::size_t y = 0; y < height; ++y)
        out += fmt::format("{:>5} {}{}\n", qualities[y], qualities[y].empty() ? "│" : "┤",
                           canvas.row(y));
    out += fmt::format("{:6}└", "");
    for (std::size_t x = 0; x < width; ++x) out += "─";
    out += fmt::format("\n{:7}{}\n{:7}USD per 1,000 requests{}\n", "", cost_line(axes.cost, width),
                       "", axes.cost.logarithmic ? " (logarithmic)" : "");
    legend += key_text(key, columns);
    return out + legend;
}

}  // namespace leeway::lab
