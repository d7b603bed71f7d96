#include "json/write.hpp"
#include "wire/anthropic/blocks.hpp"
#include "wire/anthropic/messages_codec.hpp"
#include "wire/canonical/common.hpp"

#include <utility>

namespace leeway::wire::anthropic {

namespace {

using json::Node;
using json::Writer;
using Kind = Part::Kind;

}  // namespace

StopReason stop_of(std::string_view reason) noexcept {
    if (reason.empty()) return StopReason::kUnset;
    if (reason == "max_tokens") return StopReason::kLength;
    if (reason == "tool_use") return StopReason::kToolUse;
    if (reason == "stop_sequence") return StopReason::kStopSequence;
    if (reason == "refusal") return StopReason::kRefusal;
    if (reason == "pause_turn") return StopReason::kPause;
    if (reason == "model_context_window_exceeded") return StopReason::kContextWindow;
    return StopReason::kEnd;
}

std::string_view stop_reason(StopReason stop) noexcept {
    switch (stop) {
        case StopReason::kUnset:
        case StopReason::kEnd:
        case StopReason::kMalformedCall: return "end_turn";
        case StopReason::kLength: return "max_tokens";
        case StopReason::kToolUse: return "tool_use";
        case StopReason::kStopSequence: return "stop_sequence";
        case StopReason::kFilter:
        case StopReason::kRefusal: return "refusal";
        case StopReason::kPause: return "pause_turn";
        case StopReason::kContextWindow: return "model_context_window_exceeded";
    }
    return "end_turn";
}

void write_usage(Writer& json, const usage::UsageReading& reading) {
    const UsageTotals totals = totals_of(reading.usage);
    json.object().key("input_tokens").integer(totals.input - totals.cached - totals.cache_write);
    json.key("cache_creation_input_tokens").integer(totals.cache_write);
    json.key("cache_read_input_tokens").integer(totals.cached);
    json.key("output_tokens").integer(totals.output).close_object();
}

std::string_view error_type(const Error& error) noexcept {
    switch (error.code) {
        case ErrorCode::kUnauthenticated: return "authentication_error";
        case ErrorCode::kForbidden: return "permission_error";
        case ErrorCode::kNotFound: return "not_found_error";
        case ErrorCode::kPayloadTooLarge: return "request_too_large";
        case ErrorCode::kRateLimited: return "rate_limit_error";
        case ErrorCode::kUnavailable: return "overloaded_error";
        case ErrorCode::kRequestTimeout:
        case ErrorCode::kUpstreamTimeout: return "timeout_error";
        case ErrorCode::kInvalidRequest:
        case ErrorCode::kMethodNotAllowed:
        case ErrorCode::kHeaderTooLarge:
        case ErrorCode::kClientGone: return "invalid_request_error";
        case ErrorCode::kInternal:
        case ErrorCode::kUpstreamInvalid:
        case ErrorCode::kConfig: return "api_error";
    }
    return "api_error";
}

Error error_of(const Node& body, int status) {
    Error error;
    error.code = code_of_status(status);
    const Node* told = body.find("error");
    if (told == nullptr || !told->is_object()) return error;
    error.message = told->text_of("message");
    error.reason = told->text_of("type");
    if (status != 0) return error;
    if (error.reason == "overloaded_error") {
        error.code = ErrorCode::kUnavailable;
    } else if (error.reason == "rate_limit_error") {
        error.code = ErrorCode::kRateLimited;
    } else {
        error.code = ErrorCode::kUpstreamInvalid;
    }
    return error;
}

namespace {

void write_block(Writer& json, const Part& part) {
    switch (part.kind) {
        case Kind::kText:
        case Kind::kRefusal:
            json.object().key("type").string("text").key("text").string(part.text).close_object();
            return;
        case Kind::kThinking:
            json.object().key("type").string("thinking").key("thinking").string(part.text);
            json.key("signature").string(part.signature).close_object();
            return;
        case Kind::kRedacted:
            json.object().key("type").string("redacted_thinking").key("data").string(part.data);
            json.close_object();
            return;
        case Kind::kToolCall:
            json.object().key("type").string("tool_use").key("id").string(part.id);
            json.key("name").string(part.name).key("input").raw(object_of(part.text));
            json.close_object();
            return;
        case Kind::kImage:
        case Kind::kAudio:
        case Kind::kVideo:
        case Kind::kDocument:
        case Kind::kToolResult: return;  // Anthropic's answers hold none of them
    }
}

}  // namespace

Result<ChatAnswer> MessagesCodec::read_answer(std::string_view body, usage::Flavour flavour) const {
    usage::Extractor extractor(flavour);
    const auto node = read_upstream(body, extractor);
    if (!node) return fail(node.error());
    const Node* content = node->find("content");
    if (content == nullptr || !content->is_array()) {
        return fail(Error{ErrorCode::kUpstreamInvalid,
                          "the upstream's answer has no content",
                          {},
                          {},
                          "upstream_invalid_answer"});
    }
    ChatAnswer answer;
    answer.id = node->text_of("id");
    answer.model = node->text_of("model");
    Choice choice;
    choice.stop = stop_of(node->text_of("stop_reason"));
    choice.stop_sequence = node->text_of("stop_sequence");
    for (const Node& block : content->elements) {
        if (block.is_object()) read_answer_block(block, choice.parts);
    }
    answer.choices.push_back(std::move(choice));
    answer.usage = extractor.result();
    return answer;
}

void read_answer_block(const Node& block, std::vector<Part>& out) {
    const std::string_view type = block.text_of("type");
    Part part;
    if (type == "text") {
        part.text = block.text_of("text");
    } else if (type == "thinking") {
        part.kind = Kind::kThinking;
        part.text = block.text_of("thinking");
        part.signature = block.text_of("signature");
    } else if (type == "redacted_thinking") {
        part.kind = Kind::kRedacted;
        part.data = block.text_of("data");
    } else if (type == "tool_use") {
        part.kind = Kind::kToolCall;
        part.id = block.text_of("id");
        part.name = block.text_of("name");
        const Node* input = block.find("input");
        part.text = input == nullptr ? "{}" : input->json();
    } else {
        return;  // calls and results of the provider's own tools: their texts follow as text
    }
    out.push_back(std::move(part));
}

std::string MessagesCodec::write_answer(const ChatAnswer& answer, const AnswerFor& to) const {
    std::string out;
    Writer json(out);
    json.object().key("id").string(answer.id.empty() ? to.id : answer.id);
    json.key("type").string("message").key("role").string("assistant");
    json.key("model").string(answer.model.empty() ? to.model : answer.model);
    json.key("content").array();
    const Choice& choice = answer.choices.front();
    for (const Part& part : choice.parts) write_block(json, part);
    json.close_array().key("stop_reason").string(stop_reason(choice.stop));
    json.key("stop_sequence");
    if (choice.stop_sequence.empty()) {
        json.null();
    } else {
        json.string(choice.stop_sequence);
    }
    json.key("usage");
    write_usage(json, answer.usage);
    json.close_object();
    return out;
}

Error MessagesCodec::read_error(int status, std::string_view body) const {
    const auto node = json::parse_node(body);
    return refusal_of(status, node ? &*node : nullptr, &error_of);
}

std::string MessagesCodec::write_error(const Error& error) const {
    std::string out;
    Writer(out)
        .object()
        .key("type")
        .string("error")
        .key("error")
        .object()
        .key("type")
        .string(error_type(error))
        .key("message")
        .string(error.text())
        .close_object()
        .close_object();
    return out;
}

std::string MessagesCodec::write_stream_error(const Error& error) const {
    return "event: error\ndata: " + write_error(error) + "\n\n";
}

}  // namespace leeway::wire::anthropic
