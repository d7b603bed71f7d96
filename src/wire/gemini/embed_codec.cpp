#include "wire/gemini/embed_codec.hpp"

#include "json/number.hpp"
#include "json/splice.hpp"
#include "json/walk.hpp"
#include "json/write.hpp"
#include "wire/canonical/common.hpp"
#include "wire/gemini/parts.hpp"

#include <algorithm>
#include <utility>

namespace leeway::wire::gemini {
namespace {

using json::Node;
using json::Writer;

Result<void> read_content(const Node& content, EmbedRequest& out) {
    const Node* parts = content.is_object() ? content.find("parts") : nullptr;
    if (parts == nullptr || !parts->is_array() || parts->elements.empty())
        return fail(missing("content.parts"));
    std::string text;
    bool first = true;
    for (const Node& part : parts->elements) {
        const Node* said = part.is_object() ? part.find("text") : nullptr;
        if (said == nullptr || !said->is_string()) {
            return fail(
                untranslatable("content.parts", "Only texts can be translated for this provider."));
        }
        if (!std::exchange(first, false)) text += '\n';
        text += said->text;
    }
    out.texts = {std::move(text)};  // of a key that is given twice the last counts
    return {};
}

/// One entry of a batch, or the whole body of another request.
Result<EmbedRequest> read_one(const Node& node) {
    EmbedRequest out;
    out.task_field = "taskType";
    if (!node.is_object()) return fail(wrong_type("requests", "an array of objects"));
    for (const Node::Member& member : node.members) {
        const auto& [key, value] = member;
        if (value.is_null() || key == "model") continue;
        if (key == "content") {
            if (auto read = read_content(value, out); !read) return fail(read.error());
        } else if (key == "taskType" || key == "task_type") {
            out.task = value.text;
        } else if (key == "title") {
            out.title = value.text;
        } else if (key == "outputDimensionality" || key == "output_dimensionality") {
            out.dimensions = value.integer();
            if (!out.dimensions) return fail(wrong_type(key, "an integer"));
        } else {
            keep_unknown(out, member);
        }
    }
    if (out.texts.empty()) return fail(missing("content"));
    return out;
}

bool differ(const EmbedRequest& a, const EmbedRequest& b) {
    return a.task != b.task || a.title != b.title || a.dimensions != b.dimensions ||
           a.extra != b.extra;
}

void write_one(const EmbedRequest& request, const std::string& name, const std::string& text,
               Writer& json) {
    json.object().key("model").string(name).key("content").object().key("parts").array();
    json.object().key("text").string(text).close_object().close_array().close_object();
    if (!request.task.empty()) json.key("taskType").string(request.task);
    if (!request.title.empty()) json.key("title").string(request.title);
    if (request.dimensions) json.key("outputDimensionality").integer(*request.dimensions);
    json.close_object();
}

/// The vector of one embedding; adds what it says of its tokens.
void read_embedding(json::Cursor& cursor, EmbedAnswer& answer, std::int64_t& tokens) {
    std::string vector;
    json::each_member(cursor, [&](std::string_view key) {
        if (key == "values" && cursor.kind() == '[') {
            if (!read_vector(cursor, vector)) vector.clear();
        } else if (key == "statistics") {
            json::each_member(cursor, [&](std::string_view name) {
                std::string_view number;
                if (name != "token_count") {
                    cursor.skip_unchecked();
                } else if (cursor.number(number)) {
                    tokens += std::max<std::int64_t>(json::to_int64(number).value_or(0), 0);
                }
            });
        } else {
            cursor.skip_unchecked();
        }
    });
    if (!vector.empty()) answer.vectors.push_back(std::move(vector));
}

}  // namespace

Result<EmbedRequest> read_embed_request(std::string_view body) {
    const auto node = read_body(body);
    if (!node) return fail(node.error());
    const Node* requests = node->find("requests");
    if (requests == nullptr) return read_one(*node);
    if (!requests->is_array()) return fail(wrong_type("requests", "an array of objects"));
    if (requests->elements.empty()) return fail(missing("requests"));
    std::optional<EmbedRequest> out;
    for (const Node& element : requests->elements) {
        auto one = read_one(element);
        if (!one) return fail(one.error());
        if (!out) {
            out = std::move(*one);
        } else if (differ(*out, *one)) {
            return fail(untranslatable(
                "requests", "The requests of a batch must be alike but for their content."));
        } else {
            out->texts.push_back(std::move(one->texts.front()));
        }
    }
    out->list = true;
    return std::move(*out);
}

std::string write_embed_request(const EmbedRequest& request, std::string_view model,
                                Losses& losses) {
    for (const std::string& field : request.unknown) losses.drop(field);
    const std::string name = "models/" + std::string(model);
    std::string out;
    Writer json(out);
    if (!request.list) {
        write_one(request, name, request.texts.front(), json);
        return out;
    }
    json.object().key("requests").array();
    for (const std::string& text : request.texts) write_one(request, name, text, json);
    json.close_array().close_object();
    return out;
}

std::string write_predict_request(const EmbedRequest& request, Losses& losses) {
    for (const std::string& field : request.unknown) losses.drop(field);
    std::string out;
    Writer json(out);
    json.object().key("instances").array();
    for (const std::string& text : request.texts) {
        json.object().key("content").string(text);
        if (!request.task.empty()) json.key("task_type").string(request.task);
        if (!request.title.empty()) json.key("title").string(request.title);
        json.close_object();
    }
    json.close_array();
    if (request.dimensions) {
        json.key("parameters").object().key("outputDimensionality");
        json.integer(*request.dimensions).close_object();
    }
    json.close_object();
    return out;
}

Result<EmbedAnswer> read_embed_answer(std::string_view body, usage::Flavour flavour,
                                      std::size_t wanted) {
    return read_vectors(body, flavour, wanted, [](json::Cursor& cursor, EmbedAnswer& answer) {
        std::int64_t told = 0;
        const auto embedding = [&] {
            read_embedding(cursor, answer, told);
        };
        json::each_member(cursor, [&](std::string_view key) {
            if (key == "embedding") {
                embedding();
            } else if (key == "embeddings") {
                json::each_element(cursor, embedding);
            } else if (key == "predictions") {
                json::each_element(cursor, [&] {
                    json::each_member(cursor, [&](std::string_view name) {
                        name == "embeddings" ? embedding() : cursor.skip_unchecked();
                    });
                });
            } else {
                cursor.skip_unchecked();
            }
        });
        if (told > 0 && answer.usage.state == prices::UsageState::kMissing) {
            answer.usage.usage[prices::Bucket::kInput] = told;
            answer.usage.state = prices::UsageState::kFinal;
        }
    });
}

std::string write_embed_answer(const EmbedAnswer& answer, bool list) {
    std::string out;
    Writer json(out);
    json.object().key(list ? "embeddings" : "embedding");
    if (list) json.array();
    for (const std::string& vector : answer.vectors) {
        json.object().key("values").raw(vector).close_object();
        if (!list) break;
    }
    if (list) json.close_array();
    if (answer.usage.state != prices::UsageState::kMissing) {
        json.key("usageMetadata").object().key("promptTokenCount");
        json.integer(answer.usage.usage.input_total()).close_object();
    }
    json.close_object();
    return out;
}

std::string with_embed_model(std::string_view body, std::string_view model) {
    const auto tokens = json::thread_indexer().index(body);
    if (!tokens) return std::string(body);
    json::Cursor cursor(*tokens);
    json::Splice splice(body);
    const std::string name = json::quoted("models/" + std::string(model));
    const auto replace = [&] {
        const std::size_t begin = cursor.offset();
        if (!cursor.skip()) return;
        // Edits of one walk do not overlap.
        (void)splice.add({begin, cursor.value_end() - begin, name});
    };
    json::each_member(cursor, [&](std::string_view key) {
        if (key == "model") {
            replace();
        } else if (key == "requests") {
            json::each_element(cursor, [&] {
                json::each_member(cursor, [&](std::string_view inner) {
                    inner == "model" ? replace() : cursor.skip_unchecked();
                });
            });
        } else {
            cursor.skip_unchecked();
        }
    });
    return splice.str();
}

}  // namespace leeway::wire::gemini
