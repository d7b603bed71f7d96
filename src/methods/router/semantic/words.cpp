#include "methods/router/semantic/words.hpp"

#include "json/text.hpp"

#include <algorithm>
#include <array>

namespace leeway::router {
namespace {

struct Block {
    std::uint32_t first;
    std::uint32_t last;
    Script script;
};

// Blocks of letters beyond ASCII, ascending; what lies between is punctuation, symbols or emoji. Unicode's charts.
constexpr std::array kBlocks{
    Block{0xAA, 0xAA, Script::kLatin},        Block{0xB5, 0xB5, Script::kGreek},
    Block{0xBA, 0xBA, Script::kLatin},        Block{0xC0, 0xD6, Script::kLatin},
    Block{0xD8, 0xF6, Script::kLatin},        Block{0xF8, 0x2AF, Script::kLatin},
    Block{0x370, 0x373, Script::kGreek},      Block{0x376, 0x377, Script::kGreek},
    Block{0x37B, 0x37D, Script::kGreek},      Block{0x37F, 0x37F, Script::kGreek},
    Block{0x386, 0x386, Script::kGreek},      Block{0x388, 0x3FF, Script::kGreek},
    Block{0x400, 0x52F, Script::kCyrillic},   Block{0x531, 0x588, Script::kOther},
    Block{0x5D0, 0x5EA, Script::kHebrew},     Block{0x620, 0x669, Script::kArabic},
    Block{0x66E, 0x6D3, Script::kArabic},     Block{0x6D5, 0x6FF, Script::kArabic},
    Block{0x750, 0x77F, Script::kArabic},     Block{0x900, 0x963, Script::kDevanagari},
    Block{0x966, 0x97F, Script::kDevanagari}, Block{0x980, 0xDF3, Script::kOther},
    Block{0xE01, 0xE4E, Script::kThai},       Block{0xE50, 0xE59, Script::kThai},
    Block{0xE80, 0x10FF, Script::kOther},     Block{0x1100, 0x11FF, Script::kHangul},
    Block{0x1200, 0x1DBF, Script::kOther},    Block{0x1E00, 0x1EFF, Script::kLatin},
    Block{0x1F00, 0x1FBC, Script::kGreek},    Block{0x1FC2, 0x1FCC, Script::kGreek},
    Block{0x1FD0, 0x1FDB, Script::kGreek},    Block{0x1FE0, 0x1FEC, Script::kGreek},
    Block{0x1FF2, 0x1FFC, Script::kGreek},    Block{0x2C00, 0x2DFF, Script::kOther},
    Block{0x3005, 0x3007, Script::kHan},      Block{0x3041, 0x30FF, Script::kKana},
    Block{0x3105, 0x312F, Script::kOther},    Block{0x3131, 0x318E, Script::kHangul},
    Block{0x3400, 0x4DBF, Script::kHan},      Block{0x4E00, 0x9FFF, Script::kHan},
    Block{0xA000, 0xABFF, Script::kOther},    Block{0xAC00, 0xD7FF, Script::kHangul},
    Block{0xF900, 0xFAFF, Script::kHan},      Block{0xFB1D, 0xFB4F, Script::kHebrew},
    Block{0xFB50, 0xFDFF, Script::kArabic},   Block{0xFE70, 0xFEFC, Script::kArabic},
    Block{0xFF10, 0xFF19, Script::kNone},     Block{0xFF21, 0xFF3A, Script::kLatin},
    Block{0xFF41, 0xFF5A, Script::kLatin},    Block{0xFF66, 0xFF9F, Script::kKana},
    Block{0x10000, 0x1CFFF, Script::kOther},  Block{0x20000, 0x3FFFF, Script::kHan},
};

// The base letters of U+00C0 to U+017F; a dot where a letter has none.
constexpr std::string_view kLatinBase =
    "aaaaaa.ceeeeiiii.nooooo..uuuuy..aaaaaa.ceeeeiiii.nooooo..uuuuy.y"
    "aaaaaaccccccccdd..eeeeeeeeeegggggggghh..iiiiiiiii...jjkk.llllll."
    "...nnnnnn...oooooo..rrrrrrsssssssstttt..uuuuuuuuuuuuwwyyyzzzzzz.";

std::uint32_t fold_latin(std::uint32_t code) noexcept {
    const std::uint32_t at = code - 0xC0;
    const char base = at < kLatinBase.size() ? kLatinBase[at] : '.';
    if (base != '.') return static_cast<unsigned char>(base);
    if (code <= 0xDE) return code + 0x20;
    if (code >= 0xFF21 && code <= 0xFF3A) return code - 0xFF21 + 'a';
    if (code >= 0xFF41 && code <= 0xFF5A) return code - 0xFF41 + 'a';
    const bool even_upper = (code >= 0x100 && code <= 0x137) || (code >= 0x14A && code <= 0x177) ||
                            (code >= 0x1E00 && code <= 0x1EFF);
    return even_upper ? code | 1U : code;
}

std::uint32_t fold_greek(std::uint32_t code) noexcept {
    switch (code) {
        case 0x386:
        case 0x3AC: return 0x3B1;
        case 0x388:
        case 0x3AD: return 0x3B5;
        case 0x389:
        case 0x3AE: return 0x3B7;
        case 0x38A:
        case 0x390:
        case 0x3AA:
        case 0x3AF:
        case 0x3CA: return 0x3B9;
        case 0x38C:
        case 0x3CC: return 0x3BF;
        case 0x38E:
        case 0x3AB:
        case 0x3B0:
        case 0x3CB:
        case 0x3CD: return 0x3C5;
        case 0x38F:
        case 0x3CE: return 0x3C9;
        case 0x3C2: return 0x3C3;  // the sigma that ends a word
        default: return code >= 0x391 && code <= 0x3A9 ? code + 0x20 : code;
    }
}

std::uint32_t fold_cyrillic(std::uint32_t code) noexcept {
    if (code == 0x401 || code == 0x451) return 0x435;
    if (code <= 0x40F) return code + 0x50;
    if (code <= 0x42F) return code + 0x20;
    return code >= 0x460 && code <= 0x52F ? code | 1U : code;
}

}  // namespace

Letter next_letter(std::string_view& text) noexcept {
    const std::size_t length = json::utf8_length(text);
    if (length == 0) {
        text.remove_prefix(1);
        return {.code = ' '};
    }
    const std::uint32_t code = json::utf8_code(text, length);
    text.remove_prefix(length);
    if (code < 0x80) {
        const bool upper = code >= 'A' && code <= 'Z';
        if (upper || (code >= 'a' && code <= 'z'))
            return {upper ? code + 0x20 : code, Script::kLatin, true};
        return {code, Script::kNone, code >= '0' && code <= '9'};
    }
    const auto* const block =
        std::lower_bound(kBlocks.begin(), kBlocks.end(), code,
                         [](const Block& one, std::uint32_t wanted) { return one.last < wanted; });
    if (block == kBlocks.end() || code < block->first) return {code, Script::kNone, false};
    switch (block->script) {
        case Script::kLatin: return {fold_latin(code), Script::kLatin, true};
        case Script::kGreek: return {fold_greek(code), Script::kGreek, true};
        case Script::kCyrillic: return {fold_cyrillic(code), Script::kCyrillic, true};
        case Script::kNone: return {code - 0xFF10 + '0', Script::kNone, true};
        default: return {code, block->script, true};
    }
}

std::vector<std::string> words_of(std::string_view text) {
    text = text.substr(0, std::min(text.size(), kMostWordBytes));
    std::vector<std::string> out;
    std::string word;
    const auto end_word = [&] {
        if (!word.empty()) out.push_back(std::move(word));
        word.clear();
    };
    while (!text.empty()) {
        const Letter letter = next_letter(text);
        if (letter.in_word && !stands_alone(letter.script)) {
            json::append_utf8(word, letter.code);
        } else if (letter.in_word) {
            end_word();
            json::append_utf8(word, letter.code);
            end_word();
        } else if (!is_accent(letter.code) && !(is_apostrophe(letter.code) && !word.empty())) {
            end_word();
        }
    }
    end_word();
    return out;
}

std::string folded(std::string_view text) {
    std::string out = " ";
    for (const std::string& word : words_of(text)) out.append(word).push_back(' ');
    return out;
}

}  // namespace leeway::router
