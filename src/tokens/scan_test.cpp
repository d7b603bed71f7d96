#include "tokens/scan.hpp"

#include "tokens/kernel.hpp"
#include "tokens/unicode.hpp"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>
#include <vector>

namespace leeway::tokens {
namespace {

using Pieces = std::vector<std::string>;

Pieces cut(Grammar grammar, std::string_view text) {
    Pieces out;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = piece_end(grammar, text, at);
        out.emplace_back(text.substr(at, end - at));
        at = end;
    }
    return out;
}

TEST(PieceRules, O200kFollowsCaseContractionsAndMarks) {
    const auto o200k = [](std::string_view text) {
        return cut(Grammar::kO200k, text);
    };
    EXPECT_EQ(o200k("HTTPServer helloWorld"), (Pieces{"HTTPServer", " hello", "World"}));
    EXPECT_EQ(o200k("it's IT'S 's's x'll"), (Pieces{"it's", " IT'S", " '", "s's", " x'll"}));
    EXPECT_EQ(o200k("it's's"), (Pieces{"it's", "'s"}));
    EXPECT_EQ(o200k("1234567 8"), (Pieces{"123", "456", "7", " ", "8"}));
    EXPECT_EQ(o200k("a!\n/\n\nb"), (Pieces{"a", "!\n/\n\n", "b"}));
    EXPECT_EQ(o200k("ʰABʰCD"), (Pieces{"ʰABʰ", "CD"}))
        << "capitals without small letters are given back";
    EXPECT_EQ(o200k("\u0301AB"), (Pieces{"\u0301", "AB"}));
    EXPECT_EQ(o200k("a  \n \n  b"), (Pieces{"a", "  \n \n", " ", " b"}));
    EXPECT_EQ(o200k("a \t b \n"), (Pieces{"a", " \t", " b", " \n"}));
}

TEST(PieceRules, Cl100kGivesContractionsTheirOwnPieceAndSpaceAtTheEndOne) {
    const auto cl100k = [](std::string_view text) {
        return cut(Grammar::kCl100k, text);
    };
    EXPECT_EQ(cl100k("it's 'sabc 'ſx"), (Pieces{"it", "'s", " '", "sabc", " '", "ſx"}));
    EXPECT_EQ(cl100k("'sabc"), (Pieces{"'s", "abc"}));
    EXPECT_EQ(cl100k("'ſx"), (Pieces{"'ſ", "x"})) << "long s folds to s";
    EXPECT_EQ(cl100k("a\n\n  "), (Pieces{"a", "\n\n  "}));
    EXPECT_EQ(cut(Grammar::kLlama3, "a\n\n  "), (Pieces{"a", "\n\n", "  "}));
}

TEST(PieceRules, OthersDifferInDigitsAndSpace) {
    EXPECT_EQ(cut(Grammar::kQwen2, "a12"), (Pieces{"a", "1", "2"}));
    EXPECT_EQ(cut(Grammar::kTekken, "it's 12"), (Pieces{"it", "'s", " ", "1", "2"}));
    EXPECT_EQ(cut(Grammar::kGpt2, "a  12 IT'S it's"),
              (Pieces{"a", " ", " 12", " IT", "'", "S", " it", "'s"}));
    EXPECT_EQ(cut(Grammar::kSmolLm2, "a  12 b"), (Pieces{"a", "  ", "1", "2", " b"}));
    EXPECT_EQ(cut(Grammar::kDeepSeek3, "ab中文カ・タ12345 x_y"),
              (Pieces{"ab", "中文カ", "・", "タ", "123", "45", " x", "_y"}));
    EXPECT_EQ(cut(Grammar::kNone, "a b"), (Pieces{"a b"}));
}

TEST(PieceRules, TakeBytesThatAreNoUtf8AsSigns) {
    EXPECT_EQ(cut(Grammar::kO200k, "a\xFF\xE4\xB8 b"), (Pieces{"a", "\xFF\xE4\xB8", " b"}));
}

std::string hostile(std::mt19937_64& random) {
    static const std::vector<std::string> parts{" ",
                                                "  ",
                                                "\n",
                                                "\r\n",
                                                "\t",
                                                "\v",
                                                "\u00a0",
                                                "\u3000",
                                                "a",
                                                "b",
                                                "Z",
                                                "s",
                                                "É",
                                                "ſ",
                                                "ʰ",
                                                "ǅ",
                                                "\u0301",
                                                "1",
                                                "22",
                                                "٣",
                                                "'",
                                                "'s",
                                                "'S",
                                                "'ll",
                                                "'LL",
                                                "'re",
                                                "'ſ",
                                                "!",
                                                "/",
                                                "//",
                                                "-",
                                                "”",
                                                "中",
                                                "の",
                                                "🌍",
                                                "\u200d",
                                                std::string(1, '\0'),
                                                "\x7f",
                                                "\xff",
                                                "\xe4\xb8",
                                                "hello",
                                                " World",
                                                "HTTP",
                                                "Server",
                                                "\n\n",
                                                "  \n",
                                                "x's",
                                                "'t't",
                                                std::string(70, 'q'),
                                                std::string(66, ' ')};
    std::string out;
    const std::size_t kinds = random() % 3 == 0 ? 4 : parts.size();
    const std::size_t first = random() % parts.size();
    for (std::size_t i = random() % 60; i > 0; --i) {
        out += parts[(first + random() % kinds) % parts.size()];
    }
    return out;
}

/// Every kernel that this machine has against the rules.
TEST(PieceScanner, AgreesWithTheRulesOnHostileText) {
    std::mt19937_64 random(7);
    std::vector<const detail::Kernel*> kernels{&detail::baseline_kernel()};
    if (const auto* fast = detail::avx2_kernel()) kernels.push_back(fast);
    for (int round = 0; round < 20000; ++round) {
        const std::string text = hostile(random);
        for (const Grammar grammar : {Grammar::kCl100k, Grammar::kO200k, Grammar::kLlama3,
                                      Grammar::kQwen2, Grammar::kTekken}) {
            std::vector<std::uint32_t> wanted;
            for (std::size_t at = 0; at < text.size();) {
                at = piece_end(grammar, text, at);
                wanted.push_back(static_cast<std::uint32_t>(at));
            }
            std::vector<std::uint32_t> found;
            std::array<std::uint32_t, 192> ends{};
            PieceScanner scanner(grammar, text);
            while (const std::size_t n = scanner.next(ends.data(), ends.size())) {
                found.insert(found.end(), ends.begin(),
                             ends.begin() + static_cast<std::ptrdiff_t>(n));
            }
            ASSERT_EQ(found, wanted)
                << grammar_name(grammar) << ": " << ::testing::PrintToString(text);
            for (const detail::Kernel* kernel : kernels) {
                const auto scan = kernel->scan[static_cast<unsigned>(grammar)];
                if (scan == nullptr) continue;
                found.clear();
                detail::ScanState state = scanner_state(grammar, text);
                while (const std::size_t n = scan(state, ends.data(), ends.size())) {
                    found.insert(found.end(), ends.begin(),
                                 ends.begin() + static_cast<std::ptrdiff_t>(n));
                }
                ASSERT_EQ(found, wanted) << kernel->name << ' ' << grammar_name(grammar) << ": "
                                         << ::testing::PrintToString(text);
            }
        }
    }
}

TEST(Unicode, ReadsOnlyWholeShortestForms) {
    const auto read = [](std::string_view text) {
        const auto* const at = reinterpret_cast<const unsigned char*>(text.data());
        return char_at(at, at + text.size());
    };
    EXPECT_EQ(read("é").code, 0xE9U);
    EXPECT_EQ(read("中").length, 3U);
    EXPECT_EQ(read("\xF0\x9F\x8C\x8D").code, 0x1F30DU);
    for (const std::string_view bad :
         {"\x80", "\xC0\x80", "\xC3", "\xE0\x80\x80", "\xED\xA0\x80", "\xE4\xB8",
          "\xF4\x90\x80\x80", "\xF0\x80\x80\x80", "\xFF"}) {
        EXPECT_EQ(read(bad).length, 1U) << ::testing::PrintToString(bad);
        EXPECT_EQ(read(bad).set, set_of(CharClass::kOther));
    }
    EXPECT_EQ(class_of(0x1C89), CharClass::kUpper) << "new in Unicode 16";
    EXPECT_EQ(class_of(0x85), CharClass::kSpace);
    EXPECT_EQ(class_of(0x10FFFF), CharClass::kOther);
}

}  // namespace
}  // namespace leeway::tokens
