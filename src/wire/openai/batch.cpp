#include "wire/openai/batch.hpp"

#include "json/cursor.hpp"
#include "json/node.hpp"
#include "json/write.hpp"
#include "wire/openai/request_view.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace leeway::wire::openai {
namespace {

constexpr std::string_view kResponses = "/v1/responses";

std::int64_t occurrences(std::string_view text, std::string_view word) {
    std::int64_t count = 0;
    for (std::size_t at = text.find(word); at != std::string_view::npos;
         at = text.find(word, at + word.size())) {
        ++count;
    }
    return count;
}

std::optional<Endpoint> endpoint_of(std::string_view path) {
    if (path == "/v1/chat/completions") return Endpoint::kChatCompletions;
    if (path == "/v1/embeddings") return Endpoint::kEmbeddings;
    if (path == "/v1/completions") return Endpoint::kCompletions;
    return std::nullopt;
}

tl::unexpected<Error> bad(std::string message) {
    return fail(
        Error{ErrorCode::kInvalidRequest, std::move(message), {}, "file", "invalid_batch_line"});
}

/// Where the object's members `url` and `body` are.
struct Envelope {
    std::string url;
    std::string_view body;
};
Result<Envelope> read_envelope(std::string_view line) {
    const auto tokens = json::thread_indexer().index(line);
    if (!tokens) return fail(tokens.error());
    json::Cursor cursor(*tokens);
    Envelope out;
    std::string scratch;
    int bodies = 0;
    int urls = 0;
    if (!cursor.open_object()) return fail(cursor.error());
    std::string_view raw_key;
    while (cursor.next_member(raw_key)) {
        const std::string key(json::decoded(raw_key, cursor.escaped(), scratch));
        const std::size_t begin = cursor.offset();
        if (key == "url" && cursor.kind() == '"') {
            std::string_view raw;
            if (!cursor.string(raw)) break;
            out.url = json::decoded(raw, cursor.escaped(), scratch);
            ++urls;
        } else if (cursor.skip() && key == "body") {
            out.body = line.substr(begin, cursor.value_end() - begin);
            ++bodies;
        }
    }
    if (!cursor.end()) return fail(cursor.error());
    // Two readers might take different ones.
    if (urls != 1 || bodies != 1) return bad("A request needs one 'url' and one 'body'.");
    return out;
}

Result<BatchAsk> read_response_ask(std::string_view body) {
    auto node = json::parse_node(body);
    if (!node) return fail(std::move(node.error()));
    if (!node->is_object()) return bad("'body' must be an object.");
    BatchAsk out;
    for (const std::string_view key : {"model", "max_output_tokens", "input"}) {
        const auto same = std::count_if(node->members.begin(), node->members.end(),
                                        [&](const auto& one) { return one.key == key; });
        if (same > 1) return bad("'" + std::string(key) + "' is given twice.");
    }
    out.model = node->text_of("model");
    if (const json::Node* limit = node->find("max_output_tokens")) out.limit = limit->integer();
    const json::Node* input = node->find("input");
    out.messages = input != nullptr && input->is_array()
                       ? static_cast<std::int64_t>(input->elements.size())
                       : 1;
    out.media = occurrences(body, "\"input_image\"") + occurrences(body, "\"input_file\"");
    for (const std::string_view key : {"previous_response_id", "conversation", "prompt"}) {
        const json::Node* other = node->find(key);
        out.open_input = out.open_input || (other != nullptr && !other->is_null());
    }
    return out;
}

void read_answer_body(json::Cursor& cursor, usage::Extractor& usage, BatchAnswer& out) {
    if (cursor.kind() != '{' || !cursor.open_object()) {
        cursor.skip_unchecked();
        return;
    }
    std::string_view key;
    while (cursor.next_member(key)) {
        if (key == "usage") {
            usage.read_object(cursor);
            out.valid = true;
        } else {
            cursor.skip_unchecked();
        }
    }
}

void read_response(json::Cursor& cursor, usage::Extractor& usage, BatchAnswer& out) {
    if (cursor.kind() != '{' || !cursor.open_object()) {
        cursor.skip_unchecked();
        return;
    }
    std::string_view key;
    std::string_view number;
    while (cursor.next_member(key)) {
        if (key == "body") {
            read_answer_body(cursor, usage, out);
        } else if (key == "status_code" && cursor.kind() >= '0' && cursor.kind() <= '9') {
            if (!cursor.number(number)) return;
            out.status = number.size() == 3 ? (number[0] - '0') * 100 : 0;
        } else {
            cursor.skip_unchecked();
        }
    }
}

}  // namespace

Result<BatchAsk> read_batch_ask(std::string_view line) {
    auto envelope = read_envelope(line);
    if (!envelope) return fail(std::move(envelope.error()));
    BatchAsk out;
    if (envelope->url == kResponses) {
        auto ask = read_response_ask(envelope->body);
        if (!ask) return ask;
        out = std::move(*ask);
    } else {
        const auto endpoint = endpoint_of(envelope->url);
        if (!endpoint) return bad("The url '" + envelope->url + "' is not served in batches.");
        auto view = parse_request(*endpoint, envelope->body);
        if (!view) return fail(std::move(view.error()));
        if (view->stream) return bad("A batch has no streams.");
        out.model = std::move(view->model);
        out.limit = view->answer_limit();
        out.answers = std::max<std::int64_t>(view->n, 1);
        out.messages = static_cast<std::int64_t>(view->message_count);
        if (view->has_media) {
            out.media = 1;
            for (const std::string_view word : {"\"image_url\"", "\"input_audio\"", "\"file\""})
                out.media += occurrences(envelope->body, word);
        }
        if (*endpoint == Endpoint::kEmbeddings) out.limit = 0;
        // Its documented default.
        if (*endpoint == Endpoint::kCompletions && !out.limit) out.limit = 16;
    }
    if (out.model.empty()) return bad("A request names no model.");
    out.endpoint = std::move(envelope->url);
    return out;
}

BatchAnswer read_batch_answer(std::string_view line, usage::Flavour flavour) {
    BatchAnswer out;
    // Broken text in an answer must not hide what it cost.
    std::string shadow;
    const auto tokens = json::thread_indexer().index_lenient(line, shadow);
    if (!tokens) return out;
    json::Cursor cursor(*tokens);
    usage::Extractor usage(flavour);
    if (cursor.kind() != '{' || !cursor.open_object()) return out;
    std::string_view key;
    while (cursor.next_member(key)) {
        if (key == "response") {
            read_response(cursor, usage, out);
        } else {
            cursor.skip_unchecked();
        }
    }
    out.usage = usage.result();
    return out;
}

std::optional<BatchLine> read_batch_line(std::string_view line) {
    const auto tokens = json::thread_indexer().index(line);
    if (!tokens) return std::nullopt;
    json::Cursor cursor(*tokens);
    BatchLine out;
    std::string scratch;
    std::string_view key;
    if (!cursor.open_object()) return std::nullopt;
    while (cursor.next_member(key)) {
        if (key == "custom_id" && cursor.kind() == '"') {
            std::string_view raw;
            if (!cursor.string(raw)) break;
            out.custom_id = json::decoded(raw, cursor.escaped(), scratch);
        } else if (key == "response" && cursor.kind() == '{') {
            if (!cursor.open_object()) break;
            while (cursor.next_member(key)) {
                const std::size_t begin = cursor.offset();
                std::string_view number;
                if (key == "status_code" && cursor.kind() >= '1' && cursor.kind() <= '9') {
                    if (cursor.number(number) && number.size() == 3)
                        std::from_chars(number.data(), number.data() + 3, out.status);
                } else if (cursor.skip() && key == "body") {
                    out.body = line.substr(begin, cursor.value_end() - begin);
                }
            }
        } else if (!cursor.skip()) {
            break;
        }
    }
    if (!cursor.end() || out.custom_id.empty()) return std::nullopt;
    return out;
}

std::optional<BatchState> read_batch_state(std::string_view json) {
    const auto node = json::parse_node(json);
    if (!node || !node->is_object()) return std::nullopt;
    BatchState out;
    out.id = node->text_of("id");
    out.status = node->text_of("status");
    if (out.id.empty() || out.status.empty()) return std::nullopt;
    for (const std::string_view end : {"completed", "failed", "expired", "cancelled"}) {
        if (out.status == end) out.end = end;
    }
    if (const json::Node* expires = node->find("expires_at"))
        out.expires_unix_s = expires->integer().value_or(0);
    const std::string_view output = node->text_of("output_file_id");
    if (!output.empty()) out.answers_path = "/files/" + std::string(output) + "/content";
    for (const std::string_view id : {output, node->text_of("error_file_id")}) {
        if (!id.empty()) out.files.emplace_back(id);
    }
    return out;
}

std::string render_list(const std::vector<std::string>& items, const std::vector<std::string>& ids,
                        bool has_more) {
    std::string out;
    json::Writer writer(out);
    writer.object().key("object").string("list").key("data").array();
    for (const std::string& item : items) writer.raw(item);
    writer.close_array();
    writer.key("first_id");
    ids.empty() ? writer.null() : writer.string(ids.front());
    writer.key("last_id");
    ids.empty() ? writer.null() : writer.string(ids.back());
    writer.key("has_more").boolean(has_more).close_object();
    return out;
}

}  // namespace leeway::wire::openai
