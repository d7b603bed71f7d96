#include "models/host/embed_request.hpp"

#include "base/base64.hpp"
#include "json/write.hpp"
#include "models/host/request_fields.hpp"
#include "wire/openai/request_view.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstring>
#include <limits>
#include <numeric>
#include <span>
#include <utility>

namespace leeway::models {
namespace {

using json::Node;

constexpr std::size_t kMaxTexts = 2048;  // OpenAI's limit

Result<void> read_texts(const Node& input, std::vector<std::string>& texts) {
    const auto add = [&](const Node& node, std::string path) -> Result<void> {
        if (!node.is_string()) {
            return fail(unsupported_field(std::move(path),
                                          "local models take texts, not arrays of token numbers"));
        }
        if (node.text.empty()) {
            std::string message =
                fmt::format("Invalid '{}': input cannot be an empty string.", path);
            return fail(invalid_field(std::move(path), "invalid_value", std::move(message)));
        }
        texts.push_back(node.text);
        return {};
    };
    if (!input.is_array()) return add(input, "input");
    if (input.elements.size() > kMaxTexts) {
        return fail(
            invalid_field("input", "array_above_max_length",
                          fmt::format("Invalid 'input': array too long. Expected an array with "
                                      "maximum length {}, but got an array with length {} "
                                      "instead.",
                                      kMaxTexts, input.elements.size())));
    }
    for (std::size_t i = 0; i < input.elements.size(); ++i) {
        if (auto added = add(input.elements[i], fmt::format("input[{}]", i)); !added) return added;
    }
    return {};
}

void append_vector(std::string& out, std::span<const float> vector, bool base64) {
    if (base64) {
        // Little-endian float32, which is what every machine of ours has in memory.
        std::vector<unsigned char> bytes(vector.size_bytes());
        std::memcpy(bytes.data(), vector.data(), bytes.size());
        out += '"';
        append_base64(out, bytes);
        out += '"';
        return;
    }
    out += '[';
    for (std::size_t i = 0; i < vector.size(); ++i) {
        if (i != 0) out += ',';
        char text[32];
        const auto end = std::to_chars(text, text + sizeof text, vector[i]);
        out.append(text, end.ptr);
    }
    out += ']';
}

}  // namespace

Result<EmbedRequest> parse_embed_request(std::string_view body) {
    auto view = wire::openai::parse_request(wire::openai::Endpoint::kEmbeddings, body);
    if (!view) return fail(std::move(view.error()));
    auto tree = read_tree(body);
    if (!tree) return fail(std::move(tree.error()));
    EmbedRequest out;
    out.model = std::move(view->model);
    if (auto texts = read_texts(*tree->find("input"), out.texts); !texts) {
        return fail(std::move(texts.error()));
    }
    if (const Node* format = given(*tree, "encoding_format")) {
        if (format->text != "float" && format->text != "base64") {
            return fail(
                invalid_field("encoding_format", "invalid_value",
                              fmt::format("Invalid value: '{}'. Supported values are: 'float' "
                                          "and 'base64'.",
                                          format->text.substr(0, 40))));
        }
        out.base64 = format->text == "base64";
    }
    if (const Node* truncate = given(*tree, "truncate")) {
        if (!truncate->is_bool()) {
            return fail(invalid_field("truncate", "invalid_type",
                                      "Invalid type for 'truncate': expected a boolean."));
        }
        out.truncate = truncate->is_true();
    }
    auto dimensions =
        read_integer(*tree, "dimensions", {1, std::numeric_limits<std::int64_t>::max()});
    if (!dimensions) return fail(std::move(dimensions.error()));
    out.dimensions = *dimensions;
    return out;
}

std::string render_embeddings(const Embeddings& embeddings, std::string_view model, bool base64) {
    const std::size_t count = embeddings.tokens.size();
    constexpr std::size_t kBytesPerValue = 12;
    std::string out;
    out.reserve(embeddings.values.size() * kBytesPerValue + count * 64 + 128);
    out += R"({"object":"list","data":[)";
    for (std::size_t i = 0; i < count; ++i) {
        if (i != 0) out += ',';
        out += R"({"object":"embedding","index":)";
        json::append_int(out, static_cast<std::int64_t>(i));
        out += R"(,"embedding":)";
        append_vector(
            out,
            std::span(embeddings.values).subspan(i * embeddings.dimension, embeddings.dimension),
            base64);
        out += '}';
    }
    out += R"(],"model":)";
    json::append_string(out, model);
    const auto tokens =
        std::accumulate(embeddings.tokens.begin(), embeddings.tokens.end(), std::int64_t{0});
    fmt::format_to(std::back_inserter(out),
                   R"(,"usage":{{"prompt_tokens":{},"total_tokens":{}}}}})", tokens, tokens);
    return out;
}

}  // namespace leeway::models
