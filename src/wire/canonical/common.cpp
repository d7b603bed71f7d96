#include "wire/canonical/common.hpp"

#include "json/cursor.hpp"
#include "json/number.hpp"
#include "json/tokens.hpp"
#include "wire/canonical/codec.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace leeway::wire {
namespace {

struct EffortLevel {
    std::string_view name;
    std::int64_t budget;
};
constexpr std::array<EffortLevel, 6> kEfforts{{{"minimal", 1024},
                                               {"low", 2048},
                                               {"medium", 8192},
                                               {"high", 16384},
                                               {"xhigh", 32768},
                                               {"max", 65536}}};

}  // namespace

bool split_data_url(std::string_view url, std::string& media_type, std::string& data) {
    constexpr std::string_view kScheme = "data:";
    constexpr std::string_view kBase64 = ";base64";
    if (!url.starts_with(kScheme)) return false;
    const std::size_t comma = url.find(',');
    if (comma == std::string_view::npos) return false;
    std::string_view head = url.substr(kScheme.size(), comma - kScheme.size());
    if (!head.ends_with(kBase64)) return false;
    head.remove_suffix(kBase64.size());
    media_type = head.substr(0, head.find(';'));
    if (media_type == "image/jpg") media_type = "image/jpeg";  // no provider knows the other name
    data = url.substr(comma + 1);
    return true;
}

std::string data_url(std::string_view media_type, std::string_view data) {
    std::string out = "data:";
    out.append(media_type).append(";base64,").append(data);
    return out;
}

std::string_view effort_of_budget(std::int64_t tokens) noexcept {
    if (tokens <= 0) return "none";
    for (const EffortLevel& level : kEfforts) {
        // "xhigh" and "max" are not known everywhere: only their own names ask for them.
        if (tokens <= level.budget || level.name == "high") return level.name;
    }
    return "high";
}

std::int64_t budget_of_effort(std::string_view effort) noexcept {
    for (const EffortLevel& level : kEfforts) {
        if (level.name == effort) return level.budget;
    }
    return effort == "none" ? 0 : 8192;
}

std::string joined_text(const std::vector<Part>& parts, std::string_view between) {
    std::string out;
    bool first = true;
    for (const Part& part : parts) {
        if (part.kind != Part::Kind::kText) continue;
        if (!std::exchange(first, false)) out += between;
        out += part.text;
    }
    return out;
}

std::optional<std::string> whole_text(const Choice& choice) {
    const bool plain = std::all_of(choice.parts.begin(), choice.parts.end(), [](const Part& part) {
        return part.kind == Part::Kind::kText || part.kind == Part::Kind::kThinking ||
               part.kind == Part::Kind::kRedacted;
    });
    if (!plain || choice.stop != StopReason::kEnd) return std::nullopt;
    return joined_text(choice.parts, "");
}

Error wrong_type(std::string_view param, std::string_view wanted) {
    return Error{ErrorCode::kInvalidRequest,
                 std::string(param) + " must be " + std::string(wanted) + ".",
                 {},
                 std::string(param),
                 "invalid_type"};
}

Error missing(std::string_view param) {
    return Error{ErrorCode::kInvalidRequest,
                 "Missing required parameter: '" + std::string(param) + "'.",
                 {},
                 std::string(param),
                 "missing_required_parameter"};
}

Error untranslatable(std::string_view param, std::string_view why) {
    return Error{ErrorCode::kInvalidRequest, std::string(why),
                 "ask a model whose provider speaks this dialect", std::string(param),
                 "untranslatable"};
}

Result<std::string> number_text(const json::Node& object, std::string_view key) {
    const json::Node* found = object.find(key);
    if (found == nullptr || found->is_null()) return std::string();
    if (!found->is_number()) return fail(wrong_type(key, "a number"));
    return found->text;
}

Result<std::optional<std::int64_t>> integer_of(const json::Node& object, std::string_view key) {
    const json::Node* found = object.find(key);
    if (found == nullptr || found->is_null()) return std::optional<std::int64_t>();
    const auto value = found->integer();
    if (!value) return fail(wrong_type(key, "an integer"));
    return std::optional<std::int64_t>(value);
}

Result<json::Node> read_body(std::string_view body) {
    auto node = json::parse_node(body);
    if (node && !node->is_object()) {
        return fail(Error{
            ErrorCode::kInvalidRequest, "The body must be a JSON object.", {}, {}, "invalid_json"});
    }
    return node;
}

Result<json::Node> read_upstream(std::string_view body, usage::Extractor& usage) {
    // Broken text in an answer must not hide what it cost.
    std::string shadow;
    const auto broken = [](std::string why) {
        return fail(Error{ErrorCode::kUpstreamInvalid,
                          "the upstream sent no JSON: " + std::move(why),
                          {},
                          {},
                          "upstream_invalid_answer"});
    };
    const auto tokens = json::thread_indexer().index_lenient(body, shadow);
    if (!tokens) return broken(tokens.error().message);
    json::Cursor counts(*tokens);
    usage.read_document(counts);
    json::Cursor cursor(*tokens);
    json::Node node;
    if (!json::read_node(cursor, node) || !cursor.end()) return broken(cursor.error().message);
    if (!node.is_object()) return broken("an object was expected");
    return node;
}

UsageTotals totals_of(const prices::Usage& usage) noexcept {
    using prices::Bucket;
    UsageTotals out;
    out.input = usage.input_total();
    out.output = usage.output_total();
    out.cached =
        usage[Bucket::kCachedInput] + usage[Bucket::kCachedAudio] + usage[Bucket::kCachedImage];
    out.cache_write_1h = usage[Bucket::kCacheWrite1h];
    out.cache_write =
        usage[Bucket::kCacheWrite] + usage[Bucket::kCacheWrite5m] + usage[Bucket::kCacheWrite1h];
    out.reasoning = usage[Bucket::kReasoning];
    out.audio_input = usage[Bucket::kAudioInput] + usage[Bucket::kCachedAudio];
    out.audio_output = usage[Bucket::kAudioOutput];
    out.web_searches = usage[Bucket::kWebSearch];
    return out;
}

std::string object_of(const std::string& arguments) {
    if (arguments.empty()) return "{}";
    const auto node = json::parse_node(arguments);
    if (node && node->is_object()) return node->json();
    std::string out;
    json::Writer(out).object().key("arguments").string(arguments).close_object();
    return out;
}

Error refusal_of(int status, const json::Node* body,
                 Error (*error_of)(const json::Node& body, int status)) {
    Error error;
    error.code = code_of_status(status);
    if (body != nullptr && body->is_object()) error = error_of(*body, status);
    if (error.message.empty())
        error.message = "the upstream answered with status " + std::to_string(status);
    return error;
}

Error interleaved_calls() {
    return Error{
        ErrorCode::kUpstreamInvalid,
        "the upstream mixed the pieces of two tool calls, which cannot be told in this dialect",
        {},
        {},
        "upstream_interleaved"};
}

ErrorCode code_of_status(int status) noexcept {
    switch (status) {
        case 401: return ErrorCode::kUnauthenticated;
        case 403: return ErrorCode::kForbidden;
        case 404: return ErrorCode::kNotFound;
        case 405: return ErrorCode::kMethodNotAllowed;
        case 408: return ErrorCode::kRequestTimeout;
        case 413: return ErrorCode::kPayloadTooLarge;
        case 429: return ErrorCode::kRateLimited;
        case 503:
        case 529: return ErrorCode::kUnavailable;
        case 504: return ErrorCode::kUpstreamTimeout;
        default: return status >= 500 ? ErrorCode::kUpstreamInvalid : ErrorCode::kInvalidRequest;
    }
}

std::string tool_text(const Part& result, std::vector<const Part*>& media, Losses& losses) {
    std::string text;
    for (const Part& one : result.content) {
        if (one.kind != Part::Kind::kText) {
            media.push_back(&one);
            continue;
        }
        if (one.cache != CacheMark::kNone) losses.drop("cache_control");
        if (!text.empty()) text += '\n';
        text += one.text;
    }
    if (result.is_error) text.insert(0, "Error: ");
    return text;
}

void write_function_call(json::Writer& json, const Part& call) {
    json.object().key("id").string(call.id).key("type").string("function");
    json.key("function").object().key("name").string(call.name);
    json.key("arguments").string(call.text.empty() ? "{}" : call.text);
    json.close_object().close_object();
}

}  // namespace leeway::wire
