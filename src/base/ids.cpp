#include "base/ids.hpp"

#include "base/random.hpp"

#include <cstring>

namespace leeway {
namespace {

constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

}  // namespace

RequestId RequestId::make(std::int64_t unix_ms) {
    RequestId id;
    for (std::size_t i = 0; i < 6; ++i) {
        id.bytes[i] = static_cast<std::uint8_t>(unix_ms >> (8 * (5 - i)));
    }
    const std::uint64_t a = fast_random();
    const std::uint64_t b = fast_random();
    std::memcpy(&id.bytes[6], &a, 8);
    std::memcpy(&id.bytes[14], &b, 2);
    return id;
}

std::string RequestId::text() const {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    for (std::size_t i = 0; i < 8; ++i) {
        high = high << 8 | bytes[i];
        low = low << 8 | bytes[8 + i];
    }
    // 26 characters hold 130 bits; the two on top are zero.
    std::string out(26, '0');
    for (std::size_t i = 26; i-- > 0;) {
        out[i] = kAlphabet[low & 31];
        low = low >> 5 | high << 59;
        high >>= 5;
    }
    return out;
}

std::optional<RequestId> RequestId::parse(std::string_view text) {
    if (text.size() != 26) return std::nullopt;
    RequestId id;
    for (std::size_t i = 0; i < 26; ++i) {
        const auto value = kAlphabet.find(text[i]);
        if (value == std::string_view::npos || (i == 0 && value > 7)) return std::nullopt;
        for (std::size_t bit = 0; bit < 5; ++bit) {
            const std::size_t position = i * 5 + bit;
            if (position < 2) continue;
            const std::size_t index = position - 2;
            if ((value >> (4 - bit)) & 1u) {
                id.bytes[index / 8] |= static_cast<std::uint8_t>(1u << (7 - index % 8));
            }
        }
    }
    return id;
}

std::int64_t RequestId::unix_ms() const noexcept {
    std::int64_t out = 0;
    for (std::size_t i = 0; i < 6; ++i) out = out << 8 | bytes[i];
    return out;
}

}  // namespace leeway
