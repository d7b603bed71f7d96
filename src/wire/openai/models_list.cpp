#include "wire/openai/models_list.hpp"

#include "json/write.hpp"

namespace leeway::wire::openai {

namespace {

void write_model(json::Writer& writer, const ModelEntry& model) {
    writer.object();
    writer.key("id").string(model.id);
    writer.key("object").string("model");
    writer.key("created").integer(model.created);
    writer.key("owned_by").string(model.owned_by);
    writer.close_object();
}

}  // namespace

std::string render_models(std::span<const ModelEntry> models) {
    std::string out;
    json::Writer writer(out);
    writer.object().key("object").string("list").key("data").array();
    for (const ModelEntry& model : models) write_model(writer, model);
    writer.close_array().close_object();
    return out;
}

std::string render_model(const ModelEntry& model) {
    std::string out;
    json::Writer writer(out);
    write_model(writer, model);
    return out;
}

}  // namespace leeway::wire::openai
