#include "tokens/unicode.hpp"

#include <array>
#include <cstddef>

namespace leeway::tokens {
namespace {

#include "tokens/unicode_table.inc"

constexpr CharClass look_up(std::uint32_t code) noexcept {
    const std::uint32_t block = code >> kUnicodeBlockBits;
    constexpr std::uint32_t kBlocks = sizeof kUnicodeStage1;
    // The last block of the first stage stands for all behind it.
    const std::uint32_t row = kUnicodeStage1[block < kBlocks ? block : kBlocks - 1];
    const std::uint32_t index = (row << kUnicodeBlockBits) | (code & ((1U << kUnicodeBlockBits) - 1));
    return static_cast<CharClass>(kUnicodeStage2[index >> 1U] >> ((index & 1U) * 4) & 15U);
}

constexpr std::array<std::uint16_t, 128> kAsciiSets = [] {
    std::array<std::uint16_t, 128> sets{};
    for (std::uint32_t c = 0; c < 128; ++c) {
        sets[c] = static_cast<std::uint16_t>(set_of(look_up(c)));
    }
    return sets;
}();

constexpr bool is_tail(unsigned char byte) noexcept { return (byte & 0xC0U) == 0x80U; }
constexpr Char kBad{set_of(CharClass::kOther), 1, 0xFFFFFFFFU};

}  // namespace

CharClass class_of(std::uint32_t code) noexcept { return look_up(code); }

Char char_at(const unsigned char* at, const unsigned char* end) noexcept {
    const std::uint32_t lead = *at;
    if (lead < 0x80) return {kAsciiSets[lead], 1, lead};
    const std::ptrdiff_t left = end - at;
    std::uint32_t code = 0;
    std::uint32_t length = 0;
    if (lead >= 0xE0 && lead < 0xF0) {
        if (left < 3 || !is_tail(at[1]) || !is_tail(at[2])) return kBad;
        code = (lead & 15U) << 12U | (at[1] & 63U) << 6U | (at[2] & 63U);
        if (code < 0x800 || (code >= 0xD800 && code < 0xE000)) return kBad;
        length = 3;
    } else if (lead >= 0xC2 && lead < 0xE0) {
        if (left < 2 || !is_tail(at[1])) return kBad;
        code = (lead & 31U) << 6U | (at[1] & 63U);
        length = 2;
    } else if (lead >= 0xF0 && lead < 0xF5) {
        if (left < 4 || !is_tail(at[1]) || !is_tail(at[2]) || !is_tail(at[3])) return kBad;
        code = (lead & 7U) << 18U | (at[1] & 63U) << 12U | (at[2] & 63U) << 6U | (at[3] & 63U);
        if (code < 0x10000 || code >= 0x110000) return kBad;
        length = 4;
    } else {
        return kBad;
    }
    return {set_of(look_up(code)), length, code};
}

}  // namespace leeway::tokens
