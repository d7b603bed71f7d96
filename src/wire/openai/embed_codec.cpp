#include "wire/openai/embed_codec.hpp"

#include "json/number.hpp"
#include "json/walk.hpp"
#include "json/write.hpp"
#include "wire/canonical/common.hpp"

#include <algorithm>
#include <utility>

namespace leeway::wire::openai {
namespace {

using json::Node;
using json::Writer;

Result<void> read_texts(const Node& input, EmbedRequest& out) {
    const auto add = [&](const Node& node) -> Result<void> {
        if (!node.is_string()) {
            return fail(untranslatable(
                "input", "Only texts can be translated for this provider, not token numbers."));
        }
        out.texts.push_back(node.text);
        return {};
    };
    out.texts.clear();  // of a key that is given twice the last counts
    out.list = input.is_array();
    if (!out.list) return add(input);
    for (const Node& element : input.elements) {
        if (auto added = add(element); !added) return added;
    }
    return {};
}

Result<void> read_member(const Node::Member& member, EmbedRequest& out) {
    const auto& [key, value] = member;
    if (value.is_null()) return {};
    if (key == "input") return read_texts(value, out);
    if (key == "model") {
        out.model = value.text;
    } else if (key == "dimensions") {
        out.dimensions = value.integer();
    } else if (key == "encoding_format" && (value.text == "float" || value.text == "base64")) {
        out.base64 = value.text == "base64";
    } else if (key == "encoding_format") {
        return fail(wrong_type(key, "'float' or 'base64'"));
    } else if (key == "task_type" && value.is_string()) {
        out.task = value.text;
    } else if (key == "input_type" && !task_of_input_type(value.text).empty()) {
        out.task = task_of_input_type(value.text);
        out.task_field = "input_type";
    } else if (key == "title" && value.is_string()) {
        out.title = value.text;
    } else {
        keep_unknown(out, member);
    }
    return {};
}

void write_common(const EmbedRequest& request, std::string_view model, Writer& json) {
    json.object().key("model").string(model).key("input");
    if (request.list) json.array();
    for (const std::string& text : request.texts) json.string(text);
    if (request.list) json.close_array();
    if (request.dimensions) json.key("dimensions").integer(*request.dimensions);
}

}  // namespace

Result<EmbedRequest> read_embed_request(std::string_view body) {
    const auto node = read_body(body);
    if (!node) return fail(node.error());
    EmbedRequest out;
    for (const Node::Member& member : node->members) {
        if (auto read = read_member(member, out); !read) return fail(read.error());
    }
    if (out.texts.empty()) return fail(missing("input"));
    return out;
}

std::string write_embed_request(const EmbedRequest& request, std::string_view model,
                                Losses& losses) {
    for (const std::string& field : request.unknown) losses.drop(field);
    if (!request.task.empty()) losses.drop(request.task_field);
    if (!request.title.empty()) losses.drop("title");
    std::string out;
    Writer json(out);
    write_common(request, model, json);
    json.close_object();
    return out;
}

std::string embed_request_for_stages(const EmbedRequest& request) {
    std::string out;
    Writer json(out);
    write_common(request, request.model, json);
    if (!request.task.empty()) json.key("task_type").string(request.task);
    if (!request.title.empty()) json.key("title").string(request.title);
    if (!request.extra.empty()) json.key("extra").raw(request.extra);
    json.close_object();
    return out;
}

Result<EmbedAnswer> read_embed_answer(std::string_view body, usage::Flavour flavour,
                                      std::size_t wanted) {
    return read_vectors(body, flavour, wanted, [](json::Cursor& cursor, EmbedAnswer& answer) {
        std::vector<std::pair<std::int64_t, std::string>> found;
        const auto entry = [&] {
            std::int64_t index = static_cast<std::int64_t>(found.size());
            std::string vector;
            json::each_member(cursor, [&](std::string_view key) {
                std::string_view number;
                if (key == "embedding" && cursor.kind() == '[') {
                    if (!read_vector(cursor, vector)) vector.clear();
                } else if (key == "index" && cursor.number(number)) {
                    index = json::to_int64(number).value_or(index);
                } else if (key != "index") {
                    cursor.skip_unchecked();
                }
            });
            if (!vector.empty()) found.emplace_back(index, std::move(vector));
        };
        json::each_member(cursor, [&](std::string_view key) {
            std::string_view raw;
            if (key == "data") {
                json::each_element(cursor, entry);
            } else if (key == "model" && cursor.kind() == '"' && cursor.string(raw)) {
                std::string scratch;
                answer.model = json::decoded(raw, cursor.escaped(), scratch);
            } else {
                cursor.skip_unchecked();
            }
        });
        std::sort(found.begin(), found.end(),
                  [](const auto& a, const auto& b) { return a.first < b.first; });
        for (auto& [index, vector] : found) answer.vectors.push_back(std::move(vector));
    });
}

std::string write_embed_answer(const EmbedAnswer& answer, const AnswerFor& to, bool base64) {
    std::string out;
    Writer json(out);
    json.object().key("object").string("list").key("data").array();
    for (std::size_t i = 0; i < answer.vectors.size(); ++i) {
        json.object().key("object").string("embedding");
        json.key("index").integer(static_cast<std::int64_t>(i)).key("embedding");
        if (base64) {
            json.string(packed_vector(answer.vectors[i]));
        } else {
            json.raw(answer.vectors[i]);
        }
        json.close_object();
    }
    json.close_array().key("model").string(answer.model.empty() ? to.model : answer.model);
    const std::int64_t input = answer.usage.usage.input_total();
    json.key("usage").object().key("prompt_tokens").integer(input);
    json.key("total_tokens").integer(input).close_object().close_object();
    return out;
}

}  // namespace leeway::wire::openai
