#include "json/text.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace leeway::json {

namespace {

constexpr unsigned byte_at(std::string_view text, std::size_t i) noexcept {
    return static_cast<unsigned char>(text[i]);
}

/// The value of four hexadecimal digits at `at`, or -1.
std::int32_t hex4(std::string_view text, std::size_t at) noexcept {
    if (text.size() < at + 4) return -1;
    const std::int32_t a = kHexDigit[byte_at(text, at)];
    const std::int32_t b = kHexDigit[byte_at(text, at + 1)];
    const std::int32_t c = kHexDigit[byte_at(text, at + 2)];
    const std::int32_t d = kHexDigit[byte_at(text, at + 3)];
    if ((a | b | c | d) > 15) return -1;
    return a << 12 | b << 8 | c << 4 | d;
}

constexpr bool is_high_surrogate(std::int32_t unit) noexcept { return (unit & 0xFC00) == 0xD800; }
constexpr bool is_low_surrogate(std::int32_t unit) noexcept { return (unit & 0xFC00) == 0xDC00; }

/// Writes it at `out`, which has room for four bytes; returns where it ends.
char* put_utf8(char* out, std::uint32_t code_point) noexcept {
    const auto put = [&](std::uint32_t byte) {
        *out++ = static_cast<char>(byte);
    };
    if (code_point < 0x80) {
        put(code_point);
    } else if (code_point < 0x800) {
        put(0xC0 | (code_point >> 6));
        put(0x80 | (code_point & 0x3F));
    } else if (code_point < 0x10000) {
        put(0xE0 | (code_point >> 12));
        put(0x80 | ((code_point >> 6) & 0x3F));
        put(0x80 | (code_point & 0x3F));
    } else {
        put(0xF0 | (code_point >> 18));
        put(0x80 | ((code_point >> 12) & 0x3F));
        put(0x80 | ((code_point >> 6) & 0x3F));
        put(0x80 | (code_point & 0x3F));
    }
    return out;
}

}  // namespace

std::size_t utf8_length(std::string_view text) noexcept {
    if (text.empty()) return 0;
    const unsigned first = byte_at(text, 0);
    if (first < 0x80) return 1;
    const auto follows = [&](std::size_t i) {
        return i < text.size() && (byte_at(text, i) & 0xC0) == 0x80;
    };
    if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
    if (first >= 0xE0 && first <= 0xEF) {
        if (!follows(1) || !follows(2)) return 0;
        const unsigned second = byte_at(text, 1);
        if (first == 0xE0 && second < 0xA0) return 0;   // overlong
        if (first == 0xED && second >= 0xA0) return 0;  // surrogate
        return 3;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        if (!follows(1) || !follows(2) || !follows(3)) return 0;
        const unsigned second = byte_at(text, 1);
        if (first == 0xF0 && second < 0x90) return 0;   // overlong
        if (first == 0xF4 && second >= 0x90) return 0;  // above U+10FFFF
        return 4;
    }
    return 0;
}

void append_utf8(std::string& out, std::uint32_t code_point) {
    std::array<char, 4> bytes{};
    out.append(bytes.data(), put_utf8(bytes.data(), code_point));
}

std::size_t utf8_border(std::string_view text, std::size_t at) noexcept {
    if (at >= text.size()) return text.size();
    while (at > 0 && (byte_at(text, at) & 0xC0) == 0x80) --at;
    return at;
}

std::size_t escape_length(std::string_view text) noexcept {
    if (text.size() < 2) return 0;
    if (text[1] != 'u') return short_escape(text[1]) != 0 ? 2 : 0;
    const std::int32_t unit = hex4(text, 2);
    if (unit < 0 || is_low_surrogate(unit)) return 0;
    if (!is_high_surrogate(unit)) return 6;
    if (text.size() < 12 || text[6] != '\\' || text[7] != 'u') return 0;
    return is_low_surrogate(hex4(text, 8)) ? 12 : 0;
}

char* put_unescaped(char* out, std::string_view escape) noexcept {
    if (escape.size() == 2) {
        *out++ = short_escape(escape[1]);
    } else if (escape.size() == 6) {
        out = put_utf8(out, static_cast<std::uint32_t>(hex4(escape, 2)));
    } else {
        const auto high = static_cast<std::uint32_t>(hex4(escape, 2)) & 0x3FF;
        const auto low = static_cast<std::uint32_t>(hex4(escape, 8)) & 0x3FF;
        out = put_utf8(out, 0x10000 + (high << 10) + low);
    }
    return out;
}

bool append_unescaped(std::string& out, std::string_view raw) {
    while (!raw.empty()) {
        const void* found = std::memchr(raw.data(), '\\', raw.size());
        if (found == nullptr) break;
        const auto plain = static_cast<std::size_t>(static_cast<const char*>(found) - raw.data());
        out.append(raw.data(), plain);
        raw.remove_prefix(plain);
        const std::size_t length = escape_length(raw);
        if (length == 0) return false;
        std::array<char, 4> bytes{};
        out.append(bytes.data(), put_unescaped(bytes.data(), raw.substr(0, length)));
        raw.remove_prefix(length);
    }
    out.append(raw);
    return true;
}

std::optional<std::string> unescape(std::string_view raw) {
    std::string out;
    out.reserve(raw.size());
    if (!append_unescaped(out, raw)) return std::nullopt;
    return out;
}

}  // namespace leeway::json
