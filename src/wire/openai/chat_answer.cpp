#include "json/write.hpp"
#include "wire/canonical/common.hpp"
#include "wire/openai/chat_codec.hpp"
#include "wire/openai/chat_parts.hpp"
#include "wire/openai/error.hpp"

#include <utility>

namespace leeway::wire::openai {

namespace {

using json::Node;
using json::Writer;
using Kind = Part::Kind;

}  // namespace

StopReason stop_of(std::string_view reason) noexcept {
    if (reason.empty()) return StopReason::kUnset;
    if (reason == "length") return StopReason::kLength;
    if (reason == "tool_calls" || reason == "function_call") return StopReason::kToolUse;
    if (reason == "content_filter") return StopReason::kFilter;
    return StopReason::kEnd;
}

std::string_view finish_reason(StopReason stop) noexcept {
    switch (stop) {
        case StopReason::kUnset:
        case StopReason::kEnd:
        case StopReason::kStopSequence:
        case StopReason::kPause: return "stop";
        case StopReason::kLength:
        case StopReason::kContextWindow: return "length";
        case StopReason::kToolUse: return "tool_calls";
        case StopReason::kFilter:
        case StopReason::kRefusal:
        case StopReason::kMalformedCall: return "content_filter";
    }
    return "stop";
}

void write_usage(Writer& json, const usage::UsageReading& reading) {
    const UsageTotals totals = totals_of(reading.usage);
    json.object().key("prompt_tokens").integer(totals.input);
    json.key("completion_tokens").integer(totals.output);
    json.key("total_tokens").integer(totals.input + totals.output);
    json.key("prompt_tokens_details").object().key("cached_tokens").integer(totals.cached);
    if (totals.cache_write > 0) json.key("cache_write_tokens").integer(totals.cache_write);
    json.key("audio_tokens").integer(totals.audio_input).close_object();
    json.key("completion_tokens_details")
        .object()
        .key("reasoning_tokens")
        .integer(totals.reasoning);
    json.key("audio_tokens").integer(totals.audio_output).close_object().close_object();
}

namespace {

Choice read_choice(const Node& node) {
    Choice choice;
    if (const Node* index = node.find("index")) choice.index = index->integer().value_or(0);
    choice.stop = stop_of(node.text_of("finish_reason"));
    if (const Node* logprobs = node.find("logprobs"); logprobs != nullptr && logprobs->is_object())
        choice.logprobs = logprobs->json();
    const Node* message = node.find("message");
    if (message == nullptr || !message->is_object()) return choice;
    std::string_view thoughts = message->text_of("reasoning_content");
    if (thoughts.empty()) thoughts = message->text_of("reasoning");
    if (!thoughts.empty()) {
        Part part = Part::of_text(std::string(thoughts));
        part.kind = Kind::kThinking;
        choice.parts.push_back(std::move(part));
    }
    const std::string_view text = message->text_of("content");
    if (!text.empty()) choice.parts.push_back(Part::of_text(std::string(text)));
    const std::string_view refusal = message->text_of("refusal");
    if (!refusal.empty()) {
        Part part = Part::of_text(std::string(refusal));
        part.kind = Kind::kRefusal;
        choice.parts.push_back(std::move(part));
        if (choice.stop == StopReason::kEnd) choice.stop = StopReason::kRefusal;
    }
    if (const Node* audio = message->find("audio"); audio != nullptr && audio->is_object()) {
        const std::string_view transcript = audio->text_of("transcript");
        if (text.empty() && !transcript.empty())
            choice.parts.push_back(Part::of_text(std::string(transcript)));
    }
    if (const Node* calls = message->find("tool_calls"); calls != nullptr && calls->is_array()) {
        for (const Node& call : calls->elements) {
            const Node* function = call.is_object() ? call.find("function") : nullptr;
            if (function == nullptr || !function->is_object()) continue;
            Part part;
            part.kind = Kind::kToolCall;
            part.id = call.text_of("id");
            part.name = function->text_of("name");
            part.text = function->text_of("arguments");
            choice.parts.push_back(std::move(part));
        }
    }
    return choice;
}

void write_choice(Writer& json, const Choice& choice) {
    std::string text;
    std::string thoughts;
    std::string refusal;
    bool has_text = false;
    bool calls = false;
    for (const Part& part : choice.parts) {
        if (part.kind == Kind::kText) {
            text += part.text;
            has_text = true;
        }
        if (part.kind == Kind::kThinking) thoughts += part.text;
        if (part.kind == Kind::kRefusal) refusal += part.text;
        calls = calls || part.kind == Kind::kToolCall;
    }
    json.object().key("index").integer(choice.index).key("message").object();
    json.key("role").string("assistant").key("content");
    if (has_text || (!calls && refusal.empty())) {
        json.string(text);
    } else {
        json.null();
    }
    json.key("refusal");
    if (refusal.empty()) {
        json.null();
    } else {
        json.string(refusal);
    }
    if (!thoughts.empty()) json.key("reasoning_content").string(thoughts);
    if (calls) {
        json.key("tool_calls").array();
        for (const Part& part : choice.parts) {
            if (part.kind != Kind::kToolCall) continue;
            json.object().key("id").string(part.id).key("type").string("function");
            json.key("function").object().key("name").string(part.name);
            json.key("arguments").string(part.text.empty() ? "{}" : part.text);
            json.close_object().close_object();
        }
        json.close_array();
    }
    json.close_object().key("logprobs");
    if (choice.logprobs.empty()) {
        json.null();
    } else {
        json.raw(choice.logprobs);
    }
    json.key("finish_reason").string(finish_reason(choice.stop)).close_object();
}

}  // namespace

Result<ChatAnswer> ChatCodec::read_answer(std::string_view body, usage::Flavour flavour) const {
    usage::Extractor extractor(flavour);
    const auto node = read_upstream(body, extractor);
    if (!node) return fail(node.error());
    ChatAnswer answer;
    answer.id = node->text_of("id");
    answer.model = node->text_of("model");
    answer.service_tier = node->text_of("service_tier");
    if (const Node* created = node->find("created"))
        answer.created = created->integer().value_or(0);
    const Node* choices = node->find("choices");
    if (choices == nullptr || !choices->is_array() || choices->elements.empty()) {
        return fail(Error{ErrorCode::kUpstreamInvalid,
                          "the upstream's answer has no choices",
                          {},
                          {},
                          "upstream_invalid_answer"});
    }
    for (const Node& choice : choices->elements) {
        if (choice.is_object()) answer.choices.push_back(read_choice(choice));
    }
    answer.usage = extractor.result();
    return answer;
}

std::string ChatCodec::write_answer(const ChatAnswer& answer, const AnswerFor& to) const {
    std::string out;
    Writer json(out);
    json.object().key("id").string(answer.id.empty() ? to.id : answer.id);
    json.key("object").string("chat.completion");
    json.key("created").integer(answer.created != 0 ? answer.created : to.now_unix_s);
    json.key("model").string(answer.model.empty() ? to.model : answer.model);
    json.key("choices").array();
    for (const Choice& choice : answer.choices) write_choice(json, choice);
    json.close_array();
    if (!answer.service_tier.empty()) json.key("service_tier").string(answer.service_tier);
    if (answer.usage.state != prices::UsageState::kMissing) {
        json.key("usage");
        write_usage(json, answer.usage);
    }
    json.close_object();
    return out;
}

Error error_of(const Node& body, int status) {
    Error error;
    error.code = code_of_status(status);
    const Node* told = body.find("error");
    if (told == nullptr || told->is_null()) told = &body;
    if (told->is_string()) {
        error.message = told->text;
        return error;
    }
    error.message = told->text_of("message");
    error.param = told->text_of("param");
    error.reason = told->text_of("code");
    if (error.reason.empty()) error.reason = told->text_of("type");
    if (const Node* code = told->find("code"); code != nullptr && code->is_number() && status == 0)
        error.code = code_of_status(static_cast<int>(code->integer().value_or(0)));
    return error;
}

Error ChatCodec::read_error(int status, std::string_view body) const {
    const auto node = json::parse_node(body);
    return refusal_of(status, node ? &*node : nullptr, &error_of);
}

std::string ChatCodec::write_error(const Error& error) const { return render_error(error); }

std::string ChatCodec::write_stream_error(const Error& error) const {
    return render_stream_error(error);
}

}  // namespace leeway::wire::openai
