#include "methods/router/predict/conversation.hpp"

#include "json/cursor.hpp"
#include "json/tokens.hpp"

#include <cstddef>

namespace leeway::router {
namespace {

/// Without the white space and the comma that follow a message.
std::string_view without_tail(std::string_view text) {
    const std::size_t last = text.find_last_not_of(" \t\r\n,");
    return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

bool of_assistant(json::Cursor& cursor, bool& sound) {
    bool out = false;
    std::string_view key;
    sound = cursor.open_object();
    while (sound && cursor.next_member(key)) {
        std::string_view role;
        const bool is_role = key == "role" && cursor.kind() == '"';
        sound = is_role ? cursor.string(role) : cursor.skip();
        if (is_role) out = role == "assistant";
    }
    sound = sound && !cursor.failed();
    return out;
}

}  // namespace

Conversation conversation_of(std::string_view messages) {
    const std::size_t open = messages.find('[');
    const std::size_t end = messages.rfind(']');
    if (open == std::string_view::npos || end == std::string_view::npos || end < open) return {};
    const std::size_t begin = open + 1;
    Conversation out;
    out.all = without_tail(messages.substr(begin, end - begin));
    // Most requests begin a conversation, and need not be taken apart for it.
    if (messages.find("\"assistant\"") == std::string_view::npos) return out;
    const auto tokens = json::thread_indexer().index(messages);
    if (!tokens) return {};
    json::Cursor cursor(*tokens);
    if (!cursor.open_array()) return {};
    std::size_t answer = 0;  // where the last one begins
    while (cursor.next_element()) {
        const std::size_t at = cursor.offset();
        bool sound = true;
        if (cursor.kind() != '{') {
            sound = cursor.skip();
        } else if (of_assistant(cursor, sound)) {
            answer = at;
        }
        if (!sound) return {};
    }
    if (answer > begin) out.before = without_tail(messages.substr(begin, answer - begin));
    return out;
}

}  // namespace leeway::router
