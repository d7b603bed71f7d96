#include "wire/bedrock/converse_codec.hpp"
#include "wire/bedrock/event_stream.hpp"
#include "wire/canonical/common.hpp"

#include <optional>
#include <utility>

namespace leeway::wire::bedrock {
namespace {

using json::Node;
using Kind = StreamEvent::Kind;

void read_reasoning(const Node& reasoning, std::vector<Part>& out) {
    Part part;
    part.kind = Part::Kind::kThinking;
    if (const Node* told = reasoning.find("reasoningText"); told != nullptr && told->is_object()) {
        part.text = told->text_of("text");
        part.signature = told->text_of("signature");
    } else {
        part.kind = Part::Kind::kRedacted;
        part.data = reasoning.text_of("redactedContent");
    }
    out.push_back(std::move(part));
}

void read_block(const Node& block, std::vector<Part>& out) {
    if (const Node* text = block.find("text"); text != nullptr && text->is_string()) {
        out.push_back(Part::of_text(text->text));
    } else if (const Node* call = block.find("toolUse"); call != nullptr && call->is_object()) {
        Part part;
        part.kind = Part::Kind::kToolCall;
        part.id = call->text_of("toolUseId");
        part.name = call->text_of("name");
        const Node* input = call->find("input");
        part.text = input == nullptr ? "{}" : input->json();
        out.push_back(std::move(part));
    } else if (const Node* thought = block.find("reasoningContent");
               thought != nullptr && thought->is_object()) {
        read_reasoning(*thought, out);
    }
}

/// The class of what is told in a stream by its name alone.
ErrorCode code_of_exception(std::string_view name) noexcept {
    if (name == "throttlingException") return ErrorCode::kRateLimited;
    if (name == "serviceUnavailableException") return ErrorCode::kUnavailable;
    if (name == "validationException") return ErrorCode::kInvalidRequest;
    if (name == "modelTimeoutException") return ErrorCode::kUpstreamTimeout;
    return ErrorCode::kUpstreamInvalid;
}

class Reader final : public StreamReader {
public:
    explicit Reader(usage::Flavour flavour) : usage_(flavour) {}
    Result<void> read(const openai::SseEvent& event, std::vector<StreamEvent>& out) override;
    void end(std::vector<StreamEvent>& out) override;

private:
    void block_start(const Node& node, std::vector<StreamEvent>& out);
    void block_delta(const Node& node, std::vector<StreamEvent>& out);
    void add(Kind kind, std::uint32_t part, std::string_view text, std::vector<StreamEvent>& out);

    usage::Extractor usage_;
    std::optional<std::uint32_t> bare_call_;  // a call that has no arguments yet
    bool stopped_ = false;
    bool ended_ = false;
};

std::uint32_t part_of(const Node& node) {
    const Node* index = node.find("contentBlockIndex");
    return index == nullptr ? 0 : static_cast<std::uint32_t>(index->integer().value_or(0));
}

void Reader::add(Kind kind, std::uint32_t part, std::string_view text,
                 std::vector<StreamEvent>& out) {
    StreamEvent& event = out.emplace_back();
    event.kind = kind;
    event.part = part;
    event.text = text;
}

void Reader::block_start(const Node& node, std::vector<StreamEvent>& out) {
    const Node* start = node.find("start");
    const Node* call = start == nullptr ? nullptr : start->find("toolUse");
    if (call == nullptr) return;
    const std::uint32_t part = part_of(node);
    add(Kind::kToolCall, part, {}, out);
    out.back().id = call->text_of("toolUseId");
    out.back().name = call->text_of("name");
    bare_call_ = part;
}

void Reader::block_delta(const Node& node, std::vector<StreamEvent>& out) {
    const Node* change = node.find("delta");
    if (change == nullptr || !change->is_object()) return;
    const std::uint32_t part = part_of(node);
    if (const Node* text = change->find("text"); text != nullptr && text->is_string())
        add(Kind::kText, part, text->text, out);
    if (const Node* call = change->find("toolUse");
        call != nullptr && !call->text_of("input").empty()) {
        add(Kind::kToolArguments, part, call->text_of("input"), out);
        bare_call_.reset();
    }
    const Node* thought = change->find("reasoningContent");
    if (thought == nullptr) return;
    if (!thought->text_of("text").empty())
        add(Kind::kThinking, part, thought->text_of("text"), out);
    if (!thought->text_of("signature").empty())
        add(Kind::kSignature, part, thought->text_of("signature"), out);
    if (!thought->text_of("redactedContent").empty())
        add(Kind::kRedacted, part, thought->text_of("redactedContent"), out);
}

Result<void> Reader::read(const openai::SseEvent& event, std::vector<StreamEvent>& out) {
    if (!event.has_data || ended_) return {};
    if (event.type == "error" || event.type.ends_with("Exception")) {
        const auto node = json::parse_node(event.data);
        const bool told = node && node->is_object();
        StreamEvent& failed = out.emplace_back();
        failed.kind = Kind::kError;
        failed.error = Error{code_of_exception(event.type),
                             std::string(told ? node->text_of("message") : event.data),
                             {},
                             {},
                             std::string(event.type)};
        return {};
    }
    const auto node = read_upstream(event.data, usage_);
    if (!node) return fail(node.error());
    if (event.type == "contentBlockDelta") {
        block_delta(*node, out);
    } else if (event.type == "contentBlockStart") {
        block_start(*node, out);
    } else if (event.type == "contentBlockStop") {
        // A call without arguments has no deltas there; other dialects say so with an empty object.
        if (bare_call_ == part_of(*node)) {
            add(Kind::kToolArguments, *std::exchange(bare_call_, std::nullopt), "{}", out);
        }
    } else if (event.type == "messageStart") {
        out.emplace_back();
    } else if (event.type == "messageStop") {
        stopped_ = true;
        add(Kind::kStop, 0, {}, out);
        out.back().stop = stop_of(node->text_of("stopReason"));
    } else if (event.type == "metadata") {
        add(Kind::kUsage, 0, {}, out);
        out.back().usage = usage_.result();
        end(out);  // nothing follows it
    }
    return {};
}

void Reader::end(std::vector<StreamEvent>& out) {
    if (stopped_ && !std::exchange(ended_, true)) add(Kind::kEnd, 0, {}, out);
}

}  // namespace

StopReason stop_of(std::string_view reason) noexcept {
    if (reason.empty()) return StopReason::kUnset;
    if (reason == "max_tokens") return StopReason::kLength;
    if (reason == "tool_use") return StopReason::kToolUse;
    if (reason == "stop_sequence") return StopReason::kStopSequence;
    if (reason == "guardrail_intervened" || reason == "content_filtered")
        return StopReason::kFilter;
    if (reason == "model_context_window_exceeded") return StopReason::kContextWindow;
    if (reason == "malformed_tool_use" || reason == "malformed_model_output")
        return StopReason::kMalformedCall;
    return StopReason::kEnd;
}

Result<ChatAnswer> ConverseCodec::read_answer(std::string_view body, usage::Flavour flavour) const {
    usage::Extractor extractor(flavour);
    const auto node = read_upstream(body, extractor);
    if (!node) return fail(node.error());
    const Node* output = node->find("output");
    const Node* message = output == nullptr ? nullptr : output->find("message");
    const Node* content = message == nullptr ? nullptr : message->find("content");
    if (content == nullptr || !content->is_array()) {
        return fail(Error{ErrorCode::kUpstreamInvalid,
                          "the upstream's answer has no content",
                          {},
                          {},
                          "upstream_invalid_answer"});
    }
    ChatAnswer answer;
    Choice choice;
    choice.stop = stop_of(node->text_of("stopReason"));
    for (const Node& block : content->elements) {
        if (block.is_object()) read_block(block, choice.parts);
    }
    answer.choices.push_back(std::move(choice));
    answer.usage = extractor.result();
    return answer;
}

std::unique_ptr<openai::EventScanner> ConverseCodec::scanner() const {
    return std::make_unique<EventStreamScanner>();
}

std::unique_ptr<StreamReader> ConverseCodec::stream_reader(usage::Flavour flavour) const {
    return std::make_unique<Reader>(flavour);
}

Error ConverseCodec::read_error(int status, std::string_view body) const {
    Error error;
    error.code = code_of_status(status);
    const auto node = json::parse_node(body);
    if (node && node->is_object()) {
        // Services and what stands before them spell it differently.
        error.message = node->text_of(node->find("message") != nullptr ? "message" : "Message");
        const std::string_view type = node->text_of("__type");
        error.reason = type.substr(type.find('#') + 1);
    }
    if (error.message.empty())
        error.message = "the upstream answered with status " + std::to_string(status);
    return error;
}

}  // namespace leeway::wire::bedrock
