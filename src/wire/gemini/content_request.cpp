#include "prices/rates.hpp"
#include "wire/canonical/common.hpp"
#include "wire/gemini/content_codec.hpp"
#include "wire/gemini/parts.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace leeway::wire::gemini {

namespace {

using json::Node;
using Kind = Part::Kind;

}  // namespace

const Node* find(const Node& object, std::string_view camel, std::string_view snake) noexcept {
    const Node* found = object.find(camel);
    return found != nullptr ? found : object.find(snake);
}

namespace {

std::string_view text_of(const Node& object, std::string_view camel, std::string_view snake) {
    const Node* found = find(object, camel, snake);
    return found != nullptr && found->is_string() ? std::string_view(found->text)
                                                  : std::string_view();
}

Kind kind_of(std::string_view media_type) {
    if (media_type.starts_with("image/")) return Kind::kImage;
    if (media_type.starts_with("audio/")) return Kind::kAudio;
    if (media_type.starts_with("video/")) return Kind::kVideo;
    return Kind::kDocument;
}

void read_response(const Node& response, Part& part) {
    part.kind = Kind::kToolResult;
    part.id = response.text_of("id");
    part.name = response.text_of("name");
    const Node* body = response.find("response");
    if (body == nullptr) return;
    const Node* only = nullptr;
    if (body->is_object() && body->members.size() == 1) {
        const std::string& key = body->members.front().key;
        part.is_error = key == "error";
        if (key == "output" || key == "result" || key == "content" || key == "error")
            only = &body->members.front().value;
    }
    if (only != nullptr && only->is_string()) {
        part.content.push_back(Part::of_text(only->text));
    } else {
        part.content.push_back(Part::of_text((only != nullptr ? only : body)->json()));
    }
}

}  // namespace

Result<void> read_part(const Node& node, const std::string& param, std::vector<Part>& out) {
    if (!node.is_object()) return fail(wrong_type(param, "an object"));
    Part part;
    part.signature = text_of(node, "thoughtSignature", "thought_signature");
    const Node* thought = node.find("thought");
    if (const Node* text = node.find("text"); text != nullptr && text->is_string()) {
        part.text = text->text;
        if (thought != nullptr && thought->is_true()) part.kind = Kind::kThinking;
    } else if (const Node* data = find(node, "inlineData", "inline_data")) {
        part.media_type = text_of(*data, "mimeType", "mime_type");
        part.data = data->text_of("data");
        part.kind = kind_of(part.media_type);
    } else if (const Node* file = find(node, "fileData", "file_data")) {
        part.media_type = text_of(*file, "mimeType", "mime_type");
        part.url = text_of(*file, "fileUri", "file_uri");
        part.kind = kind_of(part.media_type);
    } else if (const Node* call = find(node, "functionCall", "function_call")) {
        part.kind = Kind::kToolCall;
        part.id = call->text_of("id");
        part.name = call->text_of("name");
        const Node* arguments = call->find("args");
        part.text = arguments == nullptr || arguments->is_null() ? "{}" : arguments->json();
    } else if (const Node* response = find(node, "functionResponse", "function_response")) {
        read_response(*response, part);
    } else if (!part.signature.empty()) {
        part.kind = Kind::kThinking;  // a signature alone
    } else {
        return fail(untranslatable(param,
                                   "This kind of part is not known, so it cannot be translated for "
                                   "this model's provider."));
    }
    out.push_back(std::move(part));
    return {};
}

namespace {

class Reader {
public:
    explicit Reader(const Node& body) : body_(body) {}
    Result<ChatRequest> read();

private:
    Result<void> contents();
    Result<void> system();
    void tools();
    void tool_config();
    Result<void> config(const Node& config);
    Result<void> numbers(const Node& config);
    void name_calls();

    const Node& body_;
    ChatRequest out_;
};

Result<void> Reader::system() {
    const Node* system = find(body_, "systemInstruction", "system_instruction");
    if (system == nullptr || system->is_null()) return {};
    Message message;
    message.role = Role::kSystem;
    if (const Node* parts = system->find("parts"); parts != nullptr && parts->is_array()) {
        for (const Node& part : parts->elements) {
            if (auto read = read_part(part, "systemInstruction", message.parts); !read) return read;
        }
    }
    if (!message.parts.empty()) out_.messages.push_back(std::move(message));
    return {};
}

Result<void> Reader::contents() {
    const Node* list = body_.find("contents");
    if (list == nullptr) return fail(missing("contents"));
    const Node single = list->is_object() ? *list : Node();
    if (!list->is_array() && !list->is_object()) return fail(wrong_type("contents", "an array"));
    const std::size_t count = list->is_object() ? 1 : list->elements.size();
    for (std::size_t i = 0; i < count; ++i) {
        const std::string param = "contents[" + std::to_string(i) + ']';
        const Node& node = list->is_object() ? single : list->elements[i];
        if (!node.is_object()) return fail(wrong_type(param, "an object"));
        Message message;
        message.role = node.text_of("role") == "model" ? Role::kAssistant : Role::kUser;
        const Node* parts = node.find("parts");
        if (parts == nullptr || !parts->is_array()) return fail(missing(param + ".parts"));
        for (std::size_t j = 0; j < parts->elements.size(); ++j) {
            const std::string where = param + ".parts[" + std::to_string(j) + ']';
            if (auto read = read_part(parts->elements[j], where, message.parts); !read) return read;
        }
        if (!message.parts.empty()) out_.messages.push_back(std::move(message));
    }
    return {};
}

/// Calls and their answers have no ids in older requests: those of a name answer one another in order.
void Reader::name_calls() {
    std::vector<Part*> open;
    std::size_t number = 0;
    for (Message& message : out_.messages) {
        for (Part& part : message.parts) {
            if (part.kind == Kind::kToolCall) {
                if (part.id.empty()) part.id = "call_" + std::to_string(number++);
                open.push_back(&part);
            } else if (part.kind == Kind::kToolResult) {
                const auto call = std::find_if(open.begin(), open.end(), [&](const Part* one) {
                    return part.id.empty() ? one->name == part.name : one->id == part.id;
                });
                if (call == open.end()) continue;
                if (part.id.empty()) part.id = (*call)->id;
                open.erase(call);
            }
        }
    }
}

void Reader::tools() {
    const Node* list = body_.find("tools");
    if (list == nullptr || !list->is_array()) return;
    for (std::size_t i = 0; i < list->elements.size(); ++i) {
        const Node& entry = list->elements[i];
        if (!entry.is_object()) continue;
        const Node* functions = find(entry, "functionDeclarations", "function_declarations");
        if (functions == nullptr || !functions->is_array()) {
            out_.unknown.push_back("tools[" + std::to_string(i) + "]");
            continue;
        }
        for (const Node& function : functions->elements) {
            if (!function.is_object()) continue;
            Tool tool;
            tool.name = function.text_of("name");
            tool.description = function.text_of("description");
            const Node* schema = find(function, "parametersJsonSchema", "parameters_json_schema");
            if (schema == nullptr) schema = function.find("parameters");
            if (schema != nullptr && schema->is_object()) tool.parameters = schema->json();
            out_.tools.push_back(std::move(tool));
        }
    }
}

void Reader::tool_config() {
    const Node* config = find(body_, "toolConfig", "tool_config");
    if (config == nullptr || !config->is_object()) return;
    const Node* calling = find(*config, "functionCallingConfig", "function_calling_config");
    if (calling == nullptr || !calling->is_object()) return;
    const std::string_view mode = calling->text_of("mode");
    ToolChoice& to = out_.tool_choice;
    if (mode == "AUTO" || mode == "VALIDATED") to.kind = ToolChoice::Kind::kAuto;
    if (mode == "NONE") to.kind = ToolChoice::Kind::kNone;
    if (mode == "ANY") to.kind = ToolChoice::Kind::kRequired;
    const Node* names = find(*calling, "allowedFunctionNames", "allowed_function_names");
    if (names == nullptr || !names->is_array()) return;
    if (mode == "ANY" && names->elements.size() == 1 && names->elements.front().is_string()) {
        to.kind = ToolChoice::Kind::kNamed;
        to.name = names->elements.front().text;
    } else if (!names->elements.empty()) {
        out_.unknown.emplace_back("toolConfig.functionCallingConfig.allowedFunctionNames");
    }
}

Result<void> Reader::numbers(const Node& config) {
    struct Field {
        std::string_view camel;
        std::string_view snake;
        std::string* to;
    };
    for (const Field& field :
         {Field{"temperature", "temperature", &out_.temperature},
          Field{"topP", "top_p", &out_.top_p}, Field{"topK", "top_k", &out_.top_k},
          Field{"presencePenalty", "presence_penalty", &out_.presence_penalty},
          Field{"frequencyPenalty", "frequency_penalty", &out_.frequency_penalty},
          Field{"seed", "seed", &out_.seed}}) {
        auto text =
            number_text(config, config.find(field.camel) != nullptr ? field.camel : field.snake);
        if (!text) return fail(text.error());
        *field.to = std::move(*text);
    }
    struct Count {
        std::string_view camel;
        std::string_view snake;
        std::optional<std::int64_t>* to;
    };
    std::optional<std::int64_t> candidates;
    for (const Count& field : {Count{"maxOutputTokens", "max_output_tokens", &out_.max_tokens},
                               Count{"candidateCount", "candidate_count", &candidates},
                               Count{"logprobs", "logprobs", &out_.top_logprobs}}) {
        auto value =
            integer_of(config, config.find(field.camel) != nullptr ? field.camel : field.snake);
        if (!value) return fail(value.error());
        *field.to = *value;
    }
    out_.n = candidates.value_or(1);
    return {};
}

Result<void> Reader::config(const Node& config) {
    if (auto read = numbers(config); !read) return read;
    if (const Node* wanted = find(config, "responseLogprobs", "response_logprobs"))
        out_.logprobs = wanted->is_true();
    if (const Node* stop = find(config, "stopSequences", "stop_sequences");
        stop != nullptr && stop->is_array()) {
        for (const Node& one : stop->elements) {
            if (one.is_string()) out_.stop.push_back(one.text);
        }
    }
    if (text_of(config, "responseMimeType", "response_mime_type") == "application/json")
        out_.format.kind = OutputFormat::Kind::kJson;
    const Node* schema = find(config, "responseJsonSchema", "response_json_schema");
    if (schema == nullptr) schema = find(config, "responseSchema", "response_schema");
    if (schema != nullptr && schema->is_object()) {
        out_.format.kind = OutputFormat::Kind::kSchema;
        out_.format.schema = schema->json();
    }
    if (const Node* thinking = find(config, "thinkingConfig", "thinking_config");
        thinking != nullptr && thinking->is_object()) {
        Reasoning& to = out_.reasoning;
        if (const Node* shown = find(*thinking, "includeThoughts", "include_thoughts"))
            to.shown = shown->is_true();
        if (const Node* budget = find(*thinking, "thinkingBudget", "thinking_budget")) {
            to.budget = budget->integer().value_or(-1);
            to.kind = to.budget > 0
                          ? Reasoning::Kind::kBudget
                          : (to.budget == 0 ? Reasoning::Kind::kOff : Reasoning::Kind::kAdaptive);
        }
        const std::string_view level = text_of(*thinking, "thinkingLevel", "thinking_level");
        if (!level.empty()) {
            to.kind = Reasoning::Kind::kEffort;
            for (const char c : level)
                to.effort.push_back(static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c));
        }
    }
    static constexpr std::array<std::string_view, 26> kKnown{"temperature",
                                                             "topP",
                                                             "top_p",
                                                             "topK",
                                                             "top_k",
                                                             "presencePenalty",
                                                             "presence_penalty",
                                                             "frequencyPenalty",
                                                             "frequency_penalty",
                                                             "seed",
                                                             "maxOutputTokens",
                                                             "max_output_tokens",
                                                             "candidateCount",
                                                             "candidate_count",
                                                             "logprobs",
                                                             "responseLogprobs",
                                                             "response_logprobs",
                                                             "stopSequences",
                                                             "stop_sequences",
                                                             "responseMimeType",
                                                             "response_mime_type",
                                                             "responseJsonSchema",
                                                             "responseSchema",
                                                             "response_schema",
                                                             "thinkingConfig",
                                                             "thinking_config"};
    for (const Node::Member& member : config.members) {
        if (std::find(kKnown.begin(), kKnown.end(), member.key) == kKnown.end())
            out_.unknown.push_back("generationConfig." + member.key);
    }
    return {};
}

Result<ChatRequest> Reader::read() {
    if (auto read = system(); !read) return fail(read.error());
    if (auto read = contents(); !read) return fail(read.error());
    name_calls();
    tools();
    tool_config();
    if (const Node* found = find(body_, "generationConfig", "generation_config");
        found != nullptr && found->is_object()) {
        if (auto read = config(*found); !read) return fail(read.error());
    }
    const auto tier = prices::tier_of(text_of(body_, "serviceTier", "service_tier"));
    if (tier == prices::Tier::kStandard) out_.service_tier = "default";
    if (tier == prices::Tier::kFlex || tier == prices::Tier::kPriority)
        out_.service_tier = prices::to_string(*tier);
    static constexpr std::array<std::string_view, 11> kKnown{
        "contents",   "systemInstruction", "system_instruction", "tools",
        "toolConfig", "tool_config",       "generationConfig",   "generation_config",
        "model",      "serviceTier",       "service_tier"};
    for (const Node::Member& member : body_.members) {
        if (std::find(kKnown.begin(), kKnown.end(), member.key) == kKnown.end())
            out_.unknown.push_back(member.key);
    }
    out_.include_usage = true;
    return std::move(out_);
}

}  // namespace

Result<ChatRequest> ContentCodec::read_request(std::string_view body) const {
    const auto node = read_body(body);
    if (!node) return fail(node.error());
    return Reader(*node).read();
}

}  // namespace leeway::wire::gemini
