#include "methods/router/semantic/user_turns.hpp"

#include "json/cursor.hpp"
#include "json/node.hpp"
#include "json/text.hpp"
#include "json/tokens.hpp"

namespace leeway::router {
namespace {

/// The bytes of `content` of a user's message; empty: it is another's.
std::string_view content_of(json::Cursor& cursor) {
    std::string_view content;
    bool of_user = false;
    std::string_view key;
    if (!cursor.open_object()) return {};
    while (cursor.next_member(key)) {
        const std::size_t begin = cursor.offset();
        if (key == "role" && cursor.kind() == '"') {
            std::string_view role;
            if (!cursor.string(role)) return {};
            of_user = role == "user";
        } else {
            if (!cursor.skip()) return {};
            if (key == "content") content = cursor.text().substr(begin, cursor.value_end() - begin);
        }
    }
    return of_user ? content : std::string_view();
}

std::string text_of(std::string_view content) {
    if (content.empty()) return {};
    // As most are: a string that says what it means.
    if (content.front() == '"' && content.find('\\') == std::string_view::npos)
        return std::string(content.substr(1, content.size() - 2));
    const auto node = json::parse_node(content);
    if (!node) return {};
    if (node->is_string()) return node->text;
    std::string out;
    for (const json::Node& part : node->elements) {
        const std::string_view text = part.is_object() ? part.text_of("text") : std::string_view();
        if (text.empty()) continue;
        if (!out.empty()) out += '\n';
        out += text;
    }
    return out;
}

}  // namespace

UserTurns user_turns(std::string_view messages) {
    std::string_view last;
    std::string_view before;
    {
        const auto tokens = json::thread_indexer().index(messages);
        if (!tokens) return {};
        json::Cursor cursor(*tokens);
        if (!cursor.open_array()) return {};
        while (cursor.next_element()) {
            if (cursor.kind() != '{') {
                if (!cursor.skip()) return {};
                continue;
            }
            const std::string_view content = content_of(cursor);
            if (cursor.failed()) return {};
            if (content.empty()) continue;
            before = last;
            last = content;
        }
    }
    return {text_of(last), text_of(before)};
}

}  // namespace leeway::router
