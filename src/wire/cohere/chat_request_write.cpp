#include "json/write.hpp"
#include "wire/canonical/common.hpp"
#include "wire/cohere/chat_codec.hpp"

#include <algorithm>
#include <string_view>

namespace leeway::wire::cohere {
namespace {

using json::Writer;
using Kind = Part::Kind;

class RequestWriter {
public:
    RequestWriter(const ChatRequest& request, const RequestTarget& target, Losses& losses)
        : request_(request), target_(target), losses_(losses), json_(out_) {}
    Result<std::string> write();

private:
    Result<void> message(const Message& message);
    void assistant(const Message& message);
    Result<void> content(const std::vector<const Part*>& parts);
    Result<void> part(const Part& part);
    void tool_result(const Part& part, std::vector<const Part*>& media);
    void tools();
    void format();
    void thinking();
    void numbers();
    void leave_out();
    void lose_mark(const Part& part) {
        if (part.cache != CacheMark::kNone) losses_.drop("cache_control");
    }

    const ChatRequest& request_;
    const RequestTarget& target_;
    Losses& losses_;
    std::string out_;
    Writer json_;
};

Result<void> RequestWriter::part(const Part& part) {
    lose_mark(part);
    switch (part.kind) {
        case Kind::kText:
        case Kind::kRefusal:
            json_.object().key("type").string("text").key("text").string(part.text).close_object();
            return {};
        case Kind::kImage:
            if (!part.file_id.empty()) {
                return fail(untranslatable(
                    "image.file_id",
                    "An image named by a provider's file id cannot be sent to another provider."));
            }
            json_.object().key("type").string("image_url").key("image_url").object().key("url");
            json_.string(part.url.empty() ? data_url(part.media_type, part.data) : part.url);
            if (!part.detail.empty()) json_.key("detail").string(part.detail);
            json_.close_object().close_object();
            return {};
        case Kind::kDocument:
            if (!part.text.empty()) {  // a document that is plain text is text
                json_.object().key("type").string("text").key("text").string(part.text);
                json_.close_object();
                return {};
            }
            return fail(untranslatable("document.source", "Cohere's chat takes no files."));
        case Kind::kAudio: return fail(untranslatable("audio", "Cohere's chat takes no audio."));
        case Kind::kVideo: return fail(untranslatable("video", "Cohere's chat takes no video."));
        case Kind::kThinking:
        case Kind::kRedacted:
        case Kind::kToolCall:
        case Kind::kToolResult: return {};  // not content
    }
    return {};
}

Result<void> RequestWriter::content(const std::vector<const Part*>& parts) {
    if (parts.size() == 1 && parts.front()->kind == Kind::kText) {
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

/// Texts beside calls are the plan for them there.
void RequestWriter::assistant(const Message& message) {
    std::string text;
    std::string calls;
    Writer json(calls);
    json.array();
    for (const Part& one : message.parts) {
        lose_mark(one);
        if (one.kind == Kind::kThinking || one.kind == Kind::kRedacted) {
            losses_.drop("thinking");
        } else if (one.kind == Kind::kToolCall) {
            write_function_call(json, one);
        } else if (one.kind == Kind::kText || one.kind == Kind::kRefusal) {
            text += one.text;
        }
    }
    json.close_array();
    const bool called = calls != "[]";
    if (!called && text.empty()) return;  // an empty message is refused
    json_.object().key("role").string("assistant");
    if (!text.empty()) json_.key(called ? "tool_plan" : "content").string(text);
    if (called) json_.key("tool_calls").raw(calls);
    json_.close_object();
}

/// Tools answer in text there; their pictures follow in a message of the user.
void RequestWriter::tool_result(const Part& part, std::vector<const Part*>& media) {
    lose_mark(part);
    json_.object().key("role").string("tool").key("tool_call_id").string(part.id);
    json_.key("content").string(tool_text(part, media, losses_)).close_object();
}

Result<void> RequestWriter::message(const Message& message) {
    if (!message.name.empty()) losses_.drop("name");
    if (message.role == Role::kAssistant) {
        assistant(message);
        return {};
    }
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
    json_.object().key("role").string(is_system(message) ? "system" : "user").key("content");
    if (auto written = content(spoken); !written) return written;
    json_.close_object();
    return {};
}

void RequestWriter::tools() {
    const ToolChoice& choice = request_.tool_choice;
    if (choice.parallel && !*choice.parallel) losses_.drop("parallel_tool_calls");
    if (request_.tools.empty()) return;
    const bool named = choice.kind == ToolChoice::Kind::kNamed;
    bool all_strict = true;
    bool any_strict = false;
    json_.key("tools").array();
    for (const Tool& tool : request_.tools) {
        // It can only be told to call some tool: it is offered the one.
        if (named && tool.name != choice.name) continue;
        if (tool.cache != CacheMark::kNone) losses_.drop("cache_control");
        const bool strict = tool.strict.value_or(false);
        all_strict = all_strict && strict;
        any_strict = any_strict || strict;
        json_.object().key("type").string("function").key("function").object();
        json_.key("name").string(tool.name);
        if (!tool.description.empty()) json_.key("description").string(tool.description);
        json_.key("parameters");
        json_.raw(tool.parameters.empty() ? R"({"type":"object","properties":{}})"
                                          : tool.parameters);
        json_.close_object().close_object();
    }
    json_.close_array();
    // For all tools or for none there.
    if (all_strict) json_.key("strict_tools").boolean(true);
    if (any_strict && !all_strict) losses_.drop("strict");
    if (choice.kind == ToolChoice::Kind::kNone) json_.key("tool_choice").string("NONE");
    if (named || choice.kind == ToolChoice::Kind::kRequired)
        json_.key("tool_choice").string("REQUIRED");
}

void RequestWriter::format() {
    const OutputFormat& format = request_.format;
    if (format.kind != OutputFormat::Kind::kJson && format.kind != OutputFormat::Kind::kSchema)
        return;
    json_.key("response_format").object().key("type").string("json_object");
    if (format.kind == OutputFormat::Kind::kSchema) json_.key("json_schema").raw(format.schema);
    json_.close_object();
}

void RequestWriter::thinking() {
    const Reasoning& reasoning = request_.reasoning;
    if (reasoning.kind == Reasoning::Kind::kUnset) return;
    std::int64_t budget = reasoning.budget;
    if (reasoning.kind == Reasoning::Kind::kEffort) budget = budget_of_effort(reasoning.effort);
    const bool off = reasoning.kind == Reasoning::Kind::kOff || reasoning.effort == "none";
    json_.key("thinking").object().key("type").string(off ? "disabled" : "enabled");
    if (!off && budget > 0) json_.key("token_budget").integer(budget);
    json_.close_object();
}

void RequestWriter::numbers() {
    if (request_.max_tokens) json_.key("max_tokens").integer(*request_.max_tokens);
    struct Field {
        std::string_view key;
        const std::string* from;
    };
    for (const Field& field :
         {Field{"temperature", &request_.temperature}, Field{"p", &request_.top_p},
          Field{"k", &request_.top_k}, Field{"presence_penalty", &request_.presence_penalty},
          Field{"frequency_penalty", &request_.frequency_penalty}, Field{"seed", &request_.seed}}) {
        if (!field.from->empty()) json_.key(field.key).raw(*field.from);
    }
    if (request_.stop.empty()) return;
    json_.key("stop_sequences").array();
    for (const std::string& one : request_.stop) json_.string(one);
    json_.close_array();
}

void RequestWriter::leave_out() {
    for (const std::string& field : request_.unknown) losses_.drop(field);
    if (request_.logprobs) losses_.drop("logprobs");
    if (request_.top_logprobs) losses_.drop("top_logprobs");
    if (!request_.user.empty()) losses_.drop("user");
    if (!request_.metadata.empty()) losses_.drop("metadata");
    if (!request_.service_tier.empty()) losses_.drop("service_tier");
}

Result<std::string> RequestWriter::write() {
    if (request_.n > 1)
        return fail(untranslatable("n", "Cohere's chat gives one answer for a request."));
    leave_out();
    json_.object().key("model").string(target_.model).key("messages").array();
    for (const Message& one : request_.messages) {
        if (auto written = message(one); !written) return fail(written.error());
    }
    json_.close_array();
    numbers();
    tools();
    format();
    thinking();
    json_.key("stream").boolean(request_.stream).close_object();
    return std::move(out_);
}

}  // namespace

Result<std::string> ChatCodec::write_request(const ChatRequest& request,
                                             const RequestTarget& target, Losses& losses) const {
    return RequestWriter(request, target, losses).write();
}

}  // namespace leeway::wire::cohere
