#include "json/write.hpp"
#include "wire/canonical/common.hpp"
#include "wire/gemini/content_codec.hpp"
#include "wire/gemini/parts.hpp"

#include <utility>

namespace leeway::wire::gemini {

namespace {

using json::Node;
using json::Writer;
using Kind = Part::Kind;

}  // namespace

StopReason stop_of(std::string_view reason, bool has_call) noexcept {
    if (reason.empty() || reason == "FINISH_REASON_UNSPECIFIED") return StopReason::kUnset;
    if (reason == "STOP") return has_call ? StopReason::kToolUse : StopReason::kEnd;
    if (reason == "MAX_TOKENS") return StopReason::kLength;
    if (reason == "MALFORMED_FUNCTION_CALL" || reason == "UNEXPECTED_TOOL_CALL" ||
        reason == "TOO_MANY_TOOL_CALLS")
        return StopReason::kMalformedCall;
    return StopReason::kFilter;  // SAFETY, RECITATION, BLOCKLIST, LANGUAGE, OTHER and what may come
}

std::string_view finish_reason(StopReason stop) noexcept {
    switch (stop) {
        case StopReason::kUnset:
        case StopReason::kEnd:
        case StopReason::kToolUse:
        case StopReason::kPause:
        case StopReason::kStopSequence: return "STOP";
        case StopReason::kLength:
        case StopReason::kContextWindow: return "MAX_TOKENS";
        case StopReason::kFilter:
        case StopReason::kRefusal: return "SAFETY";
        case StopReason::kMalformedCall: return "MALFORMED_FUNCTION_CALL";
    }
    return "STOP";
}

void write_usage(Writer& json, const usage::UsageReading& reading) {
    const UsageTotals totals = totals_of(reading.usage);
    json.object().key("promptTokenCount").integer(totals.input);
    if (totals.cached > 0) json.key("cachedContentTokenCount").integer(totals.cached);
    json.key("candidatesTokenCount").integer(totals.output - totals.reasoning);
    if (totals.reasoning > 0) json.key("thoughtsTokenCount").integer(totals.reasoning);
    json.key("totalTokenCount").integer(totals.input + totals.output).close_object();
}

bool write_answer_part(Writer& json, const Part& part) {
    switch (part.kind) {
        case Kind::kText:
        case Kind::kRefusal:
            json.object().key("text").string(part.text).close_object();
            return true;
        case Kind::kThinking:
            json.object().key("text").string(part.text).key("thought").boolean(true);
            if (!part.signature.empty()) json.key("thoughtSignature").string(part.signature);
            json.close_object();
            return true;
        case Kind::kToolCall: {
            json.object().key("functionCall").object();
            if (!part.id.empty()) json.key("id").string(part.id);
            json.key("name").string(part.name).key("args").raw(object_of(part.text));
            json.close_object();
            if (!part.signature.empty()) json.key("thoughtSignature").string(part.signature);
            json.close_object();
            return true;
        }
        case Kind::kImage:
        case Kind::kAudio:
        case Kind::kVideo:
        case Kind::kDocument:
            if (part.data.empty()) return false;
            json.object().key("inlineData").object().key("mimeType").string(part.media_type);
            json.key("data").string(part.data).close_object().close_object();
            return true;
        case Kind::kRedacted:
        case Kind::kToolResult: return false;
    }
    return false;
}

Error error_of(const Node& body, int status) {
    Error error;
    error.code = code_of_status(status);
    const Node* told = body.find("error");
    if (told == nullptr || !told->is_object()) return error;
    error.message = told->text_of("message");
    error.reason = told->text_of("status");
    if (status == 0) {
        const Node* code = told->find("code");
        error.code =
            code_of_status(code == nullptr ? 500 : static_cast<int>(code->integer().value_or(500)));
    }
    return error;
}

namespace {

Choice read_candidate(const Node& node) {
    Choice choice;
    if (const Node* index = node.find("index")) choice.index = index->integer().value_or(0);
    bool has_call = false;
    const Node* content = node.find("content");
    const Node* parts =
        content != nullptr && content->is_object() ? content->find("parts") : nullptr;
    if (parts != nullptr && parts->is_array()) {
        for (const Node& part : parts->elements) {
            if (!read_part(part, "parts", choice.parts))
                continue;  // code and its results: Google's own
            has_call = has_call || choice.parts.back().kind == Kind::kToolCall;
        }
    }
    choice.stop = stop_of(node.text_of("finishReason"), has_call);
    return choice;
}

}  // namespace

Result<ChatAnswer> ContentCodec::read_answer(std::string_view body, usage::Flavour flavour) const {
    usage::Extractor extractor(flavour);
    const auto node = read_upstream(body, extractor);
    if (!node) return fail(node.error());
    ChatAnswer answer;
    answer.id = node->text_of("responseId");
    answer.model = node->text_of("modelVersion");
    if (const Node* candidates = node->find("candidates");
        candidates != nullptr && candidates->is_array()) {
        for (const Node& one : candidates->elements) {
            if (one.is_object()) answer.choices.push_back(read_candidate(one));
        }
    }
    if (answer.choices.empty()) {
        // A prompt that the filter refused has no candidates.
        const Node* feedback = node->find("promptFeedback");
        if (feedback == nullptr || !feedback->is_object()) {
            return fail(Error{ErrorCode::kUpstreamInvalid,
                              "the upstream's answer has no candidates",
                              {},
                              {},
                              "upstream_invalid_answer"});
        }
        answer.choices.emplace_back().stop = StopReason::kFilter;
    }
    answer.usage = extractor.result();
    return answer;
}

std::string ContentCodec::write_answer(const ChatAnswer& answer, const AnswerFor& to) const {
    std::string out;
    Writer json(out);
    json.object().key("candidates").array();
    for (const Choice& choice : answer.choices) {
        json.object().key("content").object().key("parts").array();
        for (const Part& part : choice.parts) write_answer_part(json, part);
        json.close_array().key("role").string("model").close_object();
        json.key("finishReason").string(finish_reason(choice.stop));
        json.key("index").integer(choice.index).close_object();
    }
    json.close_array().key("usageMetadata");
    write_usage(json, answer.usage);
    json.key("modelVersion").string(answer.model.empty() ? to.model : answer.model);
    json.key("responseId").string(answer.id.empty() ? to.id : answer.id).close_object();
    return out;
}

Error ContentCodec::read_error(int status, std::string_view body) const {
    const auto node = json::parse_node(body);
    const Node* told = node ? &*node : nullptr;
    // Streams without alt=sse are lists.
    if (told != nullptr && told->is_array() && !told->elements.empty())
        told = &told->elements.front();
    return refusal_of(status, told, &error_of);
}

std::string ContentCodec::write_error(const Error& error) const {
    std::string_view status = "INTERNAL";
    switch (error.code) {
        case ErrorCode::kInvalidRequest:
        case ErrorCode::kMethodNotAllowed:
        case ErrorCode::kHeaderTooLarge:
        case ErrorCode::kClientGone:
        case ErrorCode::kPayloadTooLarge: status = "INVALID_ARGUMENT"; break;
        case ErrorCode::kUnauthenticated: status = "UNAUTHENTICATED"; break;
        case ErrorCode::kForbidden: status = "PERMISSION_DENIED"; break;
        case ErrorCode::kNotFound: status = "NOT_FOUND"; break;
        case ErrorCode::kRateLimited: status = "RESOURCE_EXHAUSTED"; break;
        case ErrorCode::kUpstreamInvalid:
        case ErrorCode::kUnavailable: status = "UNAVAILABLE"; break;
        case ErrorCode::kRequestTimeout:
        case ErrorCode::kUpstreamTimeout: status = "DEADLINE_EXCEEDED"; break;
        case ErrorCode::kInternal:
        case ErrorCode::kConfig: break;
    }
    std::string out;
    Writer json(out);
    json.object().key("error").object().key("code").integer(http_status(error.code));
    json.key("message").string(error.text()).key("status").string(status);
    json.close_object().close_object();
    return out;
}

std::string ContentCodec::write_stream_error(const Error& error) const {
    return "data: " + write_error(error) + "\n\n";
}

}  // namespace leeway::wire::gemini
