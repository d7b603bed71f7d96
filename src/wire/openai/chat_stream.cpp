#include "json/write.hpp"
#include "wire/canonical/common.hpp"
#include "wire/openai/chat_codec.hpp"
#include "wire/openai/chat_parts.hpp"
#include "wire/openai/error.hpp"

#include <map>
#include <utility>

namespace leeway::wire::openai {
namespace {

using json::Node;
using json::Writer;
using Kind = StreamEvent::Kind;

/// The parts of one choice so far. OpenAI's deltas name no parts: a new one begins when the kind changes.
struct ChoiceParts {
    std::uint32_t next = 0;
    Kind open = Kind::kEnd;
    std::uint32_t open_part = 0;
    std::map<std::int64_t, std::uint32_t> calls;  // by the index of the call
    bool stopped = false;
    bool refused = false;
};

class Reader final : public StreamReader {
public:
    explicit Reader(usage::Flavour flavour) : usage_(flavour) {}
    Result<void> read(const SseEvent& event, std::vector<StreamEvent>& out) override;

private:
    void choice(const Node& node, std::vector<StreamEvent>& out);
    void text(ChoiceParts& parts, std::int64_t index, Kind kind, std::string_view text,
              std::vector<StreamEvent>& out);
    void call(ChoiceParts& parts, std::int64_t index, const Node& call, std::size_t position,
              std::vector<StreamEvent>& out);

    usage::Extractor usage_;
    std::map<std::int64_t, ChoiceParts> choices_;
    bool started_ = false;
};

void Reader::text(ChoiceParts& parts, std::int64_t index, Kind kind, std::string_view text,
                  std::vector<StreamEvent>& out) {
    if (text.empty()) return;
    parts.refused = parts.refused || kind == Kind::kRefusal;
    if (parts.open != kind) {
        parts.open = kind;
        parts.open_part = parts.next++;
    }
    StreamEvent event;
    event.kind = kind;
    event.choice = index;
    event.part = parts.open_part;
    event.text = text;
    out.push_back(std::move(event));
}

void Reader::call(ChoiceParts& parts, std::int64_t index, const Node& call, std::size_t position,
                  std::vector<StreamEvent>& out) {
    if (!call.is_object()) return;
    const Node* number = call.find("index");
    const std::int64_t key =
        number != nullptr ? number->integer().value_or(0) : static_cast<std::int64_t>(position);
    const Node* function = call.find("function");
    const Node none = Node::object();
    if (function == nullptr || !function->is_object()) function = &none;
    auto found = parts.calls.find(key);
    if (found == parts.calls.end()) {
        found = parts.calls.emplace(key, parts.next++).first;
        parts.open = Kind::kEnd;
        StreamEvent event;
        event.kind = Kind::kToolCall;
        event.choice = index;
        event.part = found->second;
        event.id = call.text_of("id");
        event.name = function->text_of("name");
        out.push_back(std::move(event));
    }
    const std::string_view arguments = function->text_of("arguments");
    if (arguments.empty()) return;
    StreamEvent event;
    event.kind = Kind::kToolArguments;
    event.choice = index;
    event.part = found->second;
    event.text = arguments;
    out.push_back(std::move(event));
}

void Reader::choice(const Node& node, std::vector<StreamEvent>& out) {
    if (!node.is_object()) return;
    std::int64_t index = 0;
    if (const Node* number = node.find("index")) index = number->integer().value_or(0);
    ChoiceParts& parts = choices_[index];
    const Node* delta = node.find("delta");
    if (delta != nullptr && delta->is_object()) {
        std::string_view thoughts = delta->text_of("reasoning_content");
        if (thoughts.empty()) thoughts = delta->text_of("reasoning");
        text(parts, index, Kind::kThinking, thoughts, out);
        text(parts, index, Kind::kText, delta->text_of("content"), out);
        text(parts, index, Kind::kRefusal, delta->text_of("refusal"), out);
        if (const Node* calls = delta->find("tool_calls"); calls != nullptr && calls->is_array()) {
            for (std::size_t i = 0; i < calls->elements.size(); ++i)
                call(parts, index, calls->elements[i], i, out);
        }
    }
    const StopReason stop = stop_of(node.text_of("finish_reason"));
    if (stop == StopReason::kUnset || std::exchange(parts.stopped, true)) return;
    StreamEvent event;
    event.kind = Kind::kStop;
    event.choice = index;
    event.stop = parts.refused && stop == StopReason::kEnd ? StopReason::kRefusal : stop;
    out.push_back(std::move(event));
}

Result<void> Reader::read(const SseEvent& event, std::vector<StreamEvent>& out) {
    if (!event.has_data) return {};
    if (event.data == "[DONE]") {
        StreamEvent end;
        end.kind = Kind::kEnd;
        out.push_back(std::move(end));
        return {};
    }
    const auto node = read_upstream(event.data, usage_);
    if (!node) return fail(node.error());
    if (const Node* error = node->find("error"); error != nullptr && !error->is_null()) {
        StreamEvent failed;
        failed.kind = Kind::kError;
        failed.error = error_of(*node, 0);
        if (failed.error.code == ErrorCode::kInvalidRequest ||
            failed.error.code == ErrorCode::kInternal)
            failed.error.code = ErrorCode::kUpstreamInvalid;
        out.push_back(std::move(failed));
        return {};
    }
    if (!std::exchange(started_, true)) {
        StreamEvent start;
        start.kind = Kind::kStart;
        start.id = node->text_of("id");
        start.model = node->text_of("model");
        out.push_back(std::move(start));
    }
    if (const Node* choices = node->find("choices"); choices != nullptr && choices->is_array()) {
        for (const Node& one : choices->elements) choice(one, out);
    }
    if (const Node* usage = node->find("usage"); usage != nullptr && usage->is_object()) {
        StreamEvent told;
        told.kind = Kind::kUsage;
        told.usage = usage_.result();
        out.push_back(std::move(told));
    }
    return {};
}

class ChunkWriter final : public StreamWriter {
public:
    explicit ChunkWriter(const AnswerFor& to)
        : id_(to.id), model_(to.model), created_(to.now_unix_s), include_usage_(to.include_usage) {}
    void write(const StreamEvent& event, std::string& out) override;

private:
    void begin(Writer& json);
    void choice(std::string& out, const StreamEvent& event, std::string_view key);
    void call(std::string& out, const StreamEvent& event);
    void finish(std::string& out, const StreamEvent& event);
    void open(Writer& json, std::int64_t choice);
    static void close(Writer& json, std::string& out);

    std::string id_;
    std::string model_;
    std::int64_t created_;
    bool include_usage_;
    std::map<std::int64_t, bool> spoke_;  // choices whose role was told
    std::map<std::pair<std::int64_t, std::uint32_t>, std::int64_t> calls_;  // indexes of calls
    std::map<std::int64_t, std::int64_t> call_count_;
    usage::UsageReading usage_;
};

void ChunkWriter::begin(Writer& json) {
    json.object().key("id").string(id_).key("object").string("chat.completion.chunk");
    json.key("created").integer(created_).key("model").string(model_);
}

void ChunkWriter::open(Writer& json, std::int64_t choice) {
    begin(json);
    json.key("choices").array().object().key("index").integer(choice).key("delta").object();
    if (!std::exchange(spoke_[choice], true)) json.key("role").string("assistant");
}

void ChunkWriter::close(Writer& json, std::string& out) {
    json.close_object().key("finish_reason").null().close_object().close_array().close_object();
    out += "\n\n";
}

void ChunkWriter::choice(std::string& out, const StreamEvent& event, std::string_view key) {
    out += "data: ";
    Writer json(out);
    open(json, event.choice);
    json.key(key).string(event.text);
    close(json, out);
}

void ChunkWriter::call(std::string& out, const StreamEvent& event) {
    out += "data: ";
    Writer json(out);
    open(json, event.choice);
    const auto key = std::pair(event.choice, event.part);
    const bool begins = event.kind == Kind::kToolCall;
    if (begins) calls_[key] = call_count_[event.choice]++;
    json.key("tool_calls").array().object().key("index").integer(calls_[key]);
    if (begins) json.key("id").string(event.id).key("type").string("function");
    json.key("function").object();
    if (begins) json.key("name").string(event.name);
    json.key("arguments").string(begins ? std::string_view() : std::string_view(event.text));
    json.close_object().close_object().close_array();
    close(json, out);
}

void ChunkWriter::finish(std::string& out, const StreamEvent& event) {
    out += "data: ";
    Writer json(out);
    begin(json);
    json.key("choices").array().object().key("index").integer(event.choice).key("delta").object();
    if (!std::exchange(spoke_[event.choice], true))
        json.key("role").string("assistant").key("content").string("");
    json.close_object().key("finish_reason").string(finish_reason(event.stop));
    json.close_object().close_array().close_object();
    out += "\n\n";
}

void ChunkWriter::write(const StreamEvent& event, std::string& out) {
    switch (event.kind) {
        case Kind::kStart:
            if (!event.id.empty()) id_ = event.id;
            if (!event.model.empty()) model_ = event.model;
            return;
        case Kind::kText: choice(out, event, "content"); return;
        case Kind::kRefusal: choice(out, event, "refusal"); return;
        case Kind::kThinking: choice(out, event, "reasoning_content"); return;
        case Kind::kSignature:
        case Kind::kRedacted: return;  // no place for them in this dialect
        case Kind::kToolCall:
        case Kind::kToolArguments: call(out, event); return;
        case Kind::kStop: finish(out, event); return;
        case Kind::kUsage: usage_ = event.usage; return;
        case Kind::kError: out += render_stream_error(event.error); return;
        case Kind::kEnd: break;
    }
    if (include_usage_ && usage_.state != prices::UsageState::kMissing) {
        out += "data: ";
        Writer json(out);
        begin(json);
        json.key("choices").array().close_array().key("usage");
        write_usage(json, usage_);
        json.close_object();
        out += "\n\n";
    }
    out += "data: [DONE]\n\n";
}

}  // namespace

std::unique_ptr<StreamReader> ChatCodec::stream_reader(usage::Flavour flavour) const {
    return std::make_unique<Reader>(flavour);
}

std::unique_ptr<StreamWriter> ChatCodec::stream_writer(const AnswerFor& to) const {
    return std::make_unique<ChunkWriter>(to);
}

}  // namespace leeway::wire::openai
