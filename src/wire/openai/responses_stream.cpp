#include "json/write.hpp"
#include "wire/canonical/common.hpp"
#include "wire/openai/chat_parts.hpp"
#include "wire/openai/responses_codec.hpp"
#include "wire/openai/responses_parts.hpp"

#include <map>
#include <optional>
#include <utility>

namespace leeway::wire::openai {
namespace {

using json::Node;
using json::Writer;
using Kind = StreamEvent::Kind;

class Reader final : public StreamReader {
public:
    explicit Reader(usage::Flavour flavour) : usage_(flavour) {}
    Result<void> read(const SseEvent& event, std::vector<StreamEvent>& out) override;

private:
    void delta(Kind kind, const Node& node, std::vector<StreamEvent>& out);
    void item(const Node& node, std::vector<StreamEvent>& out);
    void finish(const Node& node, std::string_view type, std::vector<StreamEvent>& out);
    std::uint32_t part_of(const Node& node);

    usage::Extractor usage_;
    std::map<std::pair<std::int64_t, std::int64_t>, std::uint32_t> parts_;
    bool has_call_ = false;
    bool refused_ = false;
};

std::int64_t integer(const Node& node, std::string_view key) {
    const Node* found = node.find(key);
    return found == nullptr ? 0 : found->integer().value_or(0);
}

std::uint32_t Reader::part_of(const Node& node) {
    const std::string_view type = node.text_of("type");
    const bool summary = type.find("summary") != std::string_view::npos;
    const auto key =
        std::pair(integer(node, "output_index"), summary ? 0 : integer(node, "content_index"));
    return parts_.emplace(key, static_cast<std::uint32_t>(parts_.size())).first->second;
}

void Reader::delta(Kind kind, const Node& node, std::vector<StreamEvent>& out) {
    const std::string_view text = node.text_of("delta");
    if (text.empty()) return;
    refused_ = refused_ || kind == Kind::kRefusal;
    StreamEvent event;
    event.kind = kind;
    event.part = part_of(node);
    event.text = text;
    out.push_back(std::move(event));
}

void Reader::item(const Node& node, std::vector<StreamEvent>& out) {
    const Node* item = node.find("item");
    if (item == nullptr || !item->is_object() || item->text_of("type") != "function_call") return;
    has_call_ = true;
    StreamEvent event;
    event.kind = Kind::kToolCall;
    event.part = part_of(node);
    event.id = item->text_of("call_id");
    event.name = item->text_of("name");
    out.push_back(std::move(event));
}

void Reader::finish(const Node& node, std::string_view type, std::vector<StreamEvent>& out) {
    const Node* response = node.find("response");
    const Node none = Node::object();
    if (response == nullptr || !response->is_object()) response = &none;
    if (type == "response.failed" || type == "response.cancelled") {
        StreamEvent failed;
        failed.kind = Kind::kError;
        failed.error = error_of(*response, 0);
        failed.error.code = ErrorCode::kUpstreamInvalid;
        if (failed.error.message.empty()) failed.error.message = "the upstream's response failed";
        out.push_back(std::move(failed));
        return;
    }
    StreamEvent stop;
    stop.kind = Kind::kStop;
    stop.stop = response_stop(*response, has_call_);
    if (refused_ && stop.stop == StopReason::kEnd) stop.stop = StopReason::kRefusal;
    out.push_back(std::move(stop));
    StreamEvent told;
    told.kind = Kind::kUsage;
    told.usage = usage_.result();
    out.push_back(std::move(told));
    StreamEvent end;
    end.kind = Kind::kEnd;
    out.push_back(std::move(end));
}

Result<void> Reader::read(const SseEvent& event, std::vector<StreamEvent>& out) {
    if (!event.has_data || event.data == "[DONE]") return {};
    const auto node = read_upstream(event.data, usage_);
    if (!node) return fail(node.error());
    const std::string_view type = node->text_of("type");
    if (type == "response.output_text.delta") {
        delta(Kind::kText, *node, out);
    } else if (type == "response.function_call_arguments.delta") {
        delta(Kind::kToolArguments, *node, out);
    } else if (type == "response.output_item.added") {
        item(*node, out);
    } else if (type == "response.refusal.delta") {
        delta(Kind::kRefusal, *node, out);
    } else if (type == "response.reasoning_summary_text.delta" ||
               type == "response.reasoning_text.delta") {
        delta(Kind::kThinking, *node, out);
    } else if (type == "response.created") {
        StreamEvent start;
        if (const Node* response = node->find("response");
            response != nullptr && response->is_object()) {
            start.id = response->text_of("id");
            start.model = response->text_of("model");
        }
        out.push_back(std::move(start));
    } else if (type == "response.completed" || type == "response.incomplete" ||
               type == "response.failed" || type == "response.cancelled") {
        finish(*node, type, out);
    } else if (type == "error") {
        StreamEvent failed;
        failed.kind = Kind::kError;
        failed.error = error_of(*node, 0);
        failed.error.code = ErrorCode::kUpstreamInvalid;
        out.push_back(std::move(failed));
    }
    return {};
}

class EventWriter final : public StreamWriter {
public:
    explicit EventWriter(const AnswerFor& to)
        : id_(to.id),
          model_(to.model),
          previous_(to.previous),
          created_(to.now_unix_s),
          stored_(to.stored) {}
    void write(const StreamEvent& event, std::string& out) override;

private:
    /// Opens an event; the caller adds members and calls `close`.
    Writer open(std::string_view type, std::string& out);
    static void close(Writer& json, std::string& out) {
        json.close_object();
        out += "\n\n";
    }
    Writer item_event(std::string_view type, std::string& out);
    void whole(std::string_view type, std::string_view status, const Error* error,
               std::string& out);
    void start(std::string& out);
    void open_item(const StreamEvent& event, Part::Kind kind, std::string& out);
    void close_item(std::string& out);
    void text_part(std::string_view type, bool with_text, std::string& out);
    void add(const StreamEvent& event, Part::Kind kind, std::string_view type, std::string& out);
    void finish(std::string& out);

    std::string id_;
    std::string model_;
    std::string previous_;
    std::int64_t created_;
    bool stored_;
    std::int64_t sequence_ = 0;
    bool started_ = false;
    bool failed_ = false;
    std::optional<std::uint32_t> open_;  // the part whose item is open: the last of items_
    std::uint32_t last_part_ = 0;
    std::vector<Part> items_;
    StopReason stop_ = StopReason::kUnset;
    usage::UsageReading usage_;
};

Writer EventWriter::open(std::string_view type, std::string& out) {
    out.append("event: ").append(type).append("\ndata: ");
    Writer json(out);
    json.object().key("type").string(type).key("sequence_number").integer(sequence_++);
    return json;
}

/// An event about the item that is open.
Writer EventWriter::item_event(std::string_view type, std::string& out) {
    Writer json = open(type, out);
    const std::size_t number = items_.size() - 1;
    json.key("item_id").string(item_id(items_.back().kind, id_, number));
    json.key("output_index").integer(static_cast<std::int64_t>(number));
    json.key(items_.back().kind == Part::Kind::kThinking ? "summary_index" : "content_index")
        .integer(0);
    return json;
}

void EventWriter::whole(std::string_view type, std::string_view status, const Error* error,
                        std::string& out) {
    Writer json = open(type, out);
    json.key("response");
    ResponseObject response;
    response.id = id_;
    response.model = model_;
    response.created = created_;
    response.status = status;
    response.stop = stop_;
    response.items = &items_;
    response.usage = &usage_;
    response.error = error;
    response.previous = previous_;
    response.stored = stored_ && error == nullptr;
    write_response(json, response);
    close(json, out);
}

void EventWriter::start(std::string& out) {
    if (std::exchange(started_, true)) return;
    whole("response.created", "in_progress", nullptr, out);
    whole("response.in_progress", "in_progress", nullptr, out);
}

/// `content_part.added` and `.done`, or the same of a reasoning summary.
void EventWriter::text_part(std::string_view type, bool with_text, std::string& out) {
    const Part& part = items_.back();
    Writer json = item_event(type, out);
    json.key("part").object().key("type");
    const std::string_view text = with_text ? std::string_view(part.text) : std::string_view();
    if (part.kind == Part::Kind::kThinking) {
        json.string("summary_text").key("text").string(text);
    } else if (part.kind == Part::Kind::kRefusal) {
        json.string("refusal").key("refusal").string(text);
    } else {
        json.string("output_text").key("text").string(text);
        json.key("annotations").array().close_array().key("logprobs").array().close_array();
    }
    json.close_object();
    close(json, out);
}

void EventWriter::open_item(const StreamEvent& event, Part::Kind kind, std::string& out) {
    start(out);
    if (open_ == event.part || failed_) return;
    close_item(out);
    if (!items_.empty() && event.part <= last_part_) {
        StreamEvent error;
        error.kind = Kind::kError;
        error.error = interleaved_calls();
        write(error, out);
        return;
    }
    open_ = last_part_ = event.part;
    Part& part = items_.emplace_back();
    part.kind = kind;
    part.id = event.id;
    part.name = event.name;
    const std::size_t number = items_.size() - 1;
    Writer json = open("response.output_item.added", out);
    json.key("output_index").integer(static_cast<std::int64_t>(number)).key("item");
    write_output_item(json, part, item_id(kind, id_, number), "in_progress");
    close(json, out);
    if (kind == Part::Kind::kThinking)
        text_part("response.reasoning_summary_part.added", false, out);
    if (kind == Part::Kind::kText || kind == Part::Kind::kRefusal)
        text_part("response.content_part.added", false, out);
}

void EventWriter::close_item(std::string& out) {
    if (!open_) return;
    open_.reset();
    const Part& part = items_.back();
    const std::size_t number = items_.size() - 1;
    std::string_view type = "response.output_text.done";
    std::string_view key = "text";
    if (part.kind == Part::Kind::kToolCall) {
        type = "response.function_call_arguments.done";
        key = "arguments";
    } else if (part.kind == Part::Kind::kRefusal) {
        type = "response.refusal.done";
        key = "refusal";
    } else if (part.kind == Part::Kind::kThinking) {
        type = "response.reasoning_summary_text.done";
    }
    {
        Writer json = item_event(type, out);
        if (part.kind == Part::Kind::kToolCall) json.key("name").string(part.name);
        json.key(key).string(part.text);
        if (part.kind == Part::Kind::kText) json.key("logprobs").array().close_array();
        close(json, out);
    }
    if (part.kind == Part::Kind::kThinking)
        text_part("response.reasoning_summary_part.done", true, out);
    if (part.kind == Part::Kind::kText || part.kind == Part::Kind::kRefusal)
        text_part("response.content_part.done", true, out);
    Writer json = open("response.output_item.done", out);
    json.key("output_index").integer(static_cast<std::int64_t>(number)).key("item");
    write_output_item(json, part, item_id(part.kind, id_, number), "completed");
    close(json, out);
}

void EventWriter::add(const StreamEvent& event, Part::Kind kind, std::string_view type,
                      std::string& out) {
    open_item(event, kind, out);
    if (failed_) return;
    items_.back().text += event.text;
    Writer json = item_event(type, out);
    json.key("delta").string(event.text);
    if (kind == Part::Kind::kText) json.key("logprobs").array().close_array();
    close(json, out);
}

void EventWriter::finish(std::string& out) {
    start(out);
    close_item(out);
    const bool cut = !ends_whole(stop_, items_);
    whole(cut ? "response.incomplete" : "response.completed", cut ? "incomplete" : "completed",
          nullptr, out);
}

void EventWriter::write(const StreamEvent& event, std::string& out) {
    if (failed_) return;
    switch (event.kind) {
        case Kind::kStart:
            if (!event.id.empty()) id_ = event.id;
            if (!event.model.empty()) model_ = event.model;
            start(out);
            return;
        case Kind::kText: add(event, Part::Kind::kText, "response.output_text.delta", out); return;
        case Kind::kRefusal:
            add(event, Part::Kind::kRefusal, "response.refusal.delta", out);
            return;
        case Kind::kThinking:
            add(event, Part::Kind::kThinking, "response.reasoning_summary_text.delta", out);
            return;
        case Kind::kSignature:
        case Kind::kRedacted: return;
        case Kind::kToolCall: open_item(event, Part::Kind::kToolCall, out); return;
        case Kind::kToolArguments:
            add(event, Part::Kind::kToolCall, "response.function_call_arguments.delta", out);
            return;
        case Kind::kStop: stop_ = event.stop; return;
        case Kind::kUsage: usage_ = event.usage; return;
        case Kind::kError:
            start(out);
            failed_ = true;
            whole("response.failed", "failed", &event.error, out);
            return;
        case Kind::kEnd: finish(out); return;
    }
}

}  // namespace

std::unique_ptr<StreamReader> ResponsesCodec::stream_reader(usage::Flavour flavour) const {
    return std::make_unique<Reader>(flavour);
}

std::unique_ptr<StreamWriter> ResponsesCodec::stream_writer(const AnswerFor& to) const {
    return std::make_unique<EventWriter>(to);
}

}  // namespace leeway::wire::openai
