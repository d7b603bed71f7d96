#include "json/write.hpp"
#include "wire/canonical/common.hpp"
#include "wire/gemini/content_codec.hpp"
#include "wire/gemini/parts.hpp"

#include <algorithm>
#include <array>
#include <map>

namespace leeway::wire::gemini {
namespace {

using json::Writer;
using Kind = Part::Kind;

// Google's documented word for calls that no Gemini model signed: without one, Gemini 3 refuses the history.
constexpr std::string_view kUnsigned = "skip_thought_signature_validator";

std::string_view guessed_type(std::string_view url, Kind kind) {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kEndings{
        {{".png", "image/png"},
         {".webp", "image/webp"},
         {".gif", "image/gif"},
         {".pdf", "application/pdf"},
         {".mp4", "video/mp4"},
         {".mp3", "audio/mpeg"}}};
    const std::string_view path = url.substr(0, url.find('?'));
    for (const auto& [ending, type] : kEndings) {
        if (path.ends_with(ending)) return type;
    }
    return kind == Kind::kDocument ? "application/pdf" : "image/jpeg";
}

class RequestWriter {
public:
    RequestWriter(const ChatRequest& request, const RequestTarget& target, Losses& losses)
        : request_(request), target_(target), losses_(losses), json_(out_) {}
    Result<std::string> write();

private:
    Result<void> part(const Part& part, bool first_call);
    Result<void> media(const Part& part);
    void tool_result(const Part& part);
    Result<void> contents();
    void system();
    void tools();
    void config();
    void thinking(Writer& json);
    void mark(const Part& part) {
        if (part.cache != CacheMark::kNone) losses_.drop("cache_control");
    }

    const ChatRequest& request_;
    const RequestTarget& target_;
    Losses& losses_;
    std::string out_;
    Writer json_;
    std::map<std::string_view, std::string_view> names_;  // of calls, by id
};

Result<void> RequestWriter::media(const Part& part) {
    if (!part.file_id.empty()) {
        return fail(untranslatable(
            "file_id", "A file named by a provider's id cannot be sent to another provider."));
    }
    if (!part.url.empty()) {
        json_.object().key("fileData").object().key("mimeType");
        json_.string(part.media_type.empty() ? guessed_type(part.url, part.kind) : part.media_type);
        json_.key("fileUri").string(part.url).close_object().close_object();
        return {};
    }
    json_.object().key("inlineData").object().key("mimeType");
    json_.string(part.media_type.empty() ? "application/pdf" : part.media_type);
    json_.key("data").string(part.data).close_object().close_object();
    return {};
}

void RequestWriter::tool_result(const Part& part) {
    std::string text;
    for (const Part& one : part.content) {
        mark(one);
        if (one.kind != Kind::kText) continue;
        if (!text.empty()) text += '\n';
        text += one.text;
    }
    std::string_view name = part.name;
    if (const auto call = names_.find(part.id); call != names_.end()) name = call->second;
    json_.object().key("functionResponse").object();
    if (!part.id.empty()) json_.key("id").string(part.id);
    json_.key("name").string(name).key("response");
    const auto parsed = json::parse_node(text);
    if (!part.is_error && parsed && parsed->is_object()) {
        json_.raw(text);
    } else {
        json_.object().key(part.is_error ? "error" : "output").string(text).close_object();
    }
    json_.close_object().close_object();
}

Result<void> RequestWriter::part(const Part& part, bool first_call) {
    mark(part);
    switch (part.kind) {
        case Kind::kText:
        case Kind::kRefusal:
            if (part.text.empty()) return {};
            json_.object().key("text").string(part.text).close_object();
            return {};
        case Kind::kThinking:
            if (part.signature.empty()) {
                losses_.drop("thinking");
                return {};
            }
            json_.object().key("text").string(part.text).key("thought").boolean(true);
            json_.key("thoughtSignature").string(part.signature).close_object();
            return {};
        case Kind::kRedacted: losses_.drop("thinking"); return {};
        case Kind::kDocument:
            if (!part.text.empty()) {
                json_.object().key("text").string(part.text).close_object();
                return {};
            }
            return media(part);
        case Kind::kImage:
        case Kind::kAudio:
        case Kind::kVideo: return media(part);
        case Kind::kToolCall: {
            names_[part.id] = part.name;
            json_.object().key("functionCall").object();
            if (!part.id.empty()) json_.key("id").string(part.id);
            json_.key("name").string(part.name).key("args").raw(object_of(part.text));
            json_.close_object();
            if (!part.signature.empty()) {
                json_.key("thoughtSignature").string(part.signature);
            } else if (first_call && target_.model.starts_with("gemini-3")) {
                json_.key("thoughtSignature").string(kUnsigned);
            }
            json_.close_object();
            return {};
        }
        case Kind::kToolResult: {
            tool_result(part);
            for (const Part& one : part.content) {
                if (one.kind == Kind::kText) continue;
                if (auto written = media(one); !written) return written;
            }
            return {};
        }
    }
    return {};
}

void RequestWriter::system() {
    bool any = false;
    for (const Message& message : request_.messages) {
        if (!is_system(message)) continue;
        for (const Part& one : message.parts) {
            mark(one);
            if (one.kind != Kind::kText || one.text.empty()) continue;
            if (!any) json_.key("systemInstruction").object().key("parts").array();
            any = true;
            json_.object().key("text").string(one.text).close_object();
        }
    }
    if (any) json_.close_array().close_object();
}

Result<void> RequestWriter::contents() {
    json_.key("contents").array();
    const Message* open = nullptr;
    for (const Message& message : request_.messages) {
        if (is_system(message)) continue;
        if (!message.name.empty()) losses_.drop("name");
        if (open == nullptr || open->role != message.role) {
            if (open != nullptr) json_.close_array().close_object();
            json_.object().key("role").string(message.role == Role::kAssistant ? "model" : "user");
            json_.key("parts").array();
            open = &message;
        }
        bool first_call = true;
        for (const Part& one : message.parts) {
            if (auto written = part(one, first_call); !written) return written;
            first_call = first_call && one.kind != Kind::kToolCall;
        }
    }
    if (open != nullptr) json_.close_array().close_object();
    json_.close_array();
    return {};
}

void RequestWriter::tools() {
    if (!request_.tools.empty()) {
        json_.key("tools").array().object().key("functionDeclarations").array();
        for (const Tool& tool : request_.tools) {
            if (tool.cache != CacheMark::kNone) losses_.drop("cache_control");
            json_.object().key("name").string(tool.name);
            if (!tool.description.empty()) json_.key("description").string(tool.description);
            if (!tool.parameters.empty()) json_.key("parametersJsonSchema").raw(tool.parameters);
            json_.close_object();
        }
        json_.close_array().close_object().close_array();
    }
    const ToolChoice& choice = request_.tool_choice;
    if (choice.parallel && !*choice.parallel && !request_.tools.empty())
        losses_.drop("parallel_tool_calls");
    std::string_view mode;
    switch (choice.kind) {
        case ToolChoice::Kind::kUnset: return;
        case ToolChoice::Kind::kAuto: mode = "AUTO"; break;
        case ToolChoice::Kind::kNone: mode = "NONE"; break;
        case ToolChoice::Kind::kRequired:
        case ToolChoice::Kind::kNamed: mode = "ANY"; break;
    }
    json_.key("toolConfig").object().key("functionCallingConfig").object();
    json_.key("mode").string(mode);
    if (choice.kind == ToolChoice::Kind::kNamed)
        json_.key("allowedFunctionNames").array().string(choice.name).close_array();
    json_.close_object().close_object();
}

void RequestWriter::thinking(Writer& json) {
    const Reasoning& reasoning = request_.reasoning;
    if (reasoning.kind == Reasoning::Kind::kUnset) return;
    json.key("thinkingConfig").object();
    switch (reasoning.kind) {
        case Reasoning::Kind::kUnset: break;
        case Reasoning::Kind::kOff: json.key("thinkingBudget").integer(0); break;
        case Reasoning::Kind::kBudget: json.key("thinkingBudget").integer(reasoning.budget); break;
        case Reasoning::Kind::kAdaptive: json.key("thinkingBudget").integer(-1); break;
        case Reasoning::Kind::kEffort:
            if (target_.model.starts_with("gemini-3")) {
                json.key("thinkingLevel")
                    .string(reasoning.effort == "minimal" || reasoning.effort == "low" ? "low"
                                                                                       : "high");
            } else {
                // 2.5 Pro's most is 32,768, Flash's 24,576.
                json.key("thinkingBudget")
                    .integer(std::min<std::int64_t>(budget_of_effort(reasoning.effort), 24'576));
            }
            break;
    }
    if (reasoning.shown) json.key("includeThoughts").boolean(true);
    json.close_object();
}

void RequestWriter::config() {
    std::string inner;
    Writer json(inner);
    {
        struct Field {
            std::string_view key;
            const std::string* from;
        };
        json.object();
        for (const Field& field :
             {Field{"temperature", &request_.temperature}, Field{"topP", &request_.top_p},
              Field{"topK", &request_.top_k}, Field{"presencePenalty", &request_.presence_penalty},
              Field{"frequencyPenalty", &request_.frequency_penalty},
              Field{"seed", &request_.seed}}) {
            if (!field.from->empty()) json.key(field.key).raw(*field.from);
        }
    }
    if (request_.max_tokens) json.key("maxOutputTokens").integer(*request_.max_tokens);
    if (request_.n > 1) json.key("candidateCount").integer(request_.n);
    if (request_.logprobs) json.key("responseLogprobs").boolean(true);
    if (request_.top_logprobs) json.key("logprobs").integer(*request_.top_logprobs);
    if (!request_.stop.empty()) {
        json.key("stopSequences").array();
        for (const std::string& one : request_.stop) json.string(one);
        json.close_array();
    }
    const OutputFormat& format = request_.format;
    if (format.kind == OutputFormat::Kind::kJson || format.kind == OutputFormat::Kind::kSchema)
        json.key("responseMimeType").string("application/json");
    if (format.kind == OutputFormat::Kind::kSchema)
        json.key("responseJsonSchema").raw(format.schema);
    thinking(json);
    json.close_object();
    if (inner != "{}") json_.key("generationConfig").raw(inner);
}

Result<std::string> RequestWriter::write() {
    for (const std::string& field : request_.unknown) losses_.drop(field);
    if (!request_.user.empty()) losses_.drop("user");
    if (!request_.metadata.empty()) losses_.drop("metadata");
    if (!request_.service_tier.empty() && request_.service_tier != "auto" &&
        request_.service_tier != "default")
        losses_.drop("service_tier");
    json_.object();
    if (auto written = contents(); !written) return fail(written.error());
    system();
    tools();
    config();
    json_.close_object();
    return std::move(out_);
}

}  // namespace

Result<std::string> ContentCodec::write_request(const ChatRequest& request,
                                                const RequestTarget& target, Losses& losses) const {
    return RequestWriter(request, target, losses).write();
}

}  // namespace leeway::wire::gemini
