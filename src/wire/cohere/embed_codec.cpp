#include "wire/cohere/embed_codec.hpp"

#include "json/walk.hpp"
#include "json/write.hpp"

#include <utility>

namespace leeway::wire::cohere {

std::string write_embed_request(const EmbedRequest& request, std::string_view model,
                                Losses& losses) {
    for (const std::string& field : request.unknown) losses.drop(field);
    if (!request.title.empty()) losses.drop("title");
    std::string_view input_type = input_type_of_task(request.task);
    if (input_type.empty() && !request.task.empty()) losses.drop(request.task_field);
    if (input_type.empty()) input_type = "search_document";
    std::string out;
    json::Writer json(out);
    json.object().key("model").string(model).key("texts").array();
    for (const std::string& text : request.texts) json.string(text);
    json.close_array().key("input_type").string(input_type);
    json.key("embedding_types").array().string("float").close_array();
    if (request.dimensions) json.key("output_dimension").integer(*request.dimensions);
    json.close_object();
    return out;
}

Result<EmbedAnswer> read_embed_answer(std::string_view body, usage::Flavour flavour,
                                      std::size_t wanted) {
    return read_vectors(body, flavour, wanted, [](json::Cursor& cursor, EmbedAnswer& answer) {
        const auto vector = [&] {
            std::string one;
            if (cursor.kind() == '[' && read_vector(cursor, one)) {
                answer.vectors.push_back(std::move(one));
            } else {
                cursor.skip_unchecked();
            }
        };
        json::each_member(cursor, [&](std::string_view key) {
            if (key != "embeddings") return cursor.skip_unchecked();
            json::each_member(cursor, [&](std::string_view type) {
                if (type != "float") return cursor.skip_unchecked();
                json::each_element(cursor, vector);
            });
        });
    });
}

}  // namespace leeway::wire::cohere
