#include "lab/outcomes/python_text.hpp"

#include "json/text.hpp"

#include <charconv>
#include <cstdint>
#include <optional>

namespace leeway::lab {
namespace {

/// Takes what follows a backslash off `text`. False: this is no escape.
bool take_escape(std::string_view& text, std::string& out) {
    if (text.empty()) return false;
    const char kind = text.front();
    text.remove_prefix(1);
    std::size_t digits = 0;
    switch (kind) {
        case 'n': out.push_back('\n'); return true;
        case 't': out.push_back('\t'); return true;
        case 'r': out.push_back('\r'); return true;
        case '\\': out.push_back('\\'); return true;
        case '\'': out.push_back('\''); return true;
        case '"': out.push_back('"'); return true;
        case 'x': digits = 2; break;
        case 'u': digits = 4; break;
        case 'U': digits = 8; break;
        default: return false;
    }
    std::uint32_t code = 0;
    if (text.size() < digits) return false;
    const auto [end, error] = std::from_chars(text.data(), text.data() + digits, code, 16);
    const bool surrogate = code >= 0xD800 && code < 0xE000;  // it has no UTF-8
    if (error != std::errc() || end != text.data() + digits || code > 0x10FFFF || surrogate)
        return false;
    text.remove_prefix(digits);
    json::append_utf8(out, code);
    return true;
}

/// Takes a string with its quotes off `text`.
std::optional<std::string> take_string(std::string_view& text) {
    if (text.empty() || (text.front() != '\'' && text.front() != '"')) return std::nullopt;
    const char quote = text.front();
    text.remove_prefix(1);
    std::string out;
    while (!text.empty()) {
        const char c = text.front();
        text.remove_prefix(1);
        if (c == quote) return out;
        if (c != '\\') {
            out.push_back(c);
        } else if (!take_escape(text, out)) {
            return std::nullopt;
        }
    }
    return std::nullopt;
}

}  // namespace

std::string text_of_python_list(std::string_view text) {
    if (!text.starts_with('[') || !text.ends_with(']')) return std::string(text);
    std::string_view rest = text.substr(1, text.size() - 2);
    std::string out;
    for (bool first = true; !rest.empty(); first = false) {
        if (!first) {
            if (!rest.starts_with(", ")) return std::string(text);
            rest.remove_prefix(2);
            out.push_back('\n');
        }
        const auto one = take_string(rest);
        if (!one) return std::string(text);
        out += *one;
    }
    return out;
}

}  // namespace leeway::lab
