#include "json/write.hpp"
#include "wire/canonical/common.hpp"
#include "wire/openai/responses_codec.hpp"

#include <string_view>

namespace leeway::wire::openai {
namespace {

using json::Writer;
using Kind = Part::Kind;

class RequestWriter {
public:
    RequestWriter(const ChatRequest& request, const RequestTarget& target, Losses& losses)
        : request_(request), target_(target), losses_(losses), json_(out_) {}
    Result<std::string> write();

private:
    Result<void> content(const Part& part, bool assistant);
    Result<void> message(const Message& message);
    Result<void> tool_result(const Part& part);
    void tool_call(const Part& part);
    void tools();
    void text();
    void close_message() {
        if (open_) json_.close_array().close_object();
        open_ = false;
    }

    const ChatRequest& request_;
    const RequestTarget& target_;
    Losses& losses_;
    std::string out_;
    Writer json_;
    bool open_ = false;
};

Result<void> RequestWriter::content(const Part& part, bool assistant) {
    if (part.cache != CacheMark::kNone) losses_.drop("cache_control");
    switch (part.kind) {
        case Kind::kText:
            json_.object().key("type").string(assistant ? "output_text" : "input_text");
            json_.key("text").string(part.text).close_object();
            return {};
        case Kind::kRefusal:
            json_.object()
                .key("type")
                .string("refusal")
                .key("refusal")
                .string(part.text)
                .close_object();
            return {};
        case Kind::kImage:
            json_.object().key("type").string("input_image");
            if (!part.file_id.empty()) {
                json_.key("file_id").string(part.file_id);
            } else {
                json_.key("image_url")
                    .string(part.url.empty() ? data_url(part.media_type, part.data) : part.url);
            }
            json_.key("detail").string(part.detail.empty() ? "auto" : part.detail).close_object();
            return {};
        case Kind::kDocument:
            if (!part.text.empty()) {
                json_.object()
                    .key("type")
                    .string("input_text")
                    .key("text")
                    .string(part.text)
                    .close_object();
                return {};
            }
            json_.object().key("type").string("input_file");
            if (!part.file_id.empty()) {
                json_.key("file_id").string(part.file_id);
            } else if (!part.url.empty()) {
                json_.key("file_url").string(part.url);
            } else {
                json_.key("filename").string(part.name.empty() ? "document.pdf" : part.name);
                json_.key("file_data").string(data_url(part.media_type, part.data));
            }
            json_.close_object();
            return {};
        case Kind::kAudio:
        case Kind::kVideo:
            return fail(untranslatable(part.kind == Kind::kAudio ? "audio" : "video",
                                       "OpenAI's Responses take no audio and no video."));
        case Kind::kThinking:
        case Kind::kRedacted:
        case Kind::kToolCall:
        case Kind::kToolResult: return {};
    }
    return {};
}

void RequestWriter::tool_call(const Part& part) {
    json_.object().key("type").string("function_call").key("call_id").string(part.id);
    json_.key("name").string(part.name);
    json_.key("arguments").string(part.text.empty() ? "{}" : part.text).close_object();
}

Result<void> RequestWriter::tool_result(const Part& part) {
    json_.object().key("type").string("function_call_output").key("call_id").string(part.id);
    json_.key("output");
    bool only_text = true;
    for (const Part& one : part.content) only_text = only_text && one.kind == Kind::kText;
    if (only_text) {
        json_.string((part.is_error ? "Error: " : "") + joined_text(part.content, "\n"));
    } else {
        json_.array();
        for (const Part& one : part.content) {
            if (auto written = content(one, false); !written) return written;
        }
        json_.close_array();
    }
    json_.close_object();
    return {};
}

Result<void> RequestWriter::message(const Message& message) {
    const bool assistant = message.role == Role::kAssistant;
    if (!message.name.empty()) losses_.drop("name");
    std::string_view role = "user";
    if (assistant) role = "assistant";
    if (message.role == Role::kSystem) role = "system";
    if (message.role == Role::kDeveloper) role = "developer";
    for (const Part& part : message.parts) {
        if (part.kind == Kind::kThinking || part.kind == Kind::kRedacted) {
            losses_.drop("thinking");  // only the items that OpenAI made are taken back
            continue;
        }
        if (part.kind == Kind::kToolCall || part.kind == Kind::kToolResult) {
            close_message();
            if (part.kind == Kind::kToolCall) {
                tool_call(part);
            } else if (auto written = tool_result(part); !written) {
                return written;
            }
            continue;
        }
        if (!open_) {
            json_.object()
                .key("type")
                .string("message")
                .key("role")
                .string(role)
                .key("content")
                .array();
            open_ = true;
        }
        if (auto written = content(part, assistant); !written) return written;
    }
    close_message();
    return {};
}

void RequestWriter::tools() {
    if (!request_.tools.empty()) {
        json_.key("tools").array();
        for (const Tool& tool : request_.tools) {
            json_.object().key("type").string("function").key("name").string(tool.name);
            if (!tool.description.empty()) json_.key("description").string(tool.description);
            json_.key("parameters");
            if (tool.parameters.empty()) {
                json_.null();
            } else {
                json_.raw(tool.parameters);
            }
            // Responses are strict where nothing is said, the other dialects are not.
            json_.key("strict").boolean(tool.strict.value_or(false)).close_object();
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
            json_.key("name").string(choice.name).close_object();
            break;
    }
    if (choice.parallel && !request_.tools.empty())
        json_.key("parallel_tool_calls").boolean(*choice.parallel);
}

void RequestWriter::text() {
    const OutputFormat& format = request_.format;
    if (format.kind == OutputFormat::Kind::kJson) {
        json_.key("text").object().key("format").object().key("type").string("json_object");
        json_.close_object().close_object();
    } else if (format.kind == OutputFormat::Kind::kSchema) {
        json_.key("text").object().key("format").object().key("type").string("json_schema");
        json_.key("name").string(format.name.empty() ? "structured_output" : format.name);
        if (!format.description.empty()) json_.key("description").string(format.description);
        if (format.strict) json_.key("strict").boolean(*format.strict);
        json_.key("schema").raw(format.schema).close_object().close_object();
    }
    const Reasoning& reasoning = request_.reasoning;
    if (reasoning.kind == Reasoning::Kind::kUnset || reasoning.kind == Reasoning::Kind::kOff)
        return;
    std::string_view effort = reasoning.effort;
    if (effort.empty() && reasoning.kind == Reasoning::Kind::kBudget)
        effort = effort_of_budget(reasoning.budget);
    if (effort.empty() && !reasoning.shown) return;
    json_.key("reasoning").object();
    if (!effort.empty()) json_.key("effort").string(effort);
    if (reasoning.shown) json_.key("summary").string("auto");
    json_.close_object();
}

Result<std::string> RequestWriter::write() {
    if (request_.n > 1)
        return fail(untranslatable("n", "OpenAI's Responses give one answer for a request."));
    for (const std::string& field : request_.unknown) losses_.drop(field);
    for (auto [key, value] : {std::pair<std::string_view, const std::string*>{
                                  "presence_penalty", &request_.presence_penalty},
                              {"frequency_penalty", &request_.frequency_penalty},
                              {"seed", &request_.seed},
                              {"top_k", &request_.top_k}}) {
        if (!value->empty()) losses_.drop(key);
    }
    if (!request_.stop.empty()) losses_.drop("stop");
    json_.object().key("model").string(target_.model).key("input").array();
    for (const Message& one : request_.messages) {
        if (auto written = message(one); !written) return fail(written.error());
    }
    json_.close_array();
    if (request_.max_tokens) json_.key("max_output_tokens").integer(*request_.max_tokens);
    if (!request_.temperature.empty()) json_.key("temperature").raw(request_.temperature);
    if (!request_.top_p.empty()) json_.key("top_p").raw(request_.top_p);
    if (request_.top_logprobs) {
        json_.key("top_logprobs").integer(*request_.top_logprobs);
        json_.key("include").array().string("message.output_text.logprobs").close_array();
    }
    tools();
    text();
    if (!request_.user.empty()) json_.key("user").string(request_.user);
    if (!request_.metadata.empty()) json_.key("metadata").raw(request_.metadata);
    if (!request_.service_tier.empty()) json_.key("service_tier").string(request_.service_tier);
    json_.key("store").boolean(false);  // the caller's dialect keeps nothing
    if (request_.stream) json_.key("stream").boolean(true);
    json_.close_object();
    return std::move(out_);
}

}  // namespace

Result<std::string> ResponsesCodec::write_request(const ChatRequest& request,
                                                  const RequestTarget& target,
                                                  Losses& losses) const {
    return RequestWriter(request, target, losses).write();
}

}  // namespace leeway::wire::openai
