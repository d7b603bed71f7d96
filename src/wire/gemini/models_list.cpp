#include "wire/gemini/models_list.hpp"

#include "json/write.hpp"

namespace leeway::wire::gemini {
namespace {

void write(json::Writer& json, std::string_view name) {
    json.object().key("name").string("models/" + std::string(name)).key("displayName").string(name);
    json.key("supportedGenerationMethods").array();
    for (const std::string_view method : {"generateContent", "streamGenerateContent", "countTokens",
                                          "embedContent", "batchEmbedContents"})
        json.string(method);
    json.close_array().close_object();
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
    json.object().key("models").array();
    for (const std::string& name : names) write(json, name);
    json.close_array().close_object();
    return out;
}

}  // namespace leeway::wire::gemini
