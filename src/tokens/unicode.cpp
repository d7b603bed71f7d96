#include "tokens/unicode.hpp"

#include <cstddef>

namespace leeway::tokens::detail {
namespace {

constexpr bool is_tail(unsigned char byte) noexcept { return (byte & 0xC0U) == 0x80U; }

}  // namespace

Char other_char_at(const unsigned char* at, const unsigned char* end) noexcept {
    const std::uint32_t lead = *at;
    const std::ptrdiff_t left = end - at;
    if (lead >= 0xC2 && lead < 0xE0) {
        if (left < 2 || !is_tail(at[1])) return kBadByte;
        const std::uint32_t code = (lead & 31U) << 6U | (at[1] & 63U);
        return {set_of(class_of(code)), 2, code};
    }
    if (lead >= 0xF0 && lead < 0xF5) {
        if (left < 4 || !is_tail(at[1]) || !is_tail(at[2]) || !is_tail(at[3])) return kBadByte;
        const std::uint32_t code =
            (lead & 7U) << 18U | (at[1] & 63U) << 12U | (at[2] & 63U) << 6U | (at[3] & 63U);
        if (code < 0x10000 || code >= 0x110000) return kBadByte;
        return {set_of(class_of(code)), 4, code};
    }
    return kBadByte;
}

}  // namespace leeway::tokens::detail
