#include "tokens/tokenizer.hpp"

#include "tokens/appendable_counter.hpp"
#include "tokens/message_memo.hpp"
#include "tokens/scan.hpp"
#include "tokens/tokens_testing.hpp"

#include <gtest/gtest.h>

#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace leeway::tokens {
namespace {

using testing::contents;
using testing::data_folder;
using testing::small_source;
using testing::small_vocabulary;
using testing::vocabulary_file;

/// Byte pairs by the definition, over the source itself.
std::vector<TokenId> by_definition(const VocabularySource& source, std::string_view piece) {
    const auto id_of = [&](const std::string& bytes) -> std::int64_t {
        for (const auto& token : source.tokens) {
            if (token.bytes == bytes) return token.id;
        }
        return -1;
    };
    if (const std::int64_t whole = id_of(std::string(piece)); whole >= 0) {
        return {static_cast<TokenId>(whole)};
    }
    std::vector<std::string> parts;
    for (const char c : piece) parts.emplace_back(1, c);
    for (;;) {
        std::int64_t best = -1;
        std::size_t place = 0;
        for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
            const std::int64_t id = id_of(parts[i] + parts[i + 1]);
            if (id >= 0 && (best < 0 || id < best)) {
                best = id;
                place = i;
            }
        }
        if (best < 0) break;
        parts[place] += parts[place + 1];
        parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(place) + 1);
    }
    std::vector<TokenId> out;
    for (const std::string& part : parts) out.push_back(static_cast<TokenId>(id_of(part)));
    return out;
}

std::string random_text(std::mt19937_64& random, std::size_t most) {
    static const std::vector<std::string> parts{
        "he", "l", "lo", " w", "or", "ld", "a", "b",    "c",
        "d",  " ", "中", "🌍", "\n", "!",  "1", "\xE4", "aaaaaaaaaaaaaaaaaaaaaaaa"};
    std::string out;
    for (std::size_t i = random() % most; i > 0; --i) out += parts[random() % parts.size()];
    return out;
}

std::vector<TokenId> encoded(Tokenizer& tokenizer, std::string_view text) {
    const auto ids = tokenizer.encode(text);
    return {ids.begin(), ids.end()};
}

TEST(Tokenizer, EncodesAsTheDefinitionSays) {
    const VocabularySource source = small_source();
    // Small caches, so that entries are driven out.
    Tokenizer tokenizer(small_vocabulary(),
                        {.tiny_pieces = 8, .short_pieces = 4, .long_pieces = 4});
    std::mt19937_64 random(1);
    for (int round = 0; round < 3000; ++round) {
        const std::string text = random_text(random, 40);
        std::vector<TokenId> wanted;
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t end = piece_end(Grammar::kO200k, text, at);
            const auto ids = by_definition(source, std::string_view(text).substr(at, end - at));
            wanted.insert(wanted.end(), ids.begin(), ids.end());
            at = end;
        }
        ASSERT_EQ(encoded(tokenizer, text), wanted) << ::testing::PrintToString(text);
        ASSERT_EQ(tokenizer.count(text), wanted.size());
        ASSERT_EQ(encoded(tokenizer, text), wanted) << "from the caches";
        const auto bounds = tokenizer.bounds(text);
        ASSERT_LE(bounds.lower, wanted.size());
        ASSERT_GE(bounds.upper, wanted.size());
        std::size_t sum = 0;
        tokenizer.for_each_piece(text, [&](std::string_view, auto ids) { sum += ids.size(); });
        ASSERT_EQ(sum, wanted.size());
    }
}

TEST(Tokenizer, CountUntilStopsAtThePieceThatPassesTheLimit) {
    Tokenizer tokenizer(small_vocabulary());
    std::mt19937_64 random(2);
    for (int round = 0; round < 500; ++round) {
        const std::string text = random_text(random, 300);
        const std::size_t all = tokenizer.count(text);
        const std::size_t limit = random() % (all + 3);
        const auto part = tokenizer.count_until(text, limit);
        ASSERT_EQ(part.all, all <= limit);
        ASSERT_LE(part.tokens, limit);
        ASSERT_EQ(tokenizer.count(text.substr(0, part.bytes)), part.tokens);
        if (!part.all) {
            const std::size_t next = piece_end(Grammar::kO200k, text, part.bytes);
            ASSERT_GT(part.tokens + tokenizer.count(text.substr(part.bytes, next - part.bytes)),
                      limit);
        }
    }
}

/// Work per byte must not grow with the length.
TEST(Tokenizer, WorkIsLinearInTheLengthOfHostileText) {
    const auto file = vocabulary_file("o200k_base");
    auto vocabulary = Vocabulary::map(file);
    if (!vocabulary) GTEST_SKIP() << vocabulary.error().text();
    for (const std::string& unit :
         {std::string("a"), std::string(" "), std::string("🌍"), std::string("ab"),
          std::string("\n"), std::string("中"), std::string("Aa"), std::string("'s")}) {
        const auto steps = [&](std::size_t bytes) {
            Tokenizer tokenizer(*vocabulary);
            std::string text;
            while (text.size() < bytes) text += unit;
            (void)tokenizer.count(text);
            return tokenizer.steps();
        };
        const std::uint64_t small = steps(10'000);
        EXPECT_LE(steps(1'000'000), (small + 1000) * 110) << unit;
    }
}

TEST(Tokenizer, CutsOutOnlySpecialTokensThatAlwaysCount) {
    VocabularySource source = small_source();
    source.specials = {{"<think>", 900, true}, {"<|end|>", 901, false}};
    const auto vocabulary = Vocabulary::adopt(*build_vocabulary(source)).value_or(nullptr);
    ASSERT_NE(vocabulary, nullptr);
    Tokenizer plain(vocabulary);
    const auto ids = encoded(plain, "hello<think>hello");
    ASSERT_EQ(ids.size(), 3U);
    EXPECT_EQ(ids[1], 900U);
    EXPECT_GT(plain.count("<|end|>"), 1U) << "a name in the text is text";
    Tokenizer rendered(vocabulary, {.parse_specials = true});
    EXPECT_EQ(encoded(rendered, "<|end|><think>"), (std::vector<TokenId>{901, 900}));
}

// ---------------------------------------------------------------- published vectors

struct Plan {
    std::string encoding;
    std::string sample;
    std::vector<TokenId> ids;
};
std::vector<Plan> read_plans(const std::string& text) {
    std::vector<Plan> out;
    const std::string name_mark = "EncodingName: ";
    for (std::size_t at = text.find(name_mark); at != std::string::npos;
         at = text.find(name_mark, at + 1)) {
        Plan plan;
        std::size_t end = text.find('\n', at);
        plan.encoding = text.substr(at + name_mark.size(), end - at - name_mark.size());
        const std::size_t sample = end + 1 + std::string("Sample: ").size();
        end = text.find("\nEncoded: [", sample);
        plan.sample = text.substr(sample, end - sample);
        std::istringstream numbers(text.substr(end + 11, text.find(']', end) - end - 11));
        for (std::string number; std::getline(numbers, number, ',');) {
            plan.ids.push_back(static_cast<TokenId>(std::stoul(number)));
        }
        out.push_back(std::move(plan));
    }
    return out;
}

TEST(Vectors, OfGptTokenizerAgree) {
    const auto file = data_folder() / "tokens/tokenizers/TestPlans.txt";
    if (!std::filesystem::exists(file))
        GTEST_SKIP() << "no test data: " << file << " (LEEWAY_TEST_DATA)";
    for (const auto& [name, expected] :
         {std::pair("cl100k_base", 64), std::pair("o200k_base", 57)}) {
        auto vocabulary = Vocabulary::map(vocabulary_file(name));
        if (!vocabulary) GTEST_SKIP() << vocabulary.error().text();
        Tokenizer tokenizer(*vocabulary);
        int checked = 0;
        for (const Plan& plan : read_plans(contents(file))) {
            if (plan.encoding != name) continue;
            ++checked;
            EXPECT_EQ(encoded(tokenizer, plan.sample), plan.ids) << plan.sample;
        }
        EXPECT_EQ(checked, expected) << name;
    }
}

TEST(Vectors, OfLlamaCppAgree) {
    const auto folder = data_folder() / "tokens/llamacpp-vectors";
    if (!std::filesystem::exists(folder))
        GTEST_SKIP() << "no test data: " << folder << " (LEEWAY_TEST_DATA)";
    for (const std::string name : {"gpt-2", "llama-spm"}) {
        const auto file = folder / ("ggml-vocab-" + name + ".gguf");
        const auto vocabulary = open_vocabulary(file);
        ASSERT_TRUE(vocabulary.has_value()) << vocabulary.error().text();
        Tokenizer tokenizer(*vocabulary);
        const std::string inputs = contents(file.string() + ".inp");
        std::istringstream outputs(contents(file.string() + ".out"));
        const std::string mark = "\n__ggml_vocab_test__\n";
        int checked = 0;
        for (std::size_t at = 0; at < inputs.size();) {
            const std::size_t end = std::min(inputs.find(mark, at), inputs.size());
            std::string line;
            std::getline(outputs, line);
            std::istringstream numbers(line);
            std::vector<TokenId> wanted;
            for (TokenId id = 0; numbers >> id;) wanted.push_back(id);
            const std::string text = inputs.substr(at, end - at);
            EXPECT_EQ(encoded(tokenizer, text), wanted)
                << name << ": " << ::testing::PrintToString(text);
            EXPECT_EQ(tokenizer.count(text), wanted.size());
            ++checked;
            at = end + mark.size();
        }
        EXPECT_GE(checked, 45) << name;
    }
    // A WordPiece vocabulary is refused, not misread.
    const auto bert = open_vocabulary(folder / "ggml-vocab-bert-bge.gguf");
    ASSERT_FALSE(bert.has_value());
    EXPECT_NE(bert.error().message.find("bert"), std::string::npos) << bert.error().text();
}

// ---------------------------------------------------------------- streams

TEST(AppendableCounter, CountsLikeTheWholeHoweverItIsCut) {
    for (const Grammar grammar :
         {Grammar::kO200k, Grammar::kCl100k, Grammar::kLlama3, Grammar::kQwen2, Grammar::kTekken,
          Grammar::kGpt2, Grammar::kSmolLm2, Grammar::kDeepSeek3}) {
        Tokenizer tokenizer(small_vocabulary(grammar));
        std::mt19937_64 random(3);
        for (int round = 0; round < 150; ++round) {
            std::string text = random_text(random, 120);
            if (round % 3 == 0)
                text += "  \n \n  ABʰCDEF" + random_text(random, 20) + "ʰAAAAAAAAAAAAg it's 'll";
            AppendableCounter counter(tokenizer);
            for (std::size_t at = 0; at < text.size();) {
                const std::size_t take = std::min<std::size_t>(1 + random() % 13, text.size() - at);
                counter.append(std::string_view(text).substr(at, take));
                at += take;
                if (random() % 4 != 0) continue;
                const std::size_t so_far = tokenizer.count(text.substr(0, at));
                ASSERT_EQ(counter.count(), so_far)
                    << grammar_name(grammar) << ::testing::PrintToString(text);
                ASSERT_LE(counter.at_least(), so_far + 0);
                ASSERT_GE(counter.at_most(), so_far);
            }
            ASSERT_EQ(counter.count(), tokenizer.count(text));
        }
    }
}

TEST(AppendableCounter, KeepsOnlyTheOpenEnd) {
    Tokenizer tokenizer(small_vocabulary());
    AppendableCounter counter(tokenizer);
    for (int i = 0; i < 2000; ++i) counter.append("hello world, ");
    EXPECT_LT(counter.open_bytes(), 256U);
    EXPECT_EQ(counter.count(), tokenizer.count([] {
        std::string text;
        for (int i = 0; i < 2000; ++i) text += "hello world, ";
        return text;
    }()));
}

TEST(AppendableCounter, AskingAfterEachPartOfOneEndlessPieceStaysLinear) {
    Tokenizer tokenizer(small_vocabulary());
    const auto work = [&](std::size_t bytes) {
        const std::uint64_t before = tokenizer.steps();
        AppendableCounter counter(tokenizer);
        for (std::size_t i = 0; i < bytes; i += 4) {
            counter.append("aaaa");
            EXPECT_FALSE(counter.passed(bytes * 2));
            (void)counter.passed(bytes / 5);
        }
        return tokenizer.steps() - before;
    };
    const std::uint64_t small = work(4'000);
    EXPECT_LT(work(64'000), small * 16 * 4);
}

TEST(AppendableCounter, AnEndlessPieceTakesBoundedMemory) {
    Tokenizer tokenizer(small_vocabulary());
    AppendableCounter counter(tokenizer);
    const std::string part =
        "a\xC3\xA4" + std::string(997, 'a');  // in characters of one and two bytes
    std::string whole;
    std::size_t most = 0;
    for (int i = 0; i < 1000; ++i) {
        counter.append(std::string_view(part).substr(0, 2));  // within a character
        counter.append(std::string_view(part).substr(2));
        whole += part;
        most = std::max(most, counter.open_bytes());
    }
    EXPECT_LE(most, 256U * 1024 + part.size());
    EXPECT_NEAR(static_cast<double>(counter.count()), static_cast<double>(tokenizer.count(whole)),
                2.0 * 4);
}

TEST(AppendableCounter, NoticesAPassedLimit) {
    Tokenizer tokenizer(small_vocabulary());
    AppendableCounter counter(tokenizer);
    std::size_t words = 0;
    while (!counter.passed(100)) {
        counter.append(" world");
        ++words;
    }
    EXPECT_EQ(words, 101U);
}

// ---------------------------------------------------------------- memo

TEST(MessageMemo, CountsOnceAndTellsVocabulariesApart) {
    Tokenizer a(small_vocabulary());
    VocabularySource other = small_source();
    other.tokens.resize(256);
    Tokenizer b(Vocabulary::adopt(*build_vocabulary(other)).value_or(nullptr));
    MessageMemo memo(256);
    std::string text;
    for (int i = 0; i < 100; ++i) text += "hello world ";
    EXPECT_EQ(memo.count(a, text), a.count(text));
    EXPECT_EQ(memo.count(b, text), text.size()) << "only bytes";
    EXPECT_EQ(memo.count(a, text), a.count(text));
    EXPECT_EQ(memo.hits(), 1U);
    EXPECT_EQ(memo.misses(), 2U);
    EXPECT_EQ(memo.count(a, "hello"), 1U) << "short texts pass by";
    EXPECT_EQ(memo.hits() + memo.misses(), 3U);
}

TEST(MessageMemo, StaysRightWhenItIsFullAndUsedByMany) {
    MessageMemo memo(256);
    std::vector<std::thread> threads;
    for (unsigned seed = 0; seed < 4; ++seed) {
        threads.emplace_back([&memo, seed] {
            Tokenizer tokenizer(small_vocabulary());
            std::mt19937_64 random(seed);
            for (int i = 0; i < 3000; ++i) {
                const std::string text = std::string(80 + random() % 500, 'a') + "hello";
                EXPECT_EQ(memo.count(tokenizer, text), tokenizer.count(text));
            }
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_GT(memo.hits(), 0U);
}

}  // namespace
}  // namespace leeway::tokens
