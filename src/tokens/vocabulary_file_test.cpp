#include "tokens/vocabulary_file.hpp"

#include "tokens/tokenizer.hpp"
#include "tokens/tokens_testing.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>

namespace leeway::tokens {
namespace {

using testing::small_source;

std::string small_image() { return *build_vocabulary(small_source()); }

TEST(Vocabulary, RefusesAnyCutOrChangedFile) {
    const std::string image = small_image();
    ASSERT_TRUE(Vocabulary::adopt(image).has_value());
    for (std::size_t size = 0; size < image.size(); size += 1 + size / 20) {
        EXPECT_FALSE(Vocabulary::adopt(image.substr(0, size)).has_value()) << size;
    }
    std::mt19937_64 random(5);
    for (int i = 0; i < 300; ++i) {
        std::string changed = image;
        const std::size_t at = random() % changed.size();
        changed[at] = static_cast<char>(changed[at] ^ static_cast<char>(1U << (random() % 8)));
        // Bits of the name and of padding inside the header mean nothing; all behind it is summed.
        if (at >= sizeof(VocabularyHeader)) {
            EXPECT_FALSE(Vocabulary::adopt(changed).has_value()) << at;
        } else {
            (void)Vocabulary::adopt(changed);
        }
    }
}

TEST(Vocabulary, SaysWhatIsMissing) {
    const auto none = Vocabulary::map("/nonexistent/x.vocabulary");
    ASSERT_FALSE(none.has_value());
    EXPECT_EQ(none.error().code, ErrorCode::kNotFound);
    EXPECT_FALSE(open_vocabulary("/").has_value()) << "a folder";
}

TEST(VocabularyBuilder, RefusesWhatIsNoByteLevelVocabulary) {
    VocabularySource source = small_source();
    source.tokens.erase(source.tokens.begin() + 7);
    EXPECT_FALSE(build_vocabulary(source).has_value()) << "a byte is missing";
    source = small_source();
    source.tokens.push_back({"he", 999, 0});
    EXPECT_FALSE(build_vocabulary(source).has_value()) << "a token twice";
    source = small_source();
    source.ranked = false;
    source.merges = {{"h", "x"}};
    EXPECT_FALSE(build_vocabulary(source).has_value()) << "a merge into no token";
    EXPECT_FALSE(build_vocabulary({}).has_value());
}

/// The same merges, given as ranks and as a list.
TEST(VocabularyBuilder, ListsOfMergesEqualRanks) {
    VocabularySource listed = small_source();
    listed.ranked = false;
    for (const auto& [left, right] :
         {std::pair("h", "e"), std::pair("l", "l"), std::pair("he", "ll"), std::pair("hell", "o"),
          std::pair(" ", "w"), std::pair("o", "r"), std::pair(" w", "or"), std::pair("l", "d"),
          std::pair(" wor", "ld"), std::pair("a", "a"), std::pair("aa", "aa"),
          std::pair(" ", " ")}) {
        listed.merges.emplace_back(left, right);
    }
    Tokenizer by_list(Vocabulary::adopt(*build_vocabulary(listed)).value_or(nullptr));
    Tokenizer by_rank(Vocabulary::adopt(small_image()).value_or(nullptr));
    for (const std::string_view text : {"hello world", "hellhe", "aaaaa", "helloo worl", "   x"}) {
        const auto a = by_list.encode(text);
        const auto b = by_rank.encode(text);
        EXPECT_EQ(std::vector(a.begin(), a.end()), std::vector(b.begin(), b.end())) << text;
    }
}

TEST(Tiktoken, NamesTheLineThatIsWrong) {
    const auto good = read_tiktoken("IQ== 0\r\nIg== 1\n\n");
    ASSERT_TRUE(good.has_value());
    EXPECT_EQ(good->tokens[1].bytes, "\"");
    for (const std::string_view text : {"IQ== 0\nIg==\n", "IQ== 0\nIg== x\n", "IQ== 0\n!! 1\n",
                                        "IQ== 0\n 1\n", "IQ== 0\nIg== 99999999\n"}) {
        const auto bad = read_tiktoken(text);
        ASSERT_FALSE(bad.has_value()) << text;
        EXPECT_NE(bad.error().message.find("line 2"), std::string::npos) << bad.error().message;
    }
}

// ---------------------------------------------------------------- GGUF

template <class T>
void put(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void put_text(std::string& out, std::string_view text) {
    put(out, std::uint64_t{text.size()});
    out += text;
}
std::string mapped(unsigned byte) {
    // The inverse of unmap_bytes, for what is printable; others by search.
    for (unsigned code = 0x21; code < 0x144; ++code) {
        std::string text;
        if (code < 0x80) {
            text = std::string(1, static_cast<char>(code));
        } else {
            text = {static_cast<char>(0xC0U | code >> 6U), static_cast<char>(0x80U | (code & 63U))};
        }
        const auto found = unmap_bytes(text);
        if (found && static_cast<unsigned char>((*found)[0]) == byte) return text;
    }
    return {};
}
std::string small_gguf() {
    std::string out = "GGUF";
    put(out, std::uint32_t{3});
    put(out, std::uint64_t{0});
    put(out, std::uint64_t{4});
    put_text(out, "tokenizer.ggml.model");
    put(out, std::uint32_t{8});
    put_text(out, "gpt2");
    put_text(out, "tokenizer.ggml.pre");
    put(out, std::uint32_t{8});
    put_text(out, "qwen2");
    put_text(out, "tokenizer.ggml.tokens");
    put(out, std::uint32_t{9});
    put(out, std::uint32_t{8});
    put(out, std::uint64_t{257});
    for (unsigned byte = 0; byte < 256; ++byte) put_text(out, mapped(byte));
    put_text(out, "he");
    put_text(out, "tokenizer.ggml.merges");
    put(out, std::uint32_t{9});
    put(out, std::uint32_t{8});
    put(out, std::uint64_t{1});
    put_text(out, "h e");
    return out;
}

TEST(Gguf, ReadsAByteLevelVocabulary) {
    const auto source = read_gguf(small_gguf());
    ASSERT_TRUE(source.has_value()) << source.error().text();
    EXPECT_EQ(source->grammar, Grammar::kQwen2);
    Tokenizer tokenizer(Vocabulary::adopt(*build_vocabulary(*source)).value_or(nullptr));
    EXPECT_EQ(tokenizer.count("he he"), 3U);
}

TEST(Gguf, SurvivesEveryCutAndManyChanges) {
    const std::string good = small_gguf();
    for (std::size_t size = 0; size < good.size(); ++size) {
        ASSERT_FALSE(read_gguf(good.substr(0, size)).has_value()) << size;
    }
    std::mt19937_64 random(6);
    for (int i = 0; i < 3000; ++i) {
        std::string changed = good;
        for (int k = 0; k < 3; ++k)
            changed[random() % changed.size()] = static_cast<char>(random());
        if (const auto source = read_gguf(changed)) (void)build_vocabulary(*source);
    }
}

// ---------------------------------------------------------------- tokenizer.json, tekken.json

std::string small_json(const std::string& pre_tokenizer, const std::string& model_end) {
    std::string vocabulary;
    for (unsigned byte = 0; byte < 256; ++byte) {
        std::string text = mapped(byte);
        if (text == "\"" || text == "\\") text.insert(0, "\\");
        vocabulary += "\"" + text + "\":" + std::to_string(byte) + ",";
    }
    return R"({"version":"1.0","added_tokens":[{"id":300,"content":"<think>","special":false}],"pre_tokenizer":)" +
           pre_tokenizer + R"(,"model":{"type":"BPE","vocab":{)" + vocabulary + "\"he\":256}," +
           model_end + "}}";
}

TEST(TokenizerJson, ReadsMergesInBothFormsAndAddedTokens) {
    const std::string gpt2 = R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":true})";
    for (const std::string merges : {R"("merges":["h e"])", R"("merges":[["h","e"]])"}) {
        const auto source = read_tokenizer_json(small_json(gpt2, merges));
        ASSERT_TRUE(source.has_value()) << source.error().text();
        EXPECT_EQ(source->grammar, Grammar::kGpt2);
        Tokenizer tokenizer(Vocabulary::adopt(*build_vocabulary(*source)).value_or(nullptr));
        EXPECT_EQ(tokenizer.count("he<think>he"), 3U);
    }
}

TEST(TokenizerJson, RefusesWhatItCannotReproduce) {
    const std::string merges = R"("merges":["h e"])";
    for (const std::string pre :
         {R"({"type":"Whitespace"})",
          R"({"type":"ByteLevel","add_prefix_space":true,"use_regex":true})",
          R"({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"x+"}},)"
          R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]})"}) {
        EXPECT_FALSE(read_tokenizer_json(small_json(pre, merges)).has_value()) << pre;
    }
    EXPECT_FALSE(read_tokenizer_json("{").has_value());
    EXPECT_FALSE(read_tokenizer_json("[]").has_value());
    EXPECT_FALSE(read_tekken_json(R"({"config":{"pattern":"x"},"vocab":[]})").has_value());
}

TEST(Grammar, KnowsThePatternsOfPublishedFiles) {
    EXPECT_EQ(grammar_of_pattern(
                  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
                  "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"),
              Grammar::kLlama3);
    EXPECT_EQ(grammar_of_pattern("\\w+"), std::nullopt);
    EXPECT_EQ(grammar_of_gguf("smollm"), Grammar::kSmolLm2);
    EXPECT_EQ(grammar_of_gguf(""), std::nullopt);
}

}  // namespace
}  // namespace leeway::tokens
