#include "wire/canonical/common.hpp"
#include "wire/cohere/chat_codec.hpp"

#include <utility>

namespace leeway::wire::cohere {
namespace {

using json::Node;
using Kind = StreamEvent::Kind;

StopReason stop_of(std::string_view reason) noexcept {
    if (reason.empty()) return StopReason::kUnset;
    if (reason == "MAX_TOKENS") return StopReason::kLength;
    if (reason == "STOP_SEQUENCE") return StopReason::kStopSequence;
    if (reason == "TOOL_CALL") return StopReason::kToolUse;
    if (reason == "ERROR_TOXIC") return StopReason::kFilter;
    return StopReason::kEnd;
}

/// Whether the answer ended because the server failed.
bool is_failure(std::string_view reason) noexcept {
    return reason == "ERROR" || reason == "TIMEOUT";
}

Error failure_of(std::string_view reason, std::string_view told) {
    const bool late = reason == "TIMEOUT";
    return Error{late ? ErrorCode::kUpstreamTimeout : ErrorCode::kUpstreamInvalid,
                 told.empty()
                     ? "the upstream ended its answer with finish_reason " + std::string(reason)
                     : std::string(told),
                 {},
                 {},
                 late ? "timeout" : "upstream_error"};
}

/// The object under `key` of `node`, which may be null; or null.
const Node* object_under(const Node* node, std::string_view key) {
    const Node* found = node != nullptr && node->is_object() ? node->find(key) : nullptr;
    return found != nullptr && found->is_object() ? found : nullptr;
}

void read_call(const Node& node, std::vector<Part>& out) {
    const Node* function = object_under(&node, "function");
    if (function == nullptr) return;
    Part part;
    part.kind = Part::Kind::kToolCall;
    part.id = node.text_of("id");
    part.name = function->text_of("name");
    part.text = function->text_of("arguments");
    if (part.text.empty()) part.text = "{}";
    out.push_back(std::move(part));
}

void read_message(const Node& message, std::vector<Part>& out) {
    const Node* content = message.find("content");
    if (content != nullptr && content->is_string()) {
        out.push_back(Part::of_text(content->text));
    } else if (content != nullptr && content->is_array()) {
        for (const Node& block : content->elements) {
            const bool thought = block.text_of("type") == "thinking";
            Part part = Part::of_text(std::string(block.text_of(thought ? "thinking" : "text")));
            if (thought) part.kind = Part::Kind::kThinking;
            if (!part.text.empty()) out.push_back(std::move(part));
        }
    }
    if (const std::string_view plan = message.text_of("tool_plan"); !plan.empty())
        out.push_back(Part::of_text(std::string(plan)));
    const Node* calls = message.find("tool_calls");
    if (calls == nullptr || !calls->is_array()) return;
    for (const Node& call : calls->elements) read_call(call, out);
}

/// Blocks of content and calls have numbers of their own there; the parts of an answer are numbered as they come.
class Reader final : public StreamReader {
public:
    explicit Reader(usage::Flavour flavour) : usage_(flavour) {}
    Result<void> read(const openai::SseEvent& event, std::vector<StreamEvent>& out) override;

private:
    void add(Kind kind, std::string_view text, std::vector<StreamEvent>& out);
    void content(const Node* message, std::vector<StreamEvent>& out);
    void call(const Node* message, bool first, std::vector<StreamEvent>& out);
    void message_end(const Node& node, std::vector<StreamEvent>& out);

    usage::Extractor usage_;
    std::uint32_t parts_ = 0;  // so far
    Kind open_ = Kind::kEnd;  // what the last of them is
    bool bare_call_ = false;  // it is a call that has no arguments yet
    bool ended_ = false;
};

void Reader::add(Kind kind, std::string_view text, std::vector<StreamEvent>& out) {
    if (kind == Kind::kText || kind == Kind::kThinking) {
        if (text.empty()) return;
        if (open_ != kind) ++parts_;
        open_ = kind;
    }
    StreamEvent& event = out.emplace_back();
    event.kind = kind;
    event.part = parts_ == 0 ? 0 : parts_ - 1;
    event.text = text;
}

void Reader::content(const Node* message, std::vector<StreamEvent>& out) {
    const Node* block = object_under(message, "content");
    if (block == nullptr) return;
    add(Kind::kThinking, block->text_of("thinking"), out);
    add(Kind::kText, block->text_of("text"), out);
}

void Reader::call(const Node* message, bool first, std::vector<StreamEvent>& out) {
    const Node* told = object_under(message, "tool_calls");
    const Node* function = object_under(told, "function");
    if (first) {
        ++parts_;
        open_ = Kind::kToolCall;
        bare_call_ = true;
        add(Kind::kToolCall, {}, out);
        if (told != nullptr) out.back().id = told->text_of("id");
        if (function != nullptr) out.back().name = function->text_of("name");
    }
    if (function == nullptr || open_ != Kind::kToolCall) return;
    const std::string_view arguments = function->text_of("arguments");
    if (arguments.empty()) return;
    bare_call_ = false;
    add(Kind::kToolArguments, arguments, out);
}

void Reader::message_end(const Node& node, std::vector<StreamEvent>& out) {
    ended_ = true;
    const Node* change = object_under(&node, "delta");
    const std::string_view reason =
        change == nullptr ? std::string_view() : change->text_of("finish_reason");
    if (is_failure(reason)) {
        add(Kind::kError, {}, out);
        out.back().error = failure_of(reason, change->text_of("error"));
        return;
    }
    add(Kind::kStop, {}, out);
    out.back().stop = reason.empty() ? StopReason::kEnd : stop_of(reason);
    add(Kind::kUsage, {}, out);
    out.back().usage = usage_.result();
    add(Kind::kEnd, {}, out);
}

Result<void> Reader::read(const openai::SseEvent& event, std::vector<StreamEvent>& out) {
    if (!event.has_data || ended_ || event.data == "[DONE]") return {};
    const auto node = read_upstream(event.data, usage_);
    if (!node) return fail(node.error());
    const std::string_view type = node->text_of("type");
    const Node* message = object_under(object_under(&*node, "delta"), "message");
    if (type == "content-delta" || type == "content-start") {
        content(message, out);
    } else if (type == "tool-plan-delta") {
        if (message != nullptr) add(Kind::kText, message->text_of("tool_plan"), out);
    } else if (type == "tool-call-start" || type == "tool-call-delta") {
        call(message, type == "tool-call-start", out);
    } else if (type == "tool-call-end") {
        // Other dialects say so with an empty object.
        if (std::exchange(bare_call_, false)) add(Kind::kToolArguments, "{}", out);
    } else if (type == "message-start") {
        add(Kind::kStart, {}, out);
        out.back().id = node->text_of("id");
    } else if (type == "message-end") {
        message_end(*node, out);
    } else if (type.empty() && !node->text_of("message").empty()) {
        ended_ = true;
        add(Kind::kError, {}, out);
        out.back().error = failure_of("ERROR", node->text_of("message"));
    }
    return {};
}

}  // namespace

Result<ChatAnswer> ChatCodec::read_answer(std::string_view body, usage::Flavour flavour) const {
    usage::Extractor extractor(flavour);
    const auto node = read_upstream(body, extractor);
    if (!node) return fail(node.error());
    const std::string_view reason = node->text_of("finish_reason");
    if (is_failure(reason)) return fail(failure_of(reason, {}));
    const Node* message = object_under(&*node, "message");
    if (message == nullptr) {
        return fail(Error{ErrorCode::kUpstreamInvalid,
                          "the upstream's answer has no message",
                          {},
                          {},
                          "upstream_invalid_answer"});
    }
    ChatAnswer answer;
    answer.id = node->text_of("id");
    Choice choice;
    choice.stop = stop_of(reason);
    read_message(*message, choice.parts);
    answer.choices.push_back(std::move(choice));
    answer.usage = extractor.result();
    return answer;
}

std::unique_ptr<StreamReader> ChatCodec::stream_reader(usage::Flavour flavour) const {
    return std::make_unique<Reader>(flavour);
}

Error ChatCodec::read_error(int status, std::string_view body) const {
    Error error;
    error.code = code_of_status(status);
    const auto node = json::parse_node(body);
    if (node && node->is_object()) error.message = node->text_of("message");
    if (error.message.empty())
        error.message = "the upstream answered with status " + std::to_string(status);
    return error;
}

}  // namespace leeway::wire::cohere
