#include "wire/canonical/with_model.hpp"

#include "json/cursor.hpp"
#include "json/tokens.hpp"
#include "json/write.hpp"

namespace leeway::wire {

std::string with_model(std::string_view body, std::string_view model) {
    const auto tokens = json::thread_indexer().index(body);
    if (!tokens) return std::string(body);
    json::Cursor cursor(*tokens);
    if (cursor.kind() != '{' || !cursor.open_object()) return std::string(body);
    std::string_view key;
    while (cursor.next_member(key)) {
        const std::size_t begin = cursor.offset();
        if (!cursor.skip()) break;
        if (key != "model") continue;
        std::string out(body.substr(0, begin));
        json::append_string(out, model);
        out += body.substr(cursor.value_end());
        return out;
    }
    return std::string(body);
}

}  // namespace leeway::wire
