#pragma once

#include "tokens/vocabulary_file.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

namespace leeway::tokens::testing {

/// A small byte-level vocabulary: all bytes and some merges, for tests that need no files.
inline VocabularySource small_source(Grammar grammar = Grammar::kO200k) {
    VocabularySource source;
    source.name = "small";
    source.grammar = grammar;
    source.ranked = true;
    source.whole_pieces = true;
    TokenId id = 0;
    for (unsigned byte = 0; byte < 256; ++byte) {
        source.tokens.push_back({std::string(1, static_cast<char>(byte)), id++, 0});
    }
    for (const char* text :
         {"he", "ll", "hell", "hello", " w", "or", " wor", "ld", " world", "aa", "aaaa", "  ",
          "    ", "ab", "bc", "abcd", "\xE4\xB8", "\xE4\xB8\xAD", "\xF0\x9F"}) {
        source.tokens.push_back({text, id++, 0});
    }
    return source;
}

inline std::shared_ptr<const Vocabulary> small_vocabulary(Grammar grammar = Grammar::kO200k) {
    const auto image = build_vocabulary(small_source(grammar));
    return image ? Vocabulary::adopt(*image).value_or(nullptr) : nullptr;
}

inline std::string variable(const char* name) {
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
    return value == nullptr ? std::string() : std::string(value);
}

/// Where tools/setup.sh puts the vocabularies.
inline std::filesystem::path vocabulary_file(const std::string& name) {
    std::string folder = variable("LEEWAY_VOCABULARIES");
    if (folder.empty()) folder = variable("HOME") + "/.cache/leeway/vocabularies";
    return std::filesystem::path(folder) / (name + ".vocabulary");
}

/// The test data beside the checkout.
inline std::filesystem::path data_folder() {
    const std::string set = variable("LEEWAY_TEST_DATA");
    if (!set.empty()) return set;
    return std::filesystem::path(LEEWAY_SOURCE_DIR) / "../shared/data";
}

inline std::string contents(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace leeway::tokens::testing
