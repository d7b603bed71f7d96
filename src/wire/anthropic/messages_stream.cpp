#include "json/write.hpp"
#include "wire/anthropic/blocks.hpp"
#include "wire/anthropic/messages_codec.hpp"
#include "wire/canonical/common.hpp"

#include <optional>
#include <utility>

namespace leeway::wire::anthropic {
namespace {

using json::Node;
using json::Writer;
using Kind = StreamEvent::Kind;

class Reader final : public StreamReader {
public:
    explicit Reader(usage::Flavour flavour) : usage_(flavour) {}
    Result<void> read(const openai::SseEvent& event, std::vector<StreamEvent>& out) override;

private:
    void block_start(const Node& node, std::vector<StreamEvent>& out);
    void block_delta(const Node& node, std::vector<StreamEvent>& out);
    void block_stop(const Node& node, std::vector<StreamEvent>& out);
    void message_delta(const Node& node, std::vector<StreamEvent>& out);

    usage::Extractor usage_;
    std::optional<std::uint32_t> bare_call_;  // a call that has no arguments yet
};

std::uint32_t part_of(const Node& node) {
    const Node* index = node.find("index");
    return index == nullptr ? 0 : static_cast<std::uint32_t>(index->integer().value_or(0));
}

StreamEvent delta(Kind kind, std::uint32_t part, std::string_view text) {
    StreamEvent event;
    event.kind = kind;
    event.part = part;
    event.text = text;
    return event;
}

void Reader::block_start(const Node& node, std::vector<StreamEvent>& out) {
    const Node* block = node.find("content_block");
    if (block == nullptr || !block->is_object()) return;
    const std::uint32_t part = part_of(node);
    const std::string_view type = block->text_of("type");
    if (type == "tool_use") {
        StreamEvent event = delta(Kind::kToolCall, part, {});
        event.id = block->text_of("id");
        event.name = block->text_of("name");
        out.push_back(std::move(event));
        bare_call_ = part;
        // Compatible servers tell the whole input at once.
        const Node* input = block->find("input");
        if (input != nullptr && input->is_object() && !input->members.empty()) {
            out.push_back(delta(Kind::kToolArguments, part, input->json()));
            bare_call_.reset();
        }
    } else if (type == "redacted_thinking") {
        out.push_back(delta(Kind::kRedacted, part, block->text_of("data")));
    } else if (type == "text" && !block->text_of("text").empty()) {
        out.push_back(delta(Kind::kText, part, block->text_of("text")));
    } else if (type == "thinking" && !block->text_of("thinking").empty()) {
        out.push_back(delta(Kind::kThinking, part, block->text_of("thinking")));
    }
}

void Reader::block_delta(const Node& node, std::vector<StreamEvent>& out) {
    const Node* change = node.find("delta");
    if (change == nullptr || !change->is_object()) return;
    const std::uint32_t part = part_of(node);
    const std::string_view type = change->text_of("type");
    if (type == "text_delta") out.push_back(delta(Kind::kText, part, change->text_of("text")));
    if (type == "thinking_delta")
        out.push_back(delta(Kind::kThinking, part, change->text_of("thinking")));
    if (type == "signature_delta")
        out.push_back(delta(Kind::kSignature, part, change->text_of("signature")));
    if (type == "input_json_delta" && !change->text_of("partial_json").empty()) {
        out.push_back(delta(Kind::kToolArguments, part, change->text_of("partial_json")));
        bare_call_.reset();
    }
}

/// A call without arguments has no deltas there; other dialects say so with an empty object.
void Reader::block_stop(const Node& node, std::vector<StreamEvent>& out) {
    if (bare_call_ != part_of(node)) return;
    bare_call_.reset();
    out.push_back(delta(Kind::kToolArguments, part_of(node), "{}"));
}

void Reader::message_delta(const Node& node, std::vector<StreamEvent>& out) {
    const Node* change = node.find("delta");
    if (change != nullptr && change->is_object()) {
        const StopReason stop = stop_of(change->text_of("stop_reason"));
        if (stop != StopReason::kUnset) {
            StreamEvent event = delta(Kind::kStop, 0, change->text_of("stop_sequence"));
            event.stop = stop;
            out.push_back(std::move(event));
        }
    }
    StreamEvent told;
    told.kind = Kind::kUsage;
    told.usage = usage_.result();
    out.push_back(std::move(told));
}

Result<void> Reader::read(const openai::SseEvent& event, std::vector<StreamEvent>& out) {
    if (!event.has_data) return {};
    const auto node = read_upstream(event.data, usage_);
    if (!node) return fail(node.error());
    const std::string_view type = node->text_of("type");
    if (type == "content_block_delta") {
        block_delta(*node, out);
    } else if (type == "content_block_start") {
        block_start(*node, out);
    } else if (type == "content_block_stop") {
        block_stop(*node, out);
    } else if (type == "message_start") {
        StreamEvent start;
        if (const Node* message = node->find("message");
            message != nullptr && message->is_object()) {
            start.id = message->text_of("id");
            start.model = message->text_of("model");
        }
        out.push_back(std::move(start));
    } else if (type == "message_delta") {
        message_delta(*node, out);
    } else if (type == "message_stop") {
        StreamEvent end;
        end.kind = Kind::kEnd;
        out.push_back(std::move(end));
    } else if (type == "error") {
        StreamEvent failed;
        failed.kind = Kind::kError;
        failed.error = error_of(*node, 0);
        out.push_back(std::move(failed));
    }
    return {};
}

class EventWriter final : public StreamWriter {
public:
    explicit EventWriter(const AnswerFor& to) : id_(to.id), model_(to.model) {}
    void write(const StreamEvent& event, std::string& out) override;

private:
    enum class Block : std::uint8_t { kText, kThinking, kRedacted, kToolUse };

    void start(std::string& out);
    void open(const StreamEvent& event, Block block, std::string& out);
    void close(std::string& out);
    void delta(const StreamEvent& event, std::string_view type, std::string_view key,
               std::string& out);
    void finish(std::string& out);
    void fail(std::string& out);
    static void begin(std::string& out, std::string_view type) {
        out.append("event: ").append(type).append("\ndata: ");
    }

    std::string id_;
    std::string model_;
    bool started_ = false;
    std::optional<std::uint32_t> part_;  // whose block is open
    std::uint32_t last_part_ = 0;
    std::int64_t index_ = -1;
    bool failed_ = false;
    StopReason stop_ = StopReason::kUnset;
    std::string stop_sequence_;
    usage::UsageReading usage_;
};

void EventWriter::start(std::string& out) {
    if (std::exchange(started_, true)) return;
    begin(out, "message_start");
    Writer json(out);
    json.object().key("type").string("message_start").key("message").object();
    json.key("id").string(id_).key("type").string("message").key("role").string("assistant");
    json.key("model").string(model_).key("content").array().close_array();
    json.key("stop_reason").null().key("stop_sequence").null().key("usage");
    write_usage(json, usage_);
    json.close_object().close_object();
    out += "\n\n";
}

void EventWriter::open(const StreamEvent& event, Block block, std::string& out) {
    start(out);
    if (part_ == event.part) return;
    close(out);
    if (index_ >= 0 && event.part <= last_part_) {
        // Blocks follow one another in this dialect: a piece of one that is closed has no place, and what is
        // not told whole must not look whole.
        fail(out);
        return;
    }
    part_ = last_part_ = event.part;
    ++index_;
    begin(out, "content_block_start");
    Writer json(out);
    json.object().key("type").string("content_block_start").key("index").integer(index_);
    json.key("content_block").object().key("type");
    switch (block) {
        case Block::kText: json.string("text").key("text").string(""); break;
        case Block::kThinking:
            json.string("thinking").key("thinking").string("").key("signature").string("");
            break;
        case Block::kRedacted:
            json.string("redacted_thinking").key("data").string(event.text);
            break;
        case Block::kToolUse:
            json.string("tool_use").key("id").string(event.id).key("name").string(event.name);
            json.key("input").object().close_object();
            break;
    }
    json.close_object().close_object();
    out += "\n\n";
}

void EventWriter::close(std::string& out) {
    if (!part_) return;
    part_.reset();
    begin(out, "content_block_stop");
    Writer(out)
        .object()
        .key("type")
        .string("content_block_stop")
        .key("index")
        .integer(index_)
        .close_object();
    out += "\n\n";
}

void EventWriter::delta(const StreamEvent& event, std::string_view type, std::string_view key,
                        std::string& out) {
    begin(out, "content_block_delta");
    Writer json(out);
    json.object().key("type").string("content_block_delta").key("index").integer(index_);
    json.key("delta").object().key("type").string(type).key(key).string(event.text);
    json.close_object().close_object();
    out += "\n\n";
}

void EventWriter::finish(std::string& out) {
    start(out);
    close(out);
    begin(out, "message_delta");
    Writer json(out);
    json.object().key("type").string("message_delta").key("delta").object();
    json.key("stop_reason").string(stop_reason(stop_)).key("stop_sequence");
    if (stop_sequence_.empty()) {
        json.null();
    } else {
        json.string(stop_sequence_);
    }
    json.close_object().key("usage");
    write_usage(json, usage_);
    json.close_object();
    out += "\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
}

void EventWriter::fail(std::string& out) {
    StreamEvent event;
    event.kind = Kind::kError;
    event.error = interleaved_calls();
    write(event, out);
}

void EventWriter::write(const StreamEvent& event, std::string& out) {
    if (failed_) return;
    switch (event.kind) {
        case Kind::kStart:
            if (!event.id.empty()) id_ = event.id;
            if (!event.model.empty()) model_ = event.model;
            start(out);
            return;
        case Kind::kText:
        case Kind::kRefusal:
            open(event, Block::kText, out);
            if (!failed_) delta(event, "text_delta", "text", out);
            return;
        case Kind::kThinking:
            open(event, Block::kThinking, out);
            if (!failed_) delta(event, "thinking_delta", "thinking", out);
            return;
        case Kind::kSignature:
            open(event, Block::kThinking, out);
            if (!failed_) delta(event, "signature_delta", "signature", out);
            return;
        case Kind::kRedacted: open(event, Block::kRedacted, out); return;
        case Kind::kToolCall: open(event, Block::kToolUse, out); return;
        case Kind::kToolArguments:
            open(event, Block::kToolUse, out);
            if (!failed_) delta(event, "input_json_delta", "partial_json", out);
            return;
        case Kind::kStop:
            stop_ = event.stop;
            stop_sequence_ = event.text;
            return;
        case Kind::kUsage: usage_ = event.usage; return;
        case Kind::kError:
            failed_ = true;
            out += MessagesCodec().write_stream_error(event.error);
            return;
        case Kind::kEnd: finish(out); return;
    }
}

}  // namespace

std::unique_ptr<StreamReader> MessagesCodec::stream_reader(usage::Flavour flavour) const {
    return std::make_unique<Reader>(flavour);
}

std::unique_ptr<StreamWriter> MessagesCodec::stream_writer(const AnswerFor& to) const {
    return std::make_unique<EventWriter>(to);
}

}  // namespace leeway::wire::anthropic
