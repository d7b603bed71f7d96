#include "json/write.hpp"
#include "wire/anthropic/thinking.hpp"
#include "wire/bedrock/converse_codec.hpp"
#include "wire/canonical/common.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace leeway::wire::bedrock {
namespace {

using json::Writer;
using Kind = Part::Kind;

struct Turn {
    bool assistant = false;
    std::string content;  // blocks with commas between
};

class RequestWriter {
public:
    RequestWriter(const ChatRequest& request, const RequestTarget& target, Losses& losses)
        : request_(request),
          target_(target),
          losses_(losses),
          json_(out_),
          is_claude_(target.model.find("claude") != std::string_view::npos) {}
    Result<std::string> write();

private:
    Result<void> block(const Part& part, std::string& content);
    Result<void> source(const Part& part, std::string_view kind, std::string_view format,
                        Writer& json);
    Result<void> tool_result(const Part& part, std::string& content);
    Result<void> messages();
    std::string document_name(const Part& part);
    void system();
    void inference();
    void tools();
    void output();
    void additional();
    void leave_out();

    const ChatRequest& request_;
    const RequestTarget& target_;
    Losses& losses_;
    std::string out_;
    Writer json_;
    const bool is_claude_;
    bool has_calls_ = false;
    anthropic::Thinking thinking_;
    std::vector<std::string> document_names_;
};

void add(std::string& content, std::string_view block) {
    if (!content.empty()) content += ',';
    content += block;
}

void add_mark(CacheMark cache, std::string& content) {
    if (cache == CacheMark::kNone) return;
    add(content, cache == CacheMark::kOneHour ? R"({"cachePoint":{"type":"default","ttl":"1h"}})"
                                              : R"({"cachePoint":{"type":"default"}})");
}

std::string text_block(std::string_view text) {
    std::string out;
    Writer(out).object().key("text").string(text).close_object();
    return out;
}

/// The name that Converse has for a type of media; empty: it takes none such.
std::string_view format_of(std::string_view media_type) noexcept {
    struct Format {
        std::string_view media_type;
        std::string_view name;
    };
    constexpr std::array<Format, 23> kFormats{
        {{"image/png", "png"},
         {"image/jpeg", "jpeg"},
         {"image/jpg", "jpeg"},
         {"image/gif", "gif"},
         {"image/webp", "webp"},
         {"application/pdf", "pdf"},
         {"text/csv", "csv"},
         {"application/msword", "doc"},
         {"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"},
         {"application/vnd.ms-excel", "xls"},
         {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"},
         {"text/html", "html"},
         {"text/plain", "txt"},
         {"text/markdown", "md"},
         {"video/mp4", "mp4"},
         {"video/quicktime", "mov"},
         {"video/x-matroska", "mkv"},
         {"video/webm", "webm"},
         {"video/x-flv", "flv"},
         {"video/mpeg", "mpeg"},
         {"video/mpg", "mpg"},
         {"video/x-ms-wmv", "wmv"},
         {"video/3gpp", "three_gp"}}};
    const auto found = std::find_if(kFormats.begin(), kFormats.end(), [&](const Format& format) {
        return format.media_type == media_type.substr(0, media_type.find(';'));
    });
    return found == kFormats.end() ? std::string_view() : found->name;
}

/// The format of a document, whose type may say nothing where its name does.
std::string_view document_format(const Part& part) noexcept {
    if (!part.text.empty()) return "txt";
    const std::string_view told =
        format_of(part.media_type.empty() ? "application/pdf" : part.media_type);
    if (!told.empty()) return told;
    constexpr std::array<std::string_view, 9> kEndings{"pdf",  "csv",  "doc", "docx", "xls",
                                                       "xlsx", "html", "txt", "md"};
    const std::string_view name = part.name;
    const auto found =
        std::find(kEndings.begin(), kEndings.end(), name.substr(name.rfind('.') + 1));
    return found == kEndings.end() ? std::string_view() : *found;
}

/// Names are letters, digits, blanks and a few signs there, and no two documents may have the same.
std::string RequestWriter::document_name(const Part& part) {
    constexpr std::string_view kSigns = " -()[]";
    std::string out;
    for (const char c : std::string_view(part.name).substr(0, part.name.rfind('.'))) {
        const bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || kSigns.find(c) != std::string_view::npos;
        if (ok && (c != ' ' || !out.ends_with(' '))) out += c;
        if (!ok && !out.ends_with('-')) out += '-';
    }
    if (out.empty()) out = "document";
    const auto same = std::count(document_names_.begin(), document_names_.end(), out);
    document_names_.push_back(out);
    if (same > 0) out += " [" + std::to_string(same + 1) + "]";
    return out;
}

Result<void> RequestWriter::source(const Part& part, std::string_view kind, std::string_view format,
                                   Writer& json) {
    if (part.url.starts_with("s3://")) {
        json.key("source").object().key("s3Location").object().key("uri").string(part.url);
        json.close_object().close_object();
        return {};
    }
    if (part.data.empty()) {
        return fail(
            untranslatable(std::string(kind) + ".source",
                           "Bedrock takes media in the request itself or by an s3:// address, "
                           "not by another address or a file id."));
    }
    if (format.empty()) {
        return fail(untranslatable(
            std::string(kind) + ".media_type",
            "Bedrock takes no " + std::string(kind) + " of the type '" + part.media_type + "'."));
    }
    json.key("source").object().key("bytes").string(part.data).close_object();
    return {};
}

Result<void> RequestWriter::tool_result(const Part& part, std::string& content) {
    std::string inner;
    for (const Part& one : part.content) {
        if (auto written = block(one, inner); !written) return written;
    }
    std::string out;
    Writer json(out);
    json.object().key("toolResult").object().key("toolUseId").string(part.id);
    json.key("content").raw("[" + inner + "]");
    if (part.is_error) json.key("status").string("error");
    json.close_object().close_object();
    add(content, out);
    return {};
}

Result<void> RequestWriter::block(const Part& part, std::string& content) {
    std::string out;
    Writer json(out);
    const std::string_view format =
        part.kind == Kind::kDocument ? document_format(part) : format_of(part.media_type);
    switch (part.kind) {
        case Kind::kText:
        case Kind::kRefusal:
            if (!part.text.empty()) out = text_block(part.text);  // empty texts are refused
            break;
        case Kind::kImage:
        case Kind::kVideo: {
            const std::string_view kind = part.kind == Kind::kImage ? "image" : "video";
            json.object().key(kind).object().key("format").string(format);
            if (auto written = source(part, kind, format, json); !written) return written;
            json.close_object().close_object();
            break;
        }
        case Kind::kDocument:
            json.object().key("document").object().key("format");
            json.string(format).key("name").string(document_name(part));
            if (!part.text.empty()) {
                json.key("source").object().key("text").string(part.text).close_object();
            } else if (auto written = source(part, "document", format, json); !written) {
                return written;
            }
            json.close_object().close_object();
            break;
        case Kind::kAudio:
            return fail(untranslatable("audio", "Bedrock's Converse takes no audio."));
        case Kind::kThinking:
            if (part.signature.empty()) {  // the API takes only thoughts that are signed
                losses_.drop("thinking");
                return {};
            }
            json.object().key("reasoningContent").object().key("reasoningText").object();
            json.key("text").string(part.text).key("signature").string(part.signature);
            json.close_object().close_object().close_object();
            break;
        case Kind::kRedacted:
            json.object().key("reasoningContent").object().key("redactedContent");
            json.string(part.data).close_object().close_object();
            break;
        case Kind::kToolCall:
            has_calls_ = true;
            json.object().key("toolUse").object().key("toolUseId").string(part.id);
            json.key("name").string(part.name).key("input").raw(object_of(part.text));
            json.close_object().close_object();
            break;
        case Kind::kToolResult:
            has_calls_ = true;
            if (auto written = tool_result(part, content); !written) return written;
            break;
    }
    if (!out.empty()) add(content, out);
    if (!content.empty()) add_mark(part.cache, content);
    return {};
}

/// What the system says stands before the conversation there, wherever it stood.
void RequestWriter::system() {
    std::string content;
    for (const Message& message : request_.messages) {
        if (!is_system(message)) continue;
        for (const Part& part : message.parts) {
            if (part.kind != Kind::kText || part.text.empty()) continue;
            add(content, text_block(part.text));
            add_mark(part.cache, content);
        }
    }
    if (!content.empty()) json_.key("system").raw("[" + content + "]");
}

/// Messages of one role that follow one another are one, and none may be empty.
Result<void> RequestWriter::messages() {
    std::vector<Turn> turns;
    for (const Message& message : request_.messages) {
        if (is_system(message)) continue;
        if (!message.name.empty()) losses_.drop("name");
        const bool assistant = message.role == Role::kAssistant;
        if (turns.empty() || turns.back().assistant != assistant) turns.push_back({assistant, {}});
        for (const Part& part : message.parts) {
            if (auto written = block(part, turns.back().content); !written) return written;
        }
        if (turns.back().content.empty()) turns.pop_back();
    }
    json_.key("messages").array();
    for (const Turn& turn : turns) {
        json_.object().key("role").string(turn.assistant ? "assistant" : "user");
        json_.key("content").raw("[" + turn.content + "]").close_object();
    }
    json_.close_array();
    return {};
}

void RequestWriter::inference() {
    std::string out;
    Writer json(out);
    json.object();
    // Without it the answer may have as many as the model gives.
    if (request_.max_tokens) json.key("maxTokens").integer(thinking_.max_tokens);
    struct Field {
        std::string_view name;
        std::string_view key;
        const std::string* from;
    };
    for (const Field& field : {Field{"temperature", "temperature", &request_.temperature},
                               Field{"top_p", "topP", &request_.top_p}}) {
        if (field.from->empty()) continue;
        if (thinking_.on) {  // they exclude one another
            losses_.drop(field.name);
        } else {
            json.key(field.key).raw(*field.from);
        }
    }
    if (!request_.stop.empty()) {
        json.key("stopSequences").array();
        for (const std::string& one : request_.stop) json.string(one);
        json.close_array();
    }
    json.close_object();
    if (out != "{}") json_.key("inferenceConfig").raw(out);
}

/// A conversation with calls must declare tools there, also when none may be called now.
void RequestWriter::tools() {
    const ToolChoice& choice = request_.tool_choice;
    const bool none = request_.tools.empty() || choice.kind == ToolChoice::Kind::kNone;
    if (none && !has_calls_) return;
    json_.key("toolConfig").object().key("tools").array();
    if (none) {
        json_.object().key("toolSpec").object().key("name").string("no_tool");
        json_.key("description").string("No tool can be used now: do not call this one.");
        json_.key("inputSchema").object().key("json").raw(R"({"type":"object","properties":{}})");
        json_.close_object().close_object().close_object().close_array().close_object();
        return;
    }
    for (const Tool& tool : request_.tools) {
        json_.object().key("toolSpec").object().key("name").string(tool.name);
        if (!tool.description.empty()) json_.key("description").string(tool.description);
        json_.key("inputSchema").object().key("json");
        json_.raw(tool.parameters.empty() ? R"({"type":"object","properties":{}})"
                                          : tool.parameters);
        json_.close_object();
        if (tool.strict && *tool.strict) json_.key("strict").boolean(true);
        json_.close_object().close_object();
        std::string mark;
        add_mark(tool.cache, mark);
        if (!mark.empty()) json_.raw(mark);
    }
    json_.close_array();
    switch (choice.kind) {
        case ToolChoice::Kind::kUnset:
        case ToolChoice::Kind::kNone: break;
        case ToolChoice::Kind::kAuto: json_.key("toolChoice").raw(R"({"auto":{}})"); break;
        case ToolChoice::Kind::kRequired: json_.key("toolChoice").raw(R"({"any":{}})"); break;
        case ToolChoice::Kind::kNamed:
            json_.key("toolChoice").object().key("tool").object().key("name").string(choice.name);
            json_.close_object().close_object();
            break;
    }
    if (choice.parallel && !*choice.parallel) losses_.drop("parallel_tool_calls");
    json_.close_object();
}

void RequestWriter::output() {
    const OutputFormat& format = request_.format;
    // A request for some JSON says so in its text as well: OpenAI refuses it otherwise.
    if (format.kind == OutputFormat::Kind::kJson) losses_.drop("response_format");
    if (format.kind != OutputFormat::Kind::kSchema) return;
    json_.key("outputConfig").object().key("textFormat").object().key("type").string("json_schema");
    json_.key("structure").object().key("jsonSchema").object();
    json_.key("schema").string(format.schema);
    if (!format.name.empty()) json_.key("name").string(format.name);
    if (!format.description.empty()) json_.key("description").string(format.description);
    json_.close_object().close_object().close_object().close_object();
}

/// What only the model's maker knows.
void RequestWriter::additional() {
    std::string out;
    Writer json(out);
    json.object();
    if (thinking_.on) json.key("thinking").raw(anthropic::thinking_json(thinking_, target_));
    if (thinking_.wanted && !thinking_.on) losses_.drop("reasoning");
    const std::string_view effort = anthropic::effort_of(request_.reasoning);
    if (thinking_.on && target_.adaptive_thinking && !effort.empty())
        json.key("output_config").object().key("effort").string(effort).close_object();
    if (!request_.top_k.empty()) {
        if (is_claude_ && !thinking_.on) {
            json.key("top_k").raw(request_.top_k);
        } else {
            losses_.drop("top_k");
        }
    }
    json.close_object();
    if (out != "{}") json_.key("additionalModelRequestFields").raw(out);
}

void RequestWriter::leave_out() {
    for (const std::string& field : request_.unknown) losses_.drop(field);
    if (!request_.presence_penalty.empty()) losses_.drop("presence_penalty");
    if (!request_.frequency_penalty.empty()) losses_.drop("frequency_penalty");
    if (!request_.seed.empty()) losses_.drop("seed");
    if (request_.logprobs) losses_.drop("logprobs");
    if (request_.top_logprobs) losses_.drop("top_logprobs");
    if (!request_.metadata.empty()) losses_.drop("metadata");
    if (!request_.user.empty()) losses_.drop("user");
}

Result<std::string> RequestWriter::write() {
    if (request_.n > 1)
        return fail(untranslatable("n", "Bedrock's Converse gives one answer for a request."));
    leave_out();
    thinking_ = anthropic::plan_thinking(request_, target_);
    thinking_.on = thinking_.on && is_claude_;
    json_.object();
    if (auto written = messages(); !written) return fail(written.error());
    system();
    inference();
    tools();
    output();
    additional();
    for (const std::string_view tier : {"default", "flex", "priority"}) {
        if (request_.service_tier == tier)
            json_.key("serviceTier").object().key("type").string(tier).close_object();
    }
    json_.close_object();
    return std::move(out_);
}

}  // namespace

Result<std::string> ConverseCodec::write_request(const ChatRequest& request,
                                                 const RequestTarget& target,
                                                 Losses& losses) const {
    return RequestWriter(request, target, losses).write();
}

}  // namespace leeway::wire::bedrock
