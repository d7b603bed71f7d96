#include "json/write.hpp"

#include "json/text.hpp"

#include <charconv>
#include <cmath>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace leeway::json {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

constexpr bool is_plain(unsigned char byte) noexcept {
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

/// Where the run of plain bytes that begins at `from` ends.
std::size_t plain_end(std::string_view text, std::size_t from) noexcept {
#if defined(__SSE2__)
    const __m128i space = _mm_set1_epi8(0x20);
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    for (; from + 16 <= text.size(); from += 16) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + from));
        // As signed numbers, what is not ASCII is less than a space, too.
        const __m128i other = _mm_or_si128(
            _mm_cmplt_epi8(bytes, space),
            _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));
        const int mask = _mm_movemask_epi8(other);
        if (mask != 0)
            return from + static_cast<std::size_t>(__builtin_ctz(static_cast<unsigned>(mask)));
    }
#endif
    while (from < text.size() && is_plain(static_cast<unsigned char>(text[from]))) ++from;
    return from;
}

void append_escape(std::string& out, unsigned char byte) {
    constexpr std::string_view kHex = "0123456789abcdef";
    switch (byte) {
        case '"': out.append("\\\""); return;
        case '\\': out.append("\\\\"); return;
        case '\n': out.append("\\n"); return;
        case '\r': out.append("\\r"); return;
        case '\t': out.append("\\t"); return;
        case '\b': out.append("\\b"); return;
        case '\f': out.append("\\f"); return;
        default:
            out.append("\\u00");
            out.push_back(kHex[byte >> 4]);
            out.push_back(kHex[byte & 15]);
    }
}

}  // namespace

void append_string(std::string& out, std::string_view text) {
    out.reserve(out.size() + text.size() + 2);
    out.push_back('"');
    std::size_t begin = 0;
    std::size_t i = plain_end(text, 0);
    for (; i < text.size(); i = plain_end(text, i)) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const std::size_t length = byte < 0x80 ? 0 : utf8_length(text.substr(i));
        if (length > 1) {
            i += length;
            continue;
        }
        out.append(text.substr(begin, i - begin));
        if (byte < 0x80) {
            append_escape(out, byte);
        } else {
            out.append(kReplacement);
        }
        begin = ++i;
    }
    out.append(text.substr(begin));
    out.push_back('"');
}

void append_int(std::string& out, std::int64_t value) {
    char buffer[24];
    const auto written = std::to_chars(buffer, buffer + sizeof buffer, value);
    out.append(buffer, written.ptr);
}

void append_double(std::string& out, double value) {
    if (!std::isfinite(value)) {
        out.append("null");
        return;
    }
    char buffer[40];
    const auto written = std::to_chars(buffer, buffer + sizeof buffer, value);
    out.append(buffer, written.ptr);
}

std::string quoted(std::string_view text) {
    std::string out;
    append_string(out, text);
    return out;
}

void Writer::separate() {
    if (!first_) out_.push_back(',');
    first_ = false;
}

Writer& Writer::open(char bracket) {
    separate();
    out_.push_back(bracket);
    first_ = true;
    return *this;
}

Writer& Writer::close(char bracket) {
    out_.push_back(bracket);
    first_ = false;
    return *this;
}

Writer& Writer::key(std::string_view name) {
    separate();
    append_string(out_, name);
    out_.push_back(':');
    first_ = true;  // no comma between a key and its value
    return *this;
}

Writer& Writer::string(std::string_view text) {
    separate();
    append_string(out_, text);
    return *this;
}

Writer& Writer::integer(std::int64_t value) {
    separate();
    append_int(out_, value);
    return *this;
}

Writer& Writer::number(double value) {
    separate();
    append_double(out_, value);
    return *this;
}

Writer& Writer::raw(std::string_view json) {
    separate();
    out_.append(json);
    return *this;
}

}  // namespace leeway::json
