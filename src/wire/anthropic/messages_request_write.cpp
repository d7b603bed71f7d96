#include "json/write.hpp"
#include "wire/anthropic/messages_codec.hpp"
#include "wire/anthropic/thinking.hpp"
#include "wire/canonical/common.hpp"

#include <string_view>

namespace leeway::wire::anthropic {
namespace {

using json::Writer;
using Kind = Part::Kind;

class RequestWriter {
public:
    RequestWriter(const ChatRequest& request, const RequestTarget& target, Losses& losses)
        : request_(request), target_(target), losses_(losses), json_(out_) {}
    Result<std::string> write();

private:
    void mark(CacheMark cache);
    void source(const Part& part);
    Result<void> block(const Part& part);
    Result<void> messages();
    void system();
    void tools();
    void tool_choice();
    void thinking();
    void sampling();
    void output();
    void leave_out();

    const ChatRequest& request_;
    const RequestTarget& target_;
    Losses& losses_;
    std::string out_;
    Writer json_;
    bool thinks_ = false;
};

void RequestWriter::mark(CacheMark cache) {
    if (cache == CacheMark::kNone) return;
    json_.key("cache_control").object().key("type").string("ephemeral");
    if (cache == CacheMark::kOneHour) json_.key("ttl").string("1h");
    json_.close_object();
}

void RequestWriter::source(const Part& part) {
    json_.key("source").object();
    if (!part.url.empty()) {
        json_.key("type").string("url").key("url").string(part.url);
    } else if (!part.file_id.empty()) {
        json_.key("type").string("file").key("file_id").string(part.file_id);
    } else if (!part.text.empty()) {
        json_.key("type").string("text").key("media_type").string("text/plain");
        json_.key("data").string(part.text);
    } else {
        json_.key("type").string("base64").key("media_type");
        json_.string(part.media_type.empty() ? "application/pdf" : part.media_type);
        json_.key("data").string(part.data);
    }
    json_.close_object();
}

Result<void> RequestWriter::block(const Part& part) {
    switch (part.kind) {
        case Kind::kText:
        case Kind::kRefusal:
            if (part.text.empty()) return {};  // the API refuses empty texts
            json_.object().key("type").string("text").key("text").string(part.text);
            break;
        case Kind::kImage:
            json_.object().key("type").string("image");
            source(part);
            break;
        case Kind::kDocument:
            json_.object().key("type").string("document");
            source(part);
            if (!part.name.empty()) json_.key("title").string(part.name);
            break;
        case Kind::kAudio:
        case Kind::kVideo:
            return fail(untranslatable(part.kind == Kind::kAudio ? "audio" : "video",
                                       "Anthropic's dialect has no audio and no video."));
        case Kind::kThinking:
            if (part.signature.empty()) {  // the API takes only thoughts that it signed
                losses_.drop("thinking");
                return {};
            }
            json_.object().key("type").string("thinking").key("thinking").string(part.text);
            json_.key("signature").string(part.signature);
            break;
        case Kind::kRedacted:
            json_.object().key("type").string("redacted_thinking").key("data").string(part.data);
            break;
        case Kind::kToolCall:
            json_.object().key("type").string("tool_use").key("id").string(part.id);
            json_.key("name").string(part.name).key("input").raw(object_of(part.text));
            break;
        case Kind::kToolResult:
            json_.object().key("type").string("tool_result").key("tool_use_id").string(part.id);
            json_.key("content");
            if (part.content.size() == 1 && part.content.front().kind == Kind::kText) {
                json_.string(part.content.front().text);
            } else {
                json_.array();
                for (const Part& one : part.content) {
                    if (auto written = block(one); !written) return written;
                }
                json_.close_array();
            }
            if (part.is_error) json_.key("is_error").boolean(true);
            break;
    }
    mark(part.cache);
    json_.close_object();
    return {};
}

/// What the system says stands before the conversation there, wherever it stood.
void RequestWriter::system() {
    std::vector<const Part*> parts;
    for (const Message& message : request_.messages) {
        if (!is_system(message)) continue;
        for (const Part& part : message.parts) {
            if (part.kind == Kind::kText && !part.text.empty()) parts.push_back(&part);
        }
    }
    if (parts.empty()) return;
    json_.key("system");
    if (parts.size() == 1 && parts.front()->cache == CacheMark::kNone) {
        json_.string(parts.front()->text);
        return;
    }
    json_.array();
    for (const Part* part : parts) {
        json_.object().key("type").string("text").key("text").string(part->text);
        mark(part->cache);
        json_.close_object();
    }
    json_.close_array();
}

Result<void> RequestWriter::messages() {
    json_.key("messages").array();
    const Message* open = nullptr;  // messages of one role that follow one another are one
    for (const Message& message : request_.messages) {
        if (is_system(message)) continue;
        if (!message.name.empty()) losses_.drop("name");
        if (open == nullptr || open->role != message.role) {
            if (open != nullptr) json_.close_array().close_object();
            json_.object().key("role");
            json_.string(message.role == Role::kAssistant ? "assistant" : "user");
            json_.key("content").array();
            open = &message;
        }
        for (const Part& part : message.parts) {
            if (auto written = block(part); !written) return written;
        }
    }
    if (open != nullptr) json_.close_array().close_object();
    json_.close_array();
    return {};
}

void RequestWriter::tools() {
    if (request_.tools.empty()) return;
    json_.key("tools").array();
    for (const Tool& tool : request_.tools) {
        json_.object().key("name").string(tool.name);
        if (!tool.description.empty()) json_.key("description").string(tool.description);
        json_.key("input_schema");
        json_.raw(tool.parameters.empty() ? R"({"type":"object","properties":{}})"
                                          : tool.parameters);
        if (tool.strict && *tool.strict) json_.key("strict").boolean(true);
        mark(tool.cache);
        json_.close_object();
    }
    json_.close_array();
}

void RequestWriter::tool_choice() {
    const ToolChoice& choice = request_.tool_choice;
    const bool serial = choice.parallel && !*choice.parallel;
    if (request_.tools.empty() && choice.kind != ToolChoice::Kind::kNamed) return;
    std::string_view type;
    switch (choice.kind) {
        case ToolChoice::Kind::kUnset: type = serial ? "auto" : ""; break;
        case ToolChoice::Kind::kAuto: type = "auto"; break;
        case ToolChoice::Kind::kNone: type = "none"; break;
        case ToolChoice::Kind::kRequired: type = "any"; break;
        case ToolChoice::Kind::kNamed: type = "tool"; break;
    }
    if (type.empty()) return;
    json_.key("tool_choice").object().key("type").string(type);
    if (choice.kind == ToolChoice::Kind::kNamed) json_.key("name").string(choice.name);
    if (serial && choice.kind != ToolChoice::Kind::kNone)
        json_.key("disable_parallel_tool_use").boolean(true);
    json_.close_object();
}

/// Thinking and a temperature exclude one another there.
void RequestWriter::thinking() {
    const Thinking plan = plan_thinking(request_, target_);
    thinks_ = plan.on;
    json_.key("max_tokens").integer(plan.max_tokens);
    if (plan.wanted && !thinks_) losses_.drop("reasoning");
    if (thinks_) json_.key("thinking").raw(thinking_json(plan, target_));
}

void RequestWriter::sampling() {
    if (!request_.temperature.empty()) {
        if (thinks_) {
            losses_.drop("temperature");
        } else {
            json_.key("temperature").raw(request_.temperature);
        }
    }
    if (!request_.top_p.empty()) {
        if (thinks_) {
            losses_.drop("top_p");
        } else {
            json_.key("top_p").raw(request_.top_p);
        }
    }
    if (!request_.top_k.empty() && !thinks_) json_.key("top_k").raw(request_.top_k);
    if (request_.stop.empty()) return;
    json_.key("stop_sequences").array();
    for (const std::string& one : request_.stop) json_.string(one);
    json_.close_array();
}

void RequestWriter::output() {
    const OutputFormat& format = request_.format;
    const bool schema = format.kind == OutputFormat::Kind::kSchema;
    // A request for some JSON says so in its text as well: OpenAI refuses it otherwise.
    if (format.kind == OutputFormat::Kind::kJson) losses_.drop("response_format");
    std::string_view effort;
    if (thinks_ && target_.adaptive_thinking) effort = effort_of(request_.reasoning);
    if (!schema && effort.empty()) return;
    json_.key("output_config").object();
    if (!effort.empty()) json_.key("effort").string(effort);
    if (schema) {
        json_.key("format").object().key("type").string("json_schema");
        json_.key("schema").raw(format.schema).close_object();
    }
    json_.close_object();
}

void RequestWriter::leave_out() {
    for (const std::string& field : request_.unknown) losses_.drop(field);
    if (!request_.presence_penalty.empty()) losses_.drop("presence_penalty");
    if (!request_.frequency_penalty.empty()) losses_.drop("frequency_penalty");
    if (!request_.seed.empty()) losses_.drop("seed");
    if (request_.logprobs) losses_.drop("logprobs");
    if (request_.top_logprobs) losses_.drop("top_logprobs");
    if (!request_.metadata.empty()) losses_.drop("metadata");
}

Result<std::string> RequestWriter::write() {
    if (request_.n > 1)
        return fail(untranslatable("n", "Anthropic's dialect gives one answer for a request."));
    leave_out();
    json_.object().key("model").string(target_.model);
    thinking();
    system();
    if (auto written = messages(); !written) return fail(written.error());
    sampling();
    tools();
    tool_choice();
    output();
    if (!request_.user.empty())
        json_.key("metadata").object().key("user_id").string(request_.user).close_object();
    if (request_.service_tier == "auto") json_.key("service_tier").string("auto");
    if (request_.service_tier == "default") json_.key("service_tier").string("standard_only");
    if (request_.service_tier == "flex" || request_.service_tier == "priority")
        losses_.drop("service_tier");
    if (request_.stream) json_.key("stream").boolean(true);
    json_.close_object();
    return std::move(out_);
}

}  // namespace

Result<std::string> MessagesCodec::write_request(const ChatRequest& request,
                                                 const RequestTarget& target,
                                                 Losses& losses) const {
    return RequestWriter(request, target, losses).write();
}

}  // namespace leeway::wire::anthropic
