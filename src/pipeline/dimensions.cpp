#include "pipeline/dimensions.hpp"

#include "base/strings.hpp"
#include "json/cursor.hpp"
#include "pipeline/context.hpp"

#include <algorithm>
#include <vector>

namespace leeway::pipeline {
namespace {

/// Bytes of the well-formed UTF-8 sequence that `text` begins with; 0: there is none.
std::size_t sequence(std::string_view text) noexcept {
    const auto at = [&](std::size_t i) {
        return i < text.size() ? static_cast<std::uint8_t>(text[i]) : std::uint8_t{0};
    };
    const std::uint8_t first = at(0);
    if (first < 0x80) return 1;
    const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4) return 0;
    for (std::size_t i = 1; i < size; ++i) {
        if ((at(i) & 0xc0) != 0x80) return 0;
    }
    const bool overlong = (first == 0xe0 && at(1) < 0xa0) || (first == 0xf0 && at(1) < 0x90);
    const bool surrogate = first == 0xed && at(1) > 0x9f;
    const bool beyond = first == 0xf4 && at(1) > 0x8f;
    return overlong || surrogate || beyond ? 0 : size;
}

bool control(std::string_view letter) noexcept {
    const auto first = static_cast<std::uint8_t>(letter[0]);
    if (first < 0x20 || first == 0x7f) return true;
    return first == 0xc2 && static_cast<std::uint8_t>(letter[1]) < 0xa0;  // U+0080 … U+009F
}

/// What `metadata` holds that we know.
void read_metadata(std::string_view text, Dimensions& out) {
    const auto tokens = json::thread_indexer().index(text);
    if (!tokens) return;
    json::Cursor cursor(*tokens);
    if (cursor.kind() != '{' || !cursor.open_object()) return;
    std::string_view raw;
    std::string key_scratch;
    std::string scratch;
    while (cursor.next_member(raw)) {
        const std::string key(json::decoded(raw, cursor.escaped(), key_scratch));
        if (cursor.kind() != '"') {
            if (!cursor.skip()) return;
            continue;
        }
        std::string_view value;
        if (!cursor.string(value)) return;
        const std::string_view told = json::decoded(value, cursor.escaped(), scratch);
        const auto fill = [&](std::string& field) {
            if (field.empty()) field = clean_label(told, Dimensions::kMostBytes);
        };
        if (key == "user" || key == "user_id") fill(out.user);
        if (key == "session" || key == "session_id") fill(out.session);
        if (key == "agent") fill(out.agent);
        if (key == "tags" && out.tags.empty()) out.tags = clean_tags(told);
    }
}

}  // namespace

std::string clean_label(std::string_view text, std::size_t limit) {
    text = trim(text);
    std::string out;
    while (!text.empty()) {
        const std::size_t size = sequence(text);
        const std::string_view letter = size == 0 ? std::string_view("?") : text.substr(0, size);
        text.remove_prefix(std::max<std::size_t>(size, 1));
        if (control(letter)) continue;
        if (out.size() + letter.size() > limit) break;
        out += letter;
    }
    return std::string(trim(out));
}

std::string clean_tags(std::string_view text) {
    std::vector<std::string> words;
    while (!text.empty() && words.size() < Dimensions::kMostTags) {
        const std::size_t comma = std::min(text.find(','), text.size());
        std::string word = clean_label(text.substr(0, comma), Dimensions::kMostTagBytes);
        text.remove_prefix(std::min(comma + 1, text.size()));
        if (!word.empty() && std::find(words.begin(), words.end(), word) == words.end()) {
            words.push_back(std::move(word));
        }
    }
    std::sort(words.begin(), words.end());
    std::string out;
    for (const std::string& word : words) {
        if (!out.empty()) out += ',';
        out += word;
    }
    return out;
}

Dimensions read_dimensions(const HeaderSource& headers, const RequestView& view,
                           std::string_view body) {
    Dimensions out;
    const std::pair<std::string_view, std::string*> fields[] = {{"x-leeway-user", &out.user},
                                                                {"x-leeway-session", &out.session},
                                                                {"x-leeway-agent", &out.agent}};
    for (const auto& [name, field] : fields) {
        if (const auto value = headers.header(name)) {
            *field = clean_label(*value, Dimensions::kMostBytes);
        }
    }
    if (const auto value = headers.header("x-leeway-tag")) out.tags = clean_tags(*value);
    if (out.user.empty() && !view.user.empty()) {
        out.user = clean_label(view.user, Dimensions::kMostBytes);
    }
    if (view.metadata.present()) read_metadata(view.metadata.in(body), out);
    return out;
}

}  // namespace leeway::pipeline
