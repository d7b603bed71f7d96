#include "json/write.hpp"
#include "wire/canonical/common.hpp"
#include "wire/openai/chat_codec.hpp"

#include <string_view>

namespace leeway::wire::openai {
namespace {

using json::Writer;
using Kind = Part::Kind;

constexpr std::string_view kUsualName = "structured_output";

std::string_view audio_format(std::string_view media_type) {
    if (media_type.find("wav") != std::string_view::npos) return "wav";
    if (media_type.find("mpeg") != std::string_view::npos ||
        media_type.find("mp3") != std::string_view::npos)
        return "mp3";
    return media_type.starts_with("audio/") ? media_type.substr(6) : media_type;
}

class RequestWriter {
public:
    RequestWriter(const ChatRequest& request, const RequestTarget& target, Losses& losses)
        : request_(request), target_(target), losses_(losses), json_(out_) {}
    Result<std::string> write();

private:
    Result<void> message(const Message& message);
    Result<void> part(const Part& part);
    Result<void> content(const std::vector<const Part*>& parts);
    Result<void> assistant(const Message& message);
    void tool_result(const Part& part, std::vector<const Part*>& media);
    void tools();
    void format();
    void numbers();
    /// A marker that has no place here.
    void lose_mark(const Part& part) {
        if (part.cache != CacheMark::kNone) losses_.drop("cache_control");
    }
    /// Ends an object of content, with its marker where the server takes one.
    void close_part(const Part& part) {
        if (marks(part)) {
            json_.key("cache_control").object().key("type").string("ephemeral");
            if (part.cache == CacheMark::kOneHour) json_.key("ttl").string("1h");
            json_.close_object();
        } else {
            lose_mark(part);
        }
        json_.close_object();
    }
    [[nodiscard]] bool marks(const Part& part) const {
        return target_.quirks.cache_control && part.cache != CacheMark::kNone;
    }

    const ChatRequest& request_;
    const RequestTarget& target_;
    Losses& losses_;
    std::string out_;
    Writer json_;
};

Result<void> RequestWriter::part(const Part& part) {
    switch (part.kind) {
        case Kind::kText:
            json_.object().key("type").string("text").key("text").string(part.text);
            close_part(part);
            return {};
        case Kind::kImage: {
            if (!part.file_id.empty()) {
                return fail(untranslatable(
                    "image.file_id",
                    "An image named by a provider's file id cannot be sent to another provider."));
            }
            json_.object().key("type").string("image_url").key("image_url").object().key("url");
            json_.string(part.url.empty() ? data_url(part.media_type, part.data) : part.url);
            if (!part.detail.empty()) json_.key("detail").string(part.detail);
            json_.close_object();
            close_part(part);
            return {};
        }
        case Kind::kAudio:
            json_.object().key("type").string("input_audio").key("input_audio").object();
            json_.key("data").string(part.data).key("format").string(audio_format(part.media_type));
            json_.close_object();
            close_part(part);
            return {};
        case Kind::kDocument:
            if (!part.text.empty()) {  // a document that is plain text is text
                json_.object().key("type").string("text").key("text").string(part.text);
                close_part(part);
                return {};
            }
            if (part.data.empty()) {
                return fail(
                    untranslatable("document.source",
                                   "A document that is named by an address or a file id cannot be "
                                   "sent in OpenAI's chat dialect."));
            }
            json_.object().key("type").string("file").key("file").object();
            json_.key("filename").string(part.name.empty() ? "document.pdf" : part.name);
            json_.key("file_data").string(data_url(part.media_type, part.data));
            json_.close_object();
            close_part(part);
            return {};
        case Kind::kVideo:
            return fail(untranslatable("video", "OpenAI's chat dialect has no video."));
        case Kind::kRefusal:
            json_.object().key("type").string("refusal").key("refusal").string(part.text);
            close_part(part);
            return {};
        case Kind::kThinking:
        case Kind::kRedacted:
        case Kind::kToolCall:
        case Kind::kToolResult: return {};  // not content
    }
    return {};
}

/// One plain text is a string, as every compatible server takes it; anything else a list of parts.
Result<void> RequestWriter::content(const std::vector<const Part*>& parts) {
    if (parts.size() == 1 && parts.front()->kind == Kind::kText && !marks(*parts.front())) {
        lose_mark(*parts.front());
        json_.string(parts.front()->text);
        return {};
    }
    json_.array();
    for (const Part* one : parts) {
        if (auto written = part(*one); !written) return written;
    }
    json_.close_array();
    return {};
}

Result<void> RequestWriter::assistant(const Message& message) {
    std::vector<const Part*> spoken;
    std::string thoughts;
    std::string refusal;
    bool calls = false;
    for (const Part& one : message.parts) {
        if (one.kind == Kind::kThinking) thoughts += one.text;
        if (one.kind == Kind::kRefusal) refusal += one.text;
        if (one.kind == Kind::kThinking || one.kind == Kind::kRedacted) {
            if (!target_.quirks.reasoning_content || one.kind == Kind::kRedacted)
                losses_.drop("thinking");
            continue;
        }
        calls = calls || one.kind == Kind::kToolCall;
        if (one.kind == Kind::kText) spoken.push_back(&one);
    }
    json_.object().key("role").string("assistant").key("content");
    if (spoken.empty()) {
        json_.null();
    } else if (auto written = content(spoken); !written) {
        return written;
    }
    if (!refusal.empty()) json_.key("refusal").string(refusal);
    if (!thoughts.empty() && target_.quirks.reasoning_content)
        json_.key("reasoning_content").string(thoughts);
    if (!message.name.empty()) json_.key("name").string(message.name);
    if (calls) {
        json_.key("tool_calls").array();
        for (const Part& one : message.parts) {
            if (one.kind != Kind::kToolCall) continue;
            lose_mark(one);
            write_function_call(json_, one);
        }
        json_.close_array();
    }
    json_.close_object();
    return {};
}

/// Tools answer in text there; their pictures follow in a message of the user.
void RequestWriter::tool_result(const Part& part, std::vector<const Part*>& media) {
    lose_mark(part);
    json_.object().key("role").string("tool").key("tool_call_id").string(part.id);
    json_.key("content").string(tool_text(part, media, losses_)).close_object();
}

Result<void> RequestWriter::message(const Message& message) {
    if (message.role == Role::kAssistant) return assistant(message);
    std::vector<const Part*> spoken;
    std::vector<const Part*> media;
    for (const Part& one : message.parts) {
        if (one.kind == Kind::kToolResult) {
            tool_result(one, media);
        } else {
            spoken.push_back(&one);
        }
    }
    spoken.insert(spoken.begin(), media.begin(), media.end());
    if (spoken.empty()) return {};
    std::string_view role = "user";
    if (message.role == Role::kSystem) role = "system";
    if (message.role == Role::kDeveloper)
        role = target_.quirks.developer_role ? "developer" : "system";
    json_.object().key("role").string(role).key("content");
    if (auto written = content(spoken); !written) return written;
    if (!message.name.empty()) json_.key("name").string(message.name);
    json_.close_object();
    return {};
}

void RequestWriter::tools() {
    if (!request_.tools.empty()) {
        json_.key("tools").array();
        for (const Tool& tool : request_.tools) {
            if (tool.cache != CacheMark::kNone) losses_.drop("cache_control");
            json_.object().key("type").string("function").key("function").object();
            json_.key("name").string(tool.name);
            if (!tool.description.empty()) json_.key("description").string(tool.description);
            if (!tool.parameters.empty()) json_.key("parameters").raw(tool.parameters);
            if (tool.strict) json_.key("strict").boolean(*tool.strict);
            json_.close_object().close_object();
        }
        json_.close_array();
    }
    const ToolChoice& choice = request_.tool_choice;
    switch (choice.kind) {
        case ToolChoice::Kind::kUnset: break;
        case ToolChoice::Kind::kAuto: json_.key("tool_choice").string("auto"); break;
        case ToolChoice::Kind::kNone: json_.key("tool_choice").string("none"); break;
        case ToolChoice::Kind::kRequired: json_.key("tool_choice").string("required"); break;
        case ToolChoice::Kind::kNamed:
            json_.key("tool_choice").object().key("type").string("function");
            json_.key("function").object().key("name").string(choice.name);
            json_.close_object().close_object();
            break;
    }
    if (choice.parallel && !request_.tools.empty())
        json_.key("parallel_tool_calls").boolean(*choice.parallel);
}

void RequestWriter::format() {
    const OutputFormat& format = request_.format;
    if (format.kind == OutputFormat::Kind::kJson) {
        json_.key("response_format").object().key("type").string("json_object").close_object();
    } else if (format.kind == OutputFormat::Kind::kSchema) {
        json_.key("response_format").object().key("type").string("json_schema");
        json_.key("json_schema").object();
        json_.key("name").string(format.name.empty() ? kUsualName : format.name);
        if (!format.description.empty()) json_.key("description").string(format.description);
        if (format.strict) json_.key("strict").boolean(*format.strict);
        json_.key("schema").raw(format.schema).close_object().close_object();
    }
}

void RequestWriter::numbers() {
    if (request_.max_tokens) {
        json_.key(target_.quirks.max_completion_tokens ? "max_completion_tokens" : "max_tokens");
        json_.integer(*request_.max_tokens);
    }
    struct Field {
        std::string_view key;
        const std::string* from;
    };
    for (const Field& field :
         {Field{"temperature", &request_.temperature}, Field{"top_p", &request_.top_p},
          Field{"presence_penalty", &request_.presence_penalty},
          Field{"frequency_penalty", &request_.frequency_penalty},
          Field{target_.quirks.random_seed ? "random_seed" : "seed", &request_.seed}}) {
        if (!field.from->empty()) json_.key(field.key).raw(*field.from);
    }
    if (!request_.top_k.empty()) {
        if (target_.quirks.top_k) {
            json_.key("top_k").raw(request_.top_k);
        } else {
            losses_.drop("top_k");
        }
    }
    if (request_.n != 1) json_.key("n").integer(request_.n);
    if (request_.logprobs) json_.key("logprobs").boolean(true);
    if (request_.top_logprobs) json_.key("top_logprobs").integer(*request_.top_logprobs);
}

Result<std::string> RequestWriter::write() {
    for (const std::string& field : request_.unknown) losses_.drop(field);
    json_.object().key("model").string(target_.model).key("messages").array();
    for (const Message& one : request_.messages) {
        if (auto written = message(one); !written) return fail(written.error());
    }
    json_.close_array();
    numbers();
    if (!request_.stop.empty()) {
        json_.key("stop").array();
        for (const std::string& one : request_.stop) json_.string(one);
        json_.close_array();
    }
    tools();
    format();
    const Reasoning& reasoning = request_.reasoning;
    std::string_view effort = reasoning.effort;
    if (reasoning.kind == Reasoning::Kind::kBudget && effort.empty())
        effort = effort_of_budget(reasoning.budget);
    if (reasoning.kind != Reasoning::Kind::kUnset && reasoning.kind != Reasoning::Kind::kOff &&
        !effort.empty())
        json_.key("reasoning_effort").string(effort);
    if (!request_.user.empty()) json_.key("user").string(request_.user);
    if (!request_.metadata.empty()) losses_.drop("metadata");
    if (!request_.service_tier.empty()) json_.key("service_tier").string(request_.service_tier);
    if (request_.stream) {
        json_.key("stream").boolean(true);
        if (target_.quirks.stream_options)
            json_.key("stream_options").object().key("include_usage").boolean(true).close_object();
    }
    json_.close_object();
    return std::move(out_);
}

}  // namespace

Result<std::string> ChatCodec::write_request(const ChatRequest& request,
                                             const RequestTarget& target, Losses& losses) const {
    return RequestWriter(request, target, losses).write();
}

}  // namespace leeway::wire::openai
