#include "wire/canonical/batch.hpp"

#include "json/cursor.hpp"
#include "json/node.hpp"
#include "wire/anthropic/batch.hpp"
#include "wire/openai/batch.hpp"

namespace leeway::wire {

std::string read_object_id(std::string_view json) {
    const auto node = json::parse_node(json);
    return node && node->is_object() ? std::string(node->text_of("id")) : std::string();
}

std::optional<ListPage> read_list(std::string_view json) {
    const auto tokens = json::thread_indexer().index(json);
    if (!tokens) return std::nullopt;
    json::Cursor cursor(*tokens);
    ListPage out;
    bool found = false;
    if (!cursor.open_object()) return std::nullopt;
    std::string_view key;
    while (cursor.next_member(key)) {
        if (key == "data" && cursor.kind() == '[') {
            found = cursor.open_array();
            while (cursor.next_element()) {
                const std::size_t begin = cursor.offset();
                if (!cursor.skip()) return std::nullopt;
                out.items.push_back(json.substr(begin, cursor.value_end() - begin));
            }
        } else if (key == "has_more" && (cursor.kind() == 't' || cursor.kind() == 'f')) {
            if (!cursor.boolean(out.has_more)) return std::nullopt;
        } else if (!cursor.skip()) {
            return std::nullopt;
        }
    }
    if (!cursor.end() || !found) return std::nullopt;
    return out;
}

const BatchDialect& batch_dialect_of(Dialect dialect) noexcept {
    static constexpr BatchDialect kOpenAi{"/batches",
                                          100,
                                          "after",
                                          {},
                                          &openai::read_batch_state,
                                          &openai::read_batch_answer,
                                          [](std::string_view json) { return std::string(json); },
                                          &openai::render_list};
    static constexpr BatchDialect kAnthropic{"/messages/batches",
                                             1'000,
                                             "after_id",
                                             "before_id",
                                             &anthropic::read_batch_state,
                                             &anthropic::read_batch_answer,
                                             &anthropic::with_own_results,
                                             &anthropic::render_list};
    return dialect == Dialect::kAnthropic ? kAnthropic : kOpenAi;
}

}  // namespace leeway::wire
