#include "wire/openai/request_edit.hpp"

#include "json/cursor.hpp"
#include "json/write.hpp"

#include <string>
#include <utility>

namespace leeway::wire::openai {

std::optional<json::Edit> replace_model(const RequestView& view, std::string_view model) {
    if (view.model == model) return std::nullopt;
    return json::Edit{view.model_value.offset, view.model_value.length, json::quoted(model)};
}

std::optional<json::Edit> ask_for_usage(const RequestView& view) {
    if (!view.stream || view.include_usage) return std::nullopt;
    if (!view.stream_options.present()) {
        return insert_member(view, "stream_options", R"({"include_usage":true})");
    }
    if (view.include_usage_value.present()) {
        return json::Edit{view.include_usage_value.offset, view.include_usage_value.length, "true"};
    }
    if (view.stream_options_empty) {  // null or {}
        return json::Edit{view.stream_options.offset, view.stream_options.length,
                          R"({"include_usage":true})"};
    }
    return json::Edit{view.stream_options.offset + 1, 0, R"("include_usage":true,)"};
}

json::Edit insert_member(const RequestView& view, std::string_view key,
                         std::string_view json_value) {
    std::string text = json::quoted(key);
    text += ':';
    text += json_value;
    text += ',';  // the request has a model, so a member follows
    return json::Edit{view.object_begin, 0, std::move(text)};
}

Span find_member(std::string_view body, std::string_view key) {
    const auto tokens = json::thread_indexer().index(body);
    if (!tokens) return {};
    json::Cursor cursor(*tokens);
    if (cursor.kind() != '{' || !cursor.open_object()) return {};
    std::string_view name;
    std::string scratch;
    while (cursor.next_member(name)) {
        const bool found = json::decoded(name, cursor.escaped(), scratch) == key;
        const std::size_t begin = cursor.offset();
        if (!cursor.skip()) return {};
        if (found) return {begin, cursor.value_end() - begin};
    }
    return {};
}

}  // namespace leeway::wire::openai
