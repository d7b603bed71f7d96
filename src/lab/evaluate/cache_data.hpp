#pragma once

#include "base/result.hpp"
#include "lab/evaluate/cache_stream.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::lab {

enum class CacheFileKind : std::uint8_t { kPairs, kStream };

/// Numbers of two texts that a line says to have different answers.
struct DifferentPair {
    std::uint32_t a = 0;
    std::uint32_t b = 0;
};

/// Texts of a file and what it says that can not be.
struct CacheFile {
    CacheQuestions data;  ///< without vectors
    std::vector<DifferentPair> different;
    std::size_t lines = 0;
    std::size_t repeated = 0;  ///< stream: lines with a text that came before
    /// Pairs said to differ whose texts other pairs make the same; repeated texts with another answer.
    std::size_t conflicts = 0;
};

/// Reads lines `{"a", "b", "same"}` (same: true, false, 1 or 0), of which texts with the same answer are made by
/// union of all pairs that are the same; or lines `{"text", "answer"}`, where answers are equal when their JSON
/// is. Distinct texts only; empty lines are passed over. kConfig: a line is none of this (its number is told), or there
/// are fewer than two texts.
[[nodiscard]] Result<CacheFile> read_cache_file(std::string_view text, CacheFileKind kind);
/// The kind that the first line has.
[[nodiscard]] Result<CacheFileKind> cache_file_kind(std::string_view text);

}  // namespace leeway::lab
