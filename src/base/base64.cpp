#include "base/base64.hpp"

namespace leeway {

void append_base64(std::string& out, std::span<const std::uint8_t> bytes) {
    static constexpr std::string_view kAlphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::size_t i = 0;
    for (; i + 3 <= bytes.size(); i += 3) {
        const unsigned bits = (static_cast<unsigned>(bytes[i]) << 16U) |
                              (static_cast<unsigned>(bytes[i + 1]) << 8U) | bytes[i + 2];
        out += kAlphabet[bits >> 18U];
        out += kAlphabet[(bits >> 12U) & 63U];
        out += kAlphabet[(bits >> 6U) & 63U];
        out += kAlphabet[bits & 63U];
    }
    const std::size_t left = bytes.size() - i;
    if (left == 0) return;
    const unsigned bits = (static_cast<unsigned>(bytes[i]) << 16U) |
                          (left == 2 ? static_cast<unsigned>(bytes[i + 1]) << 8U : 0U);
    out += kAlphabet[bits >> 18U];
    out += kAlphabet[(bits >> 12U) & 63U];
    out += left == 2 ? kAlphabet[(bits >> 6U) & 63U] : '=';
    out += '=';
}

std::string base64url(std::span<const std::uint8_t> bytes) {
    static constexpr std::string_view kAlphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string out;
    std::uint32_t bits = 0;
    int count = 0;
    for (const std::uint8_t byte : bytes) {
        bits = bits << 8 | byte;
        for (count += 8; count >= 6; count -= 6) out += kAlphabet[bits >> (count - 6) & 63];
    }
    if (count > 0) out += kAlphabet[bits << (6 - count) & 63];
    return out;
}

std::optional<std::string> decode_base64(std::string_view text) {
    std::string out;
    std::uint32_t bits = 0;
    unsigned have = 0;
    while (!text.empty() && text.back() == '=') text.remove_suffix(1);
    for (const char c : text) {
        std::uint32_t value = 0;
        if (c >= 'A' && c <= 'Z') {
            value = static_cast<std::uint32_t>(c - 'A');
        } else if (c >= 'a' && c <= 'z') {
            value = static_cast<std::uint32_t>(c - 'a' + 26);
        } else if (c >= '0' && c <= '9') {
            value = static_cast<std::uint32_t>(c - '0' + 52);
        } else if (c == '+' || c == '/') {
            value = c == '+' ? 62 : 63;
        } else {
            return std::nullopt;
        }
        bits = bits << 6U | value;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out.push_back(static_cast<char>(bits >> have & 0xFFU));
        }
    }
    return out;
}

}  // namespace leeway
