#include "tokens/image_tokens.hpp"

#include "tokens/model_map.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

namespace leeway::tokens {
namespace {

/// Rules of OpenAI (platform.openai.com/docs/guides/images-vision), Anthropic (build with Claude, vision)
/// and Google (Gemini API, tokens), as of November 2026.
struct TileRule {
    std::string_view pattern;
    std::int64_t base;
    std::int64_t tile;
};
constexpr std::array kTiles{
    TileRule{"gpt-4o-mini*", 2833, 5667},
    TileRule{"gpt-4o*", 85, 170},
    TileRule{"gpt-4.5*", 85, 170},
    TileRule{"gpt-4.1", 85, 170},
    TileRule{"gpt-4.1-20*", 85, 170},
    TileRule{"gpt-4-turbo*", 85, 170},
    TileRule{"gpt-5-mini*", 0, 0},
    TileRule{"gpt-5-nano*", 0, 0},
    TileRule{"gpt-5*", 70, 140},
    TileRule{"o4-mini*", 0, 0},
    TileRule{"o1*", 75, 150},
    TileRule{"o3*", 75, 150},
};
struct PatchRule {
    std::string_view pattern;
    double factor;
};
constexpr std::array kPatches{
    PatchRule{"gpt-4.1-mini*", 1.62}, PatchRule{"gpt-4.1-nano*", 2.46},
    PatchRule{"gpt-5-mini*", 1.62},   PatchRule{"gpt-5-nano*", 2.46},
    PatchRule{"o4-mini*", 1.72},
};

std::int64_t up(double value) noexcept {
    return static_cast<std::int64_t>(std::ceil(value - 1e-9));
}

std::int64_t tiles_of(ImageSize size) noexcept {
    double w = size.width;
    double h = size.height;
    const double fit = std::min(1.0, 2048.0 / std::max(w, h));
    w *= fit;
    h *= fit;
    const double shrink = std::min(1.0, 768.0 / std::min(w, h));
    w *= shrink;
    h *= shrink;
    return up(w / 512) * up(h / 512);
}

std::int64_t patches_of(ImageSize size) noexcept {
    constexpr double kMost = 1536;
    double w = size.width;
    double h = size.height;
    if (static_cast<double>(up(w / 32) * up(h / 32)) > kMost) {
        // Shrunk so that the patches fit, and then to a whole number of them along one side.
        double r = std::sqrt(kMost * 32 * 32 / (w * h));
        const double across = w * r / 32;
        const double down = h * r / 32;
        r *= std::min(std::floor(across) / across, std::floor(down) / down);
        w *= r;
        h *= r;
    }
    return std::min<std::int64_t>(up(w / 32) * up(h / 32), static_cast<std::int64_t>(kMost));
}

std::int64_t claude_tokens(ImageSize size, bool new_family) noexcept {
    const double edge = new_family ? 2576 : 1568;
    const std::int64_t most = new_family ? 4784 : 1568;
    const double fit = std::min(1.0, edge / std::max(size.width, size.height));
    return std::min(up(size.width * fit / 28) * up(size.height * fit / 28), most);
}

std::int64_t gemini_tokens(std::string_view model, ImageSize size) noexcept {
    if (matches_wildcard("gemini-3*", model)) return 1120;  // media_resolution is high by default
    if (size.width <= 384 && size.height <= 384) return 258;
    return 258 * up(size.width / 768.0) * up(size.height / 768.0);
}

std::uint32_t big_endian(std::string_view bytes, std::size_t at, std::size_t count) noexcept {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < count; ++i) {
        value = value << 8U | static_cast<unsigned char>(bytes[at + i]);
    }
    return value;
}
std::uint32_t little_endian(std::string_view bytes, std::size_t at, std::size_t count) noexcept {
    std::uint32_t value = 0;
    for (std::size_t i = count; i-- > 0;) {
        value = value << 8U | static_cast<unsigned char>(bytes[at + i]);
    }
    return value;
}

std::optional<ImageSize> jpeg_size(std::string_view file) noexcept {
    std::size_t at = 2;
    while (at + 9 < file.size()) {
        if (static_cast<unsigned char>(file[at]) != 0xFF) return std::nullopt;
        const auto marker = static_cast<unsigned char>(file[at + 1]);
        if (marker == 0xFF || marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) {
            at += marker == 0xFF ? 1 : 2;
            continue;
        }
        // SOF0 to SOF15, without the three that are tables
        if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 &&
            marker != 0xCC) {
            return ImageSize{big_endian(file, at + 7, 2), big_endian(file, at + 5, 2)};
        }
        const std::uint32_t length = big_endian(file, at + 2, 2);
        if (length < 2) return std::nullopt;
        at += 2 + std::size_t{length};
    }
    return std::nullopt;
}

std::optional<ImageSize> webp_size(std::string_view file) noexcept {
    if (file.size() < 30) return std::nullopt;
    const std::string_view kind = file.substr(12, 4);
    if (kind == "VP8X") {
        return ImageSize{little_endian(file, 24, 3) + 1, little_endian(file, 27, 3) + 1};
    }
    if (kind == "VP8 ") {
        return ImageSize{little_endian(file, 26, 2) & 0x3FFFU,
                         little_endian(file, 28, 2) & 0x3FFFU};
    }
    if (kind == "VP8L") {
        const std::uint32_t bits = little_endian(file, 21, 4);
        return ImageSize{(bits & 0x3FFFU) + 1, (bits >> 14U & 0x3FFFU) + 1};
    }
    return std::nullopt;
}

}  // namespace

std::optional<TokenCount> image_tokens(std::string_view model, ImageSize size, ImageDetail detail) {
    const std::string_view name = bare_model_name(model);
    const auto heuristic = [](std::int64_t tokens) {
        return TokenCount{tokens, tokens, tokens, Quality::kHeuristic};
    };
    const bool unknown = size.width == 0 || size.height == 0;
    // The most expensive shape that none of the rules would shrink further.
    if (unknown) size = {2048, 2048};
    if (matches_wildcard("claude*", name)) {
        return heuristic(claude_tokens(size, find_model(name).family == ModelFamily::kClaude47));
    }
    if (matches_wildcard("gemini*", name)) return heuristic(gemini_tokens(name, size));
    for (const PatchRule& rule : kPatches) {
        if (matches_wildcard(rule.pattern, name)) {
            return heuristic(up(static_cast<double>(patches_of(size)) * rule.factor));
        }
    }
    for (const TileRule& rule : kTiles) {
        if (!matches_wildcard(rule.pattern, name)) continue;
        if (detail == ImageDetail::kLow) return heuristic(rule.base);
        return heuristic(rule.base + rule.tile * (unknown ? 4 : tiles_of(size)));
    }
    return std::nullopt;
}

std::optional<ImageSize> image_size(std::string_view file) {
    if (file.size() >= 24 && file.starts_with("\x89PNG\r\n\x1A\n")) {
        return ImageSize{big_endian(file, 16, 4), big_endian(file, 20, 4)};
    }
    if (file.size() >= 10 && (file.starts_with("GIF87a") || file.starts_with("GIF89a"))) {
        return ImageSize{little_endian(file, 6, 2), little_endian(file, 8, 2)};
    }
    if (file.size() >= 4 && file.starts_with("\xFF\xD8")) return jpeg_size(file);
    if (file.starts_with("RIFF") && file.size() >= 16 && file.substr(8, 4) == "WEBP") {
        return webp_size(file);
    }
    return std::nullopt;
}

}  // namespace leeway::tokens
