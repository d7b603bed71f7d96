#include "wire/anthropic/models_list.hpp"

#include "json/write.hpp"

namespace leeway::wire::anthropic {
namespace {

void write(json::Writer& json, std::string_view name) {
    json.object().key("type").string("model").key("id").string(name);
    json.key("display_name")
        .string(name)
        .key("created_at")
        .string("1970-01-01T00:00:00Z")
        .close_object();
}

}  // namespace

std::string render_model(std::string_view name) {
    std::string out;
    json::Writer json(out);
    write(json, name);
    return out;
}

std::string render_models(std::span<const std::string> names) {
    std::string out;
    json::Writer json(out);
    json.object().key("data").array();
    for (const std::string& name : names) write(json, name);
    json.close_array().key("has_more").boolean(false);
    for (const std::string_view key : {"first_id", "last_id"}) {
        json.key(key);
        if (names.empty()) {
            json.null();
        } else {
            json.string(key == "first_id" ? names.front() : names.back());
        }
    }
    json.close_object();
    return out;
}

}  // namespace leeway::wire::anthropic
