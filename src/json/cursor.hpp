#pragma once

#include "base/result.hpp"
#include "json/tokens.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace leeway::json {

/// Reads a tokenised text from front to back, checking the grammar of all that it passes: brackets,
/// commas, colons, numbers, words, escapes, depth. Nothing is copied or built.
///
/// The first fault sticks: every later step fails too, so a loop needs one check of `failed()` at its
/// end. Cheap to make; valid as long as the tokens are.
class Cursor {
public:
    /// Deepest nesting of objects and arrays that is read.
    static constexpr unsigned kMaxDepth = 64;

    explicit Cursor(const Tokens& tokens) noexcept
        : text_(tokens.text), at_(tokens.at), count_(tokens.count) {}

    /// First byte of the current token: one of `{}[],:"`, a digit, `-`, `t`, `f`, `n`; 0 at the end.
    [[nodiscard]] char kind() const noexcept { return pos_ < count_ ? text_[at_[pos_]] : '\0'; }
    /// Offset of the current token in the text; the text's size at the end.
    [[nodiscard]] std::size_t offset() const noexcept { return at_[pos_]; }
    /// Number of the current token, for `seek`.
    [[nodiscard]] std::uint32_t token() const noexcept { return pos_; }
    /// Goes to a token that was seen before, at `depth` open containers.
    void seek(std::uint32_t token, unsigned depth) noexcept {
        if (failed()) return;
        pos_ = token;
        depth_ = depth;
    }
    [[nodiscard]] unsigned depth() const noexcept { return depth_; }
    [[nodiscard]] std::string_view text() const noexcept { return text_; }
    /// Offset just behind the token before the current one, if that was a value that was read.
    [[nodiscard]] std::size_t value_end() const noexcept { return value_end_; }

    /// Enters the object or array at the cursor. Then call `next_member` / `next_element` until false.
    bool open_object() noexcept { return open('{', "an object was expected"); }
    bool open_array() noexcept { return open('[', "an array was expected"); }
    /// Steps to the next member: `raw_key` are the bytes between its quotes, the cursor is at its value,
    /// which the caller must read or skip. False: the object is closed, or a fault (see `failed`).
    bool next_member(std::string_view& raw_key) noexcept;
    /// Steps to the next element. False: the array is closed, or a fault.
    bool next_element() noexcept;

    /// Reads a string: `raw` are the bytes between the quotes, with valid escapes.
    bool string(std::string_view& raw) noexcept;
    /// The same, and decodes it into `meaning` on the way; after a fault that holds part of it.
    bool decoded_string(std::string& meaning);
    /// Whether the string or key that was read last holds a backslash.
    [[nodiscard]] bool escaped() const noexcept { return escaped_; }
    /// Reads a number: `text` is its spelling.
    bool number(std::string_view& text) noexcept;
    /// Reads `true` or `false`.
    bool boolean(bool& value) noexcept;
    /// Reads `null`.
    bool null() noexcept;
    /// Reads past any value, checking all of it.
    bool skip() noexcept;
    /// Passes any value by counting brackets only: for texts that are only searched, not judged.
    void skip_unchecked() noexcept;
    /// Whether all was read; more text is a fault.
    bool end() noexcept;

    [[nodiscard]] bool failed() const noexcept { return why_ != nullptr; }
    /// Records a fault at the current token; always false.
    bool fail(const char* why) noexcept { return fail_at(why, offset()); }
    /// The fault as an error (reason "invalid_json", or "nesting_too_deep").
    [[nodiscard]] Error error() const;

    /// What the value at the cursor is, in words: "an object", "a string", …
    [[nodiscard]] std::string_view type_name() const noexcept;

private:
    bool open(char bracket, const char* why) noexcept;
    bool close() noexcept;
    bool just_opened(char bracket) const noexcept { return text_[at_[pos_ - 1]] == bracket; }
    bool fail_at(const char* why, std::size_t offset) noexcept;
    bool word(std::string_view expected) noexcept;
    bool skip_scalar() noexcept;
    /// Offset of the quote that closes the string at the current token.
    [[nodiscard]] std::size_t closing_quote() const noexcept;
    /// Where the text between the quotes of the string at the current token begins and ends.
    bool quotes(std::size_t& begin, std::size_t& end) noexcept;
    /// Sets whether [begin, end) holds a backslash, and where the first one is.
    void find_escapes(std::size_t begin, std::size_t end) noexcept;
    bool check_escapes(std::size_t begin, std::size_t end) noexcept;
    /// Checks and decodes the text between two quotes in one walk.
    bool decode(std::size_t begin, std::size_t end, std::string& meaning);
    /// Offset of the first backslash at or behind `from`, or the text's size.
    [[nodiscard]] std::size_t find_backslash(std::size_t from) noexcept;

    std::string_view text_;
    const std::uint32_t* at_;
    std::uint32_t count_;
    std::uint32_t pos_ = 0;
    unsigned depth_ = 0;
    bool escaped_ = false;
    std::size_t value_end_ = 0;
    // There is no backslash in [clean_from_, backslash_); most texts need one search for all strings.
    std::size_t clean_from_ = 0;
    std::size_t backslash_ = 0;
    // Where the backslashes of one block of 64 bytes are.
    std::size_t block_ = static_cast<std::size_t>(-1);
    std::uint64_t block_backslashes_ = 0;
    const char* why_ = nullptr;
    std::size_t where_ = 0;
};

/// The meaning of a key or string that a `Cursor` checked: `raw` itself, or `scratch` filled with it.
[[nodiscard]] std::string_view decoded(std::string_view raw, bool escaped, std::string& scratch);

}  // namespace leeway::json
