#include "json/cursor.hpp"

#include <algorithm>
#include <array>
#include <bit>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "json/number.hpp"
#include "json/text.hpp"

namespace leeway::json {

namespace {

constexpr const char* kTooDeep = "nesting deeper than 64 levels";
constexpr const char* kInvalidEscape = "invalid escape or lone surrogate in a string";

constexpr bool is_space(char c) noexcept { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

/// Whether `c` may directly follow a number or a word.
constexpr bool ends_scalar(char c) noexcept {
    return is_space(c) || c == ',' || c == '}' || c == ']' || c == ':';
}

constexpr std::size_t kBlock = 64;

/// One bit for each of 64 bytes: whether it is a backslash.
std::uint64_t backslashes_of(const char* bytes) noexcept {
    std::uint64_t bits = 0;
#if defined(__SSE2__)
    const __m128i wanted = _mm_set1_epi8('\\');
    for (std::size_t i = 0; i < kBlock; i += 16) {
        const auto* at = reinterpret_cast<const __m128i*>(bytes + i);
        const int mask = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128(at), wanted));
        bits |= static_cast<std::uint64_t>(static_cast<unsigned>(mask)) << i;
    }
#else
    for (std::size_t i = 0; i < kBlock; ++i)
        bits |= static_cast<std::uint64_t>(bytes[i] == '\\') << i;
#endif
    return bits;
}

/// `bits` without those below `first`.
constexpr std::uint64_t from_bit(std::uint64_t bits, std::size_t first) noexcept {
    return first < kBlock ? bits >> first << first : 0;
}

}  // namespace

bool Cursor::fail_at(const char* why, std::size_t offset) noexcept {
    if (why_ == nullptr) {
        why_ = why;
        where_ = offset;
        pos_ = count_;
    }
    return false;
}

Error Cursor::error() const {
    Error error = syntax_error(text_, where_, why_ != nullptr ? why_ : "no fault");
    if (why_ == kTooDeep) error.reason = "nesting_too_deep";
    return error;
}

std::string_view Cursor::type_name() const noexcept {
    switch (kind()) {
        case '{': return "an object";
        case '[': return "an array";
        case '"': return "a string";
        case 't':
        case 'f': return "a boolean";
        case 'n': return "null";
        case '\0': return "nothing";
        default: break;
    }
    std::string_view rest = text_.substr(offset());
    rest = rest.substr(0, number_length(rest));
    if (rest.empty()) return "an invalid value";
    return rest.find_first_of(".eE") == std::string_view::npos ? "an integer" : "a decimal";
}

bool Cursor::open(char bracket, const char* why) noexcept {
    if (kind() != bracket) return fail(why);
    if (depth_ >= kMaxDepth) return fail(kTooDeep);
    ++depth_;
    ++pos_;
    return true;
}

bool Cursor::close() noexcept {
    value_end_ = at_[pos_] + 1;
    ++pos_;
    --depth_;
    return false;
}

bool Cursor::next_member(std::string_view& raw_key) noexcept {
    if (failed()) return false;
    if (kind() == '}') return close();
    if (!just_opened('{')) {
        if (kind() != ',') return fail("expected ',' or '}'");
        ++pos_;
    }
    if (kind() != '"') return fail("expected a key in double quotes");
    if (!string(raw_key)) return false;
    if (kind() != ':') return fail("expected ':'");
    ++pos_;
    return true;
}

bool Cursor::next_element() noexcept {
    if (failed()) return false;
    if (kind() == ']') return close();
    if (!just_opened('[')) {
        if (kind() != ',') return fail("expected ',' or ']'");
        ++pos_;
    }
    return true;
}

std::size_t Cursor::closing_quote() const noexcept {
    // Between a string's end and the next token there is only white space.
    std::size_t last = at_[pos_ + 1] - 1;
    while (is_space(text_[last])) --last;
    return last;
}

// Escapes come in swarms ("\n" in code), so a block is looked at once for all that it has.
std::size_t Cursor::find_backslash(std::size_t from) noexcept {
    while (from < text_.size()) {
        const std::size_t start = from & ~(kBlock - 1);
        if (start != block_) {
            block_ = start;
            const std::string_view rest = text_.substr(start);
            if (rest.size() >= kBlock) {
                block_backslashes_ = backslashes_of(rest.data());
            } else {
                std::array<char, kBlock> last{};
                std::copy(rest.begin(), rest.end(), last.begin());
                block_backslashes_ = backslashes_of(last.data());
            }
        }
        const std::uint64_t left = block_backslashes_ >> (from - start);
        if (left != 0) return from + static_cast<std::size_t>(std::countr_zero(left));
        from = start + kBlock;
    }
    return text_.size();
}

// Which backslash comes next must not wait for what the one before begins: the bits of a block are walked, and only
// an escape that holds another backslash moves the walk.
bool Cursor::check_escapes(std::size_t begin, std::size_t end) noexcept {
    find_escapes(begin, end);
    std::size_t at = backslash_;
    while (at < end) {
        std::size_t next = block_ + kBlock;
        for (std::uint64_t bits = from_bit(block_backslashes_, at - block_); bits != 0;) {
            at = block_ + static_cast<std::size_t>(std::countr_zero(bits));
            if (at >= end) break;
            const char letter = at + 1 < end ? text_[at + 1] : '\0';
            bits &= bits - 1;
            if (short_escape(letter) != 0 && letter != '\\') continue;
            if (at + 6 <= end && unit_escape_length(text_.data() + at) != 0) continue;
            const std::size_t length = escape_length(text_.substr(at, end - at));
            if (length == 0) return fail_at(kInvalidEscape, at);
            bits = from_bit(bits, at + length - block_);
            next = std::max(next, at + length);
        }
        if (at < end) at = find_backslash(next);
    }
    clean_from_ = end;
    backslash_ = at;
    return true;
}

void Cursor::find_escapes(std::size_t begin, std::size_t end) noexcept {
    if (begin < clean_from_ || begin > backslash_) backslash_ = find_backslash(begin);
    escaped_ = backslash_ < end;
}

bool Cursor::decode(std::size_t begin, std::size_t end, std::string& meaning) {
    find_escapes(begin, end);
    if (!escaped_) {
        meaning.assign(text_, begin, end - begin);
        return true;
    }
    meaning.resize(end - begin);  // an escape is longer than what it stands for
    char* out = meaning.data();
    std::size_t at = backslash_;
    while (at < end) {
        out = std::copy(text_.data() + begin, text_.data() + at, out);
        const char letter = at + 1 < end ? short_escape(text_[at + 1]) : '\0';
        if (letter != 0) {
            *out++ = letter;
            begin = at + 2;
        } else {
            const std::size_t length = escape_length(text_.substr(at, end - at));
            if (length == 0) return fail_at(kInvalidEscape, at);
            out = put_unescaped(out, text_.substr(at, length));
            begin = at + length;
        }
        at = find_backslash(begin);
    }
    out = std::copy(text_.data() + begin, text_.data() + end, out);
    meaning.resize(static_cast<std::size_t>(out - meaning.data()));
    clean_from_ = end;
    backslash_ = at;
    return true;
}

bool Cursor::quotes(std::size_t& begin, std::size_t& end) noexcept {
    if (kind() != '"') return fail("a string was expected");
    begin = at_[pos_] + std::size_t{1};
    end = closing_quote();
    return (end >= begin && text_[end] == '"') || fail("string that is never closed");
}

bool Cursor::string(std::string_view& raw) noexcept {
    std::size_t begin = 0;
    std::size_t end = 0;
    if (!quotes(begin, end) || !check_escapes(begin, end)) return false;
    raw = text_.substr(begin, end - begin);
    value_end_ = end + 1;
    ++pos_;
    return true;
}

bool Cursor::decoded_string(std::string& meaning) {
    std::size_t begin = 0;
    std::size_t end = 0;
    if (!quotes(begin, end) || !decode(begin, end, meaning)) return false;
    value_end_ = end + 1;
    ++pos_;
    return true;
}

bool Cursor::number(std::string_view& text) noexcept {
    if (failed()) return false;
    const std::string_view rest =
        text_.substr(offset(), at_[pos_ < count_ ? pos_ + 1 : pos_] - offset());
    const std::size_t length = number_length(rest);
    if (length == 0 || (length < rest.size() && !ends_scalar(rest[length]))) {
        return fail(pos_ < count_ ? "invalid number" : "unexpected end of the text");
    }
    text = rest.substr(0, length);
    value_end_ = offset() + length;
    ++pos_;
    return true;
}

bool Cursor::word(std::string_view expected) noexcept {
    const std::string_view rest = text_.substr(offset());
    if (!rest.starts_with(expected) ||
        (rest.size() > expected.size() && !ends_scalar(rest[expected.size()]))) {
        return fail("invalid value");
    }
    value_end_ = offset() + expected.size();
    ++pos_;
    return true;
}

bool Cursor::boolean(bool& value) noexcept {
    value = kind() == 't';
    return word(value ? "true" : "false");
}

bool Cursor::null() noexcept { return word("null"); }

bool Cursor::skip_scalar() noexcept {
    switch (kind()) {
        case '"': {
            std::string_view raw;
            return string(raw);
        }
        case 't': return word("true");
        case 'f': return word("false");
        case 'n': return word("null");
        case '-':
        case '0':
        case '1':
        case '2':
        case '3':
        case '4':
        case '5':
        case '6':
        case '7':
        case '8':
        case '9': {
            std::string_view text;
            return number(text);
        }
        default: return fail(pos_ < count_ ? "expected a value" : "unexpected end of the text");
    }
}

bool Cursor::skip() noexcept {
    const unsigned base = depth_;
    // One bit per open container: whether it is an object. 64 levels fit exactly.
    std::uint64_t objects = 0;
    std::string_view key;
    while (true) {
        const char first = kind();
        if (first == '{' || first == '[') {
            if (!open(first, "")) return false;
            objects = objects << 1 | static_cast<std::uint64_t>(first == '{');
        } else if (!skip_scalar()) {
            return false;
        }
        while (true) {
            if (depth_ == base) return !failed();
            if ((objects & 1) != 0 ? next_member(key) : next_element()) break;
            if (failed()) return false;
            objects >>= 1;
        }
    }
}

void Cursor::skip_unchecked() noexcept {
    if (pos_ == count_) {
        fail("expected a value");  // as below: a text that ends behind '[' has no element to pass
        return;
    }
    unsigned open = 0;
    while (pos_ < count_) {
        const char c = text_[at_[pos_]];
        if (c == '{' || c == '[') {
            ++open;
        } else if (c == '}' || c == ']') {
            // Standing still would let a caller's loop run for ever.
            if (open == 0) {
                fail("expected a value");
                return;
            }
            --open;
        }
        ++pos_;
        if (open == 0) return;
    }
}

bool Cursor::end() noexcept {
    if (failed()) return false;
    return pos_ == count_ || fail("unexpected text after the JSON value");
}

std::string_view decoded(std::string_view raw, bool escaped, std::string& scratch) {
    if (!escaped) return raw;
    scratch.clear();
    // The cursor has checked the escapes, so this cannot fail.
    return append_unescaped(scratch, raw) ? std::string_view(scratch) : raw;
}

}  // namespace leeway::json
