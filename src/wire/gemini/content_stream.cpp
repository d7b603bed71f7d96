#include "json/write.hpp"
#include "wire/canonical/common.hpp"
#include "wire/gemini/array_stream.hpp"
#include "wire/gemini/content_codec.hpp"
#include "wire/gemini/parts.hpp"

#include <map>
#include <utility>

namespace leeway::wire::gemini {
namespace {

using json::Node;
using json::Writer;
using Kind = StreamEvent::Kind;

/// The parts of one candidate so far: texts of a kind that follow one another are one part.
struct Candidate {
    std::uint32_t next = 0;
    Kind open = Kind::kEnd;
    bool has_call = false;
    bool stopped = false;
};

class Reader final : public StreamReader {
public:
    explicit Reader(usage::Flavour flavour) : usage_(flavour) {}
    Result<void> read(const openai::SseEvent& event, std::vector<StreamEvent>& out) override;
    void end(std::vector<StreamEvent>& out) override;

private:
    void candidate(const Node& node, std::vector<StreamEvent>& out);
    static void part(Part&& part, std::int64_t choice, Candidate& state,
                     std::vector<StreamEvent>& out);

    usage::Extractor usage_;
    std::map<std::int64_t, Candidate> candidates_;
    bool started_ = false;
};

void Reader::part(Part&& part, std::int64_t choice, Candidate& state,
                  std::vector<StreamEvent>& out) {
    StreamEvent event;
    event.choice = choice;
    if (part.kind == Part::Kind::kToolCall) {
        state.open = Kind::kEnd;
        state.has_call = true;
        event.kind = Kind::kToolCall;
        event.part = state.next++;
        event.id = std::move(part.id);
        event.name = std::move(part.name);
        StreamEvent arguments;
        arguments.kind = Kind::kToolArguments;
        arguments.choice = choice;
        arguments.part = event.part;
        arguments.text = std::move(part.text);
        out.push_back(std::move(event));
        out.push_back(std::move(arguments));
        return;
    }
    const bool thought = part.kind == Part::Kind::kThinking;
    if (!thought && part.kind != Part::Kind::kText)
        return;  // pictures have no form in a stream of others
    event.kind = thought ? Kind::kThinking : Kind::kText;
    if (state.open != event.kind) {
        state.open = event.kind;
        ++state.next;
    }
    event.part = state.next - 1;
    const std::uint32_t at = event.part;
    if (!part.text.empty()) {
        event.text = std::move(part.text);
        out.push_back(std::move(event));
    }
    if (!thought || part.signature.empty()) return;
    StreamEvent signature;
    signature.kind = Kind::kSignature;
    signature.choice = choice;
    signature.part = at;
    signature.text = std::move(part.signature);
    out.push_back(std::move(signature));
}

void Reader::candidate(const Node& node, std::vector<StreamEvent>& out) {
    std::int64_t index = 0;
    if (const Node* number = node.find("index")) index = number->integer().value_or(0);
    Candidate& state = candidates_[index];
    const Node* content = node.find("content");
    const Node* parts =
        content != nullptr && content->is_object() ? content->find("parts") : nullptr;
    if (parts != nullptr && parts->is_array()) {
        std::vector<Part> read;
        for (const Node& one : parts->elements) {
            read.clear();
            if (read_part(one, "parts", read)) part(std::move(read.front()), index, state, out);
        }
    }
    const StopReason stop = stop_of(node.text_of("finishReason"), state.has_call);
    if (stop == StopReason::kUnset || std::exchange(state.stopped, true)) return;
    StreamEvent event;
    event.kind = Kind::kStop;
    event.choice = index;
    event.stop = stop;
    out.push_back(std::move(event));
}

Result<void> Reader::read(const openai::SseEvent& event, std::vector<StreamEvent>& out) {
    if (!event.has_data) return {};
    const auto node = read_upstream(event.data, usage_);
    if (!node) return fail(node.error());
    if (node->find("error") != nullptr) {
        StreamEvent failed;
        failed.kind = Kind::kError;
        failed.error = error_of(*node, 0);
        out.push_back(std::move(failed));
        return {};
    }
    if (!std::exchange(started_, true)) {
        StreamEvent start;
        start.id = node->text_of("responseId");
        start.model = node->text_of("modelVersion");
        out.push_back(std::move(start));
    }
    if (const Node* candidates = node->find("candidates");
        candidates != nullptr && candidates->is_array()) {
        for (const Node& one : candidates->elements) {
            if (one.is_object()) candidate(one, out);
        }
    }
    const Node* feedback = node->find("promptFeedback");
    if (feedback != nullptr && feedback->is_object() && !feedback->text_of("blockReason").empty() &&
        !std::exchange(candidates_[0].stopped, true)) {
        StreamEvent blocked;
        blocked.kind = Kind::kStop;
        blocked.stop = StopReason::kFilter;
        out.push_back(std::move(blocked));
    }
    if (node->find("usageMetadata") != nullptr) {
        StreamEvent told;
        told.kind = Kind::kUsage;
        told.usage = usage_.result();
        out.push_back(std::move(told));
    }
    return {};
}

/// Google's streams just end; whether they were whole is told by the candidates.
void Reader::end(std::vector<StreamEvent>& out) {
    if (candidates_.empty()) return;
    for (const auto& [index, state] : candidates_) {
        if (!state.stopped) return;
    }
    StreamEvent event;
    event.kind = Kind::kEnd;
    out.push_back(std::move(event));
}

class ChunkWriter final : public StreamWriter {
public:
    explicit ChunkWriter(const AnswerFor& to) : id_(to.id), model_(to.model) {}
    void write(const StreamEvent& event, std::string& out) override;

private:
    struct Call {
        std::uint32_t number = 0;
        Part part;
    };
    void chunk(std::int64_t choice, const Part& part, std::string& out);
    void flush(std::int64_t choice, std::string& out);
    void finish(std::string& out);
    void tail(Writer& json);

    std::string id_;
    std::string model_;
    std::map<std::int64_t, std::vector<Call>> calls_;  // a call is told whole in this dialect
    std::map<std::int64_t, StopReason> stops_;
    usage::UsageReading usage_;
};

void ChunkWriter::tail(Writer& json) {
    json.key("modelVersion").string(model_).key("responseId").string(id_).close_object();
}

void ChunkWriter::chunk(std::int64_t choice, const Part& part, std::string& out) {
    out += "data: ";
    Writer json(out);
    json.object().key("candidates").array().object().key("content").object();
    json.key("parts").array();
    write_answer_part(json, part);
    json.close_array().key("role").string("model").close_object();
    json.key("index").integer(choice).close_object().close_array();
    tail(json);
    out += "\n\n";
}

void ChunkWriter::flush(std::int64_t choice, std::string& out) {
    const auto calls = calls_.find(choice);
    if (calls == calls_.end()) return;
    for (const Call& call : calls->second) chunk(choice, call.part, out);
    calls_.erase(calls);
}

void ChunkWriter::finish(std::string& out) {
    if (stops_.empty()) stops_[0] = StopReason::kEnd;
    out += "data: ";
    Writer json(out);
    json.object().key("candidates").array();
    for (const auto& [choice, stop] : stops_) {
        json.object().key("content").object().key("parts").array();
        json.object().key("text").string("").close_object().close_array();
        json.key("role").string("model").close_object();
        json.key("finishReason").string(finish_reason(stop));
        json.key("index").integer(choice).close_object();
    }
    json.close_array().key("usageMetadata");
    write_usage(json, usage_);
    tail(json);
    out += "\n\n";
}

void ChunkWriter::write(const StreamEvent& event, std::string& out) {
    Part part;
    switch (event.kind) {
        case Kind::kStart:
            if (!event.id.empty()) id_ = event.id;
            if (!event.model.empty()) model_ = event.model;
            return;
        case Kind::kText:
        case Kind::kRefusal:
            flush(event.choice, out);
            part.text = event.text;
            chunk(event.choice, part, out);
            return;
        case Kind::kThinking:
            part.kind = Part::Kind::kThinking;
            part.text = event.text;
            chunk(event.choice, part, out);
            return;
        case Kind::kSignature:
            part.kind = Part::Kind::kThinking;
            part.signature = event.text;
            chunk(event.choice, part, out);
            return;
        case Kind::kRedacted: return;
        case Kind::kToolCall:
            part.kind = Part::Kind::kToolCall;
            part.id = event.id;
            part.name = event.name;
            calls_[event.choice].push_back({event.part, std::move(part)});
            return;
        case Kind::kToolArguments:
            for (Call& call : calls_[event.choice]) {
                if (call.number == event.part) call.part.text += event.text;
            }
            return;
        case Kind::kStop:
            flush(event.choice, out);
            stops_[event.choice] = event.stop;
            return;
        case Kind::kUsage: usage_ = event.usage; return;
        case Kind::kError: out += ContentCodec().write_stream_error(event.error); return;
        case Kind::kEnd: finish(out); return;
    }
}

}  // namespace

std::unique_ptr<openai::EventScanner> ContentCodec::scanner() const {
    return std::make_unique<ContentScanner>();
}

std::unique_ptr<StreamReader> ContentCodec::stream_reader(usage::Flavour flavour) const {
    return std::make_unique<Reader>(flavour);
}

std::unique_ptr<StreamWriter> ContentCodec::stream_writer(const AnswerFor& to) const {
    return std::make_unique<ChunkWriter>(to);
}

}  // namespace leeway::wire::gemini
