#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace leeway::json {

/// Where the tokens of a JSON text begin: every bracket, comma, colon, opening quote and first byte of
/// a number or word. Strings are closed, hold no raw control characters, and all bytes are valid UTF-8;
/// nothing else is checked yet (`Cursor` does that). Views into the text and into the `Indexer`.
struct Tokens {
    std::string_view text;
    const std::uint32_t* at = nullptr;  ///< ascending offsets; `at[count] == text.size()`
    std::uint32_t count = 0;
};

/// Finds the tokens of one text at a time, at several GB/s (first stage of simdjson). Not thread-safe:
/// one per thread. Texts need no padding.
class Indexer {
public:
    Indexer();
    ~Indexer();
    Indexer(const Indexer&) = delete;
    Indexer& operator=(const Indexer&) = delete;

    /// The tokens of `text`, valid until the next call. Fails with `kInvalidRequest` and reason
    /// "invalid_json" (empty, unclosed string, control character in a string, invalid UTF-8, byte order
    /// mark), saying where.
    [[nodiscard]] Result<Tokens> index(std::string_view text);
    /// For text whose facts are wanted even when its strings are broken: on failure tries again with
    /// invalid UTF-8 and control characters blanked in a copy of the same length. The tokens then refer
    /// to that copy, `shadow`.
    [[nodiscard]] Result<Tokens> index_lenient(std::string_view text, std::string& shadow);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// The calling thread's own indexer. What it returned is gone after the next use on this thread, so
/// never hold its tokens across a suspension or a call that may parse.
[[nodiscard]] Indexer& thread_indexer();

/// The error for JSON text that cannot be read: "<why> at byte N (line L, column C)".
[[nodiscard]] Error syntax_error(std::string_view text, std::size_t offset, std::string_view why);

}  // namespace leeway::json
