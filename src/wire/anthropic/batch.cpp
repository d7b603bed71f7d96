#include "wire/anthropic/batch.hpp"

#include "json/cursor.hpp"
#include "json/node.hpp"
#include "json/write.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

namespace leeway::wire::anthropic {
namespace {

tl::unexpected<Error> bad(std::string message, std::string param = {}) {
    return fail(Error{ErrorCode::kInvalidRequest,
                      std::move(message),
                      {},
                      std::move(param),
                      "invalid_batch_line"});
}

/// "2026-08-20T18:37:24.1Z" in seconds; 0: it is no time.
std::int64_t unix_s_of(std::string_view text) {
    constexpr std::string_view kForm = "2026-08-20T18:37:24";
    if (text.size() < kForm.size()) return 0;
    std::array<int, 6> parts{};
    constexpr std::array<std::size_t, 6> kBegins{0, 5, 8, 11, 14, 17};
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const char* begin = text.data() + kBegins[i];
        const char* end = begin + (i == 0 ? 4 : 2);
        if (std::from_chars(begin, end, parts[i]).ptr != end) return 0;
    }
    using namespace std::chrono;
    const year_month_day day{year(parts[0]), month(static_cast<unsigned>(parts[1])),
                             std::chrono::day(static_cast<unsigned>(parts[2]))};
    if (!day.ok()) return 0;
    const sys_seconds time =
        sys_days(day) + hours(parts[3]) + minutes(parts[4]) + seconds(parts[5]);
    return time.time_since_epoch().count();
}

/// Images and documents in `node`, wherever they are.
std::int64_t media_in(const json::Node& node) {
    std::int64_t count = 0;
    const std::string_view type = node.is_object() ? node.text_of("type") : std::string_view();
    if (type == "image" || type == "document" || type == "container_upload") ++count;
    for (const json::Node& element : node.elements) count += media_in(element);
    for (const json::Node::Member& member : node.members) count += media_in(member.value);
    return count;
}

/// Tools that run at the provider and bring in what they find.
bool is_server_tool(std::string_view type) {
    constexpr std::array<std::string_view, 5> kBegins{"web_search", "web_fetch", "code_execution",
                                                      "tool_search", "mcp_toolset"};
    return std::any_of(kBegins.begin(), kBegins.end(),
                       [&](std::string_view begin) { return type.starts_with(begin); });
}

bool has_open_input(const json::Node& params) {
    for (const std::string_view key : {"mcp_servers", "container"}) {
        const json::Node* other = params.find(key);
        if (other != nullptr && !other->is_null()) return true;
    }
    const json::Node* tools = params.find("tools");
    return tools != nullptr &&
           std::any_of(tools->elements.begin(), tools->elements.end(), [](const json::Node& tool) {
               return tool.is_object() && is_server_tool(tool.text_of("type"));
           });
}

/// The message of a result: only its usage is wanted.
void read_message(json::Cursor& cursor, usage::Extractor& usage, bool& found) {
    if (cursor.kind() != '{' || !cursor.open_object()) {
        cursor.skip_unchecked();
        return;
    }
    std::string_view key;
    while (cursor.next_member(key)) {
        if (key == "usage") {
            found = usage.read_object(cursor) || found;
        } else {
            cursor.skip_unchecked();
        }
    }
}

}  // namespace

Result<std::vector<std::string_view>> read_batch_requests(std::string_view json) {
    const auto tokens = json::thread_indexer().index(json);
    if (!tokens) return fail(tokens.error());
    json::Cursor cursor(*tokens);
    std::vector<std::string_view> out;
    int lists = 0;
    if (!cursor.open_object()) return fail(cursor.error());
    std::string_view key;
    while (cursor.next_member(key)) {
        // Whatever stands there, the provider must not read other requests than we do.
        if (cursor.escaped()) return bad("Names of members must not hold escapes.");
        if (key != "requests") {
            if (!cursor.skip()) break;
            continue;
        }
        ++lists;
        if (!cursor.open_array()) return fail(cursor.error());
        while (cursor.next_element()) {
            int bodies = 0;
            if (!cursor.open_object()) break;
            std::string_view name;
            while (cursor.next_member(name)) {
                const bool is_body = name == "params" || cursor.escaped();
                const std::size_t begin = cursor.offset();
                if (!cursor.skip()) break;
                if (!is_body) continue;
                ++bodies;
                out.push_back(json.substr(begin, cursor.value_end() - begin));
            }
            if (!cursor.failed() && bodies != 1) {
                return bad(fmt::format("Request {} of the batch needs one 'params'.",
                                       out.size() + (bodies == 0 ? 1 : 0)),
                           "requests");
            }
        }
    }
    if (!cursor.end()) return fail(cursor.error());
    if (lists != 1) return bad("A batch needs one list of 'requests'.", "requests");
    return out;
}

Result<BatchAsk> read_batch_ask(std::string_view params) {
    auto node = json::parse_node(params);
    if (!node) return fail(std::move(node.error()));
    if (!node->is_object()) return bad("'params' must be an object.");
    for (const std::string_view key : {"model", "max_tokens", "messages", "system", "tools"}) {
        const auto same = std::count_if(node->members.begin(), node->members.end(),
                                        [&](const auto& one) { return one.key == key; });
        if (same > 1) return bad(fmt::format("'{}' is given twice.", key));
    }
    BatchAsk out;
    out.endpoint = kMessages;
    out.model = node->text_of("model");
    if (out.model.empty()) return bad("A request names no model.");
    if (const json::Node* limit = node->find("max_tokens")) out.limit = limit->integer();
    if (out.limit.value_or(0) < 1) return bad("'max_tokens' must be a whole number from 1 on.");
    const json::Node* messages = node->find("messages");
    if (messages == nullptr || !messages->is_array()) return bad("'messages' must be a list.");
    if (const json::Node* stream = node->find("stream"); stream != nullptr && stream->is_true())
        return bad("A batch has no streams.");
    out.messages = static_cast<std::int64_t>(messages->elements.size());
    out.media = media_in(*node);
    out.open_input = has_open_input(*node);
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
        if (key != "result" || cursor.kind() != '{' || !cursor.open_object()) {
            cursor.skip_unchecked();
            continue;
        }
        std::string_view member;
        std::string_view type;
        while (cursor.next_member(member)) {
            if (member == "type" && cursor.kind() == '"') {
                if (!cursor.string(type)) break;
            } else if (member == "message") {
                read_message(cursor, usage, out.valid);
            } else {
                cursor.skip_unchecked();
            }
        }
        if (type == "succeeded") out.status = 200;
        if (type == "errored" || type == "canceled" || type == "expired") out.status = 400;
    }
    out.usage = usage.result();
    return out;
}

std::optional<BatchState> read_batch_state(std::string_view json) {
    const auto node = json::parse_node(json);
    if (!node || !node->is_object()) return std::nullopt;
    BatchState out;
    out.id = node->text_of("id");
    out.status = node->text_of("processing_status");
    if (out.id.empty() || out.status.empty()) return std::nullopt;
    out.expires_unix_s = unix_s_of(node->text_of("expires_at"));
    if (out.status != "ended") return out;
    out.answers_path = "/messages/batches/" + out.id + "/results";
    const json::Node* counts = node->find("request_counts");
    const auto count = [&](std::string_view name) {
        const json::Node* one = counts == nullptr ? nullptr : counts->find(name);
        return one == nullptr ? 0 : one->integer().value_or(0);
    };
    if (!node->text_of("cancel_initiated_at").empty()) {
        out.end = "cancelled";
    } else if (count("expired") > 0) {
        out.end = "expired";
    } else {
        out.end = count("succeeded") == 0 && count("errored") > 0 ? "failed" : "completed";
    }
    return out;
}

std::string render_list(const std::vector<std::string>& items, const std::vector<std::string>& ids,
                        bool has_more) {
    std::string out;
    json::Writer writer(out);
    writer.object().key("data").array();
    for (const std::string& item : items) writer.raw(item);
    writer.close_array().key("has_more").boolean(has_more);
    writer.key("first_id");
    ids.empty() ? writer.null() : writer.string(ids.front());
    writer.key("last_id");
    ids.empty() ? writer.null() : writer.string(ids.back());
    writer.close_object();
    return out;
}

std::string with_own_results(std::string_view json) {
    const std::string id = read_object_id(json);
    const auto tokens = json::thread_indexer().index(json);
    if (id.empty() || !tokens) return std::string(json);
    json::Cursor cursor(*tokens);
    if (!cursor.open_object()) return std::string(json);
    std::string_view key;
    while (cursor.next_member(key)) {
        const bool is_text = cursor.kind() == '"';
        const std::size_t begin = cursor.offset();
        if (!cursor.skip()) break;
        if (key != "results_url" || !is_text) continue;
        std::string out(json.substr(0, begin));
        out += json::quoted(fmt::format("{}/batches/{}/results", kMessages, id));
        out += json.substr(cursor.value_end());
        return out;
    }
    return std::string(json);
}

}  // namespace leeway::wire::anthropic
