#include "wire/canonical/common.hpp"
#include "wire/openai/chat_codec.hpp"

#include <string_view>
#include <utility>

namespace leeway::wire::openai {
namespace {

using json::Node;
using Kind = Part::Kind;

CacheMark mark_of(const Node& part) {
    const Node* ours = part.find("cache_control");  // OpenRouter, LiteLLM and others
    if (ours != nullptr && ours->is_object())
        return ours->text_of("ttl") == "1h" ? CacheMark::kOneHour : CacheMark::kFiveMinutes;
    const Node* openai = part.find("prompt_cache_breakpoint");
    return openai != nullptr && openai->is_object() ? CacheMark::kFiveMinutes : CacheMark::kNone;
}

/// "wav" and "mp3" are all that the API names.
std::string audio_type(std::string_view format) {
    return format == "mp3" ? "audio/mpeg" : "audio/" + std::string(format);
}

Result<Part> read_part(const Node& node, const std::string& param) {
    if (!node.is_object()) return fail(wrong_type(param, "an object"));
    Part part;
    part.cache = mark_of(node);
    const std::string_view type = node.text_of("type");
    if (type == "text" || type == "input_text" || type == "output_text") {
        part.text = node.text_of("text");
    } else if (type == "refusal") {
        part.kind = Kind::kRefusal;
        part.text = node.text_of("refusal");
    } else if (type == "image_url") {
        part.kind = Kind::kImage;
        const Node* image = node.find("image_url");
        if (image == nullptr) return fail(missing(param + ".image_url"));
        const std::string_view url =
            image->is_string() ? std::string_view(image->text) : image->text_of("url");
        if (url.empty()) return fail(missing(param + ".image_url.url"));
        if (!split_data_url(url, part.media_type, part.data)) part.url = url;
        part.detail = image->text_of("detail");
    } else if (type == "input_audio") {
        part.kind = Kind::kAudio;
        const Node* audio = node.find("input_audio");
        if (audio == nullptr) return fail(missing(param + ".input_audio"));
        part.data = audio->text_of("data");
        part.media_type = audio_type(audio->text_of("format"));
    } else if (type == "file") {
        part.kind = Kind::kDocument;
        const Node* file = node.find("file");
        if (file == nullptr) return fail(missing(param + ".file"));
        part.name = file->text_of("filename");
        part.file_id = file->text_of("file_id");
        const std::string_view data = file->text_of("file_data");
        if (!split_data_url(data, part.media_type, part.data)) part.data = data;
    } else {
        return fail(untranslatable(
            param, "A content part of type '" + std::string(type) +
                       "' is not known, so it cannot be translated for this model's provider."));
    }
    return part;
}

Result<void> read_content(const Node* content, const std::string& param, std::vector<Part>& out) {
    if (content == nullptr || content->is_null()) return {};
    if (content->is_string()) {
        out.push_back(Part::of_text(content->text));
        return {};
    }
    if (!content->is_array()) return fail(wrong_type(param, "a string or an array"));
    for (std::size_t i = 0; i < content->elements.size(); ++i) {
        auto part = read_part(content->elements[i], param + '[' + std::to_string(i) + ']');
        if (!part) return fail(part.error());
        out.push_back(std::move(*part));
    }
    return {};
}

Part call_part(const Node& function, std::string id) {
    Part part;
    part.kind = Kind::kToolCall;
    part.id = std::move(id);
    part.name = function.text_of("name");
    part.text = function.text_of("arguments");
    return part;
}

/// Thoughts in the fields that DeepSeek, vLLM and OpenRouter have for them.
void read_thoughts(const Node& message, std::vector<Part>& out) {
    if (const Node* details = message.find("reasoning_details");
        details != nullptr && details->is_array()) {
        for (const Node& detail : details->elements) {
            Part part;
            part.kind = Kind::kThinking;
            part.text = detail.text_of("text");
            part.signature = detail.text_of("signature");
            part.id = detail.text_of("id");
            if (detail.text_of("type") == "reasoning.encrypted") {
                part.kind = Kind::kRedacted;
                part.data = detail.text_of("data");
            } else if (detail.text_of("type") == "reasoning.summary") {
                part.text = detail.text_of("summary");
            }
            if (!part.text.empty() || !part.data.empty()) out.push_back(std::move(part));
        }
        if (!out.empty()) return;
    }
    std::string_view thoughts = message.text_of("reasoning_content");
    if (thoughts.empty()) thoughts = message.text_of("reasoning");
    if (thoughts.empty()) return;
    Part part;
    part.kind = Kind::kThinking;
    part.text = thoughts;
    part.signature = message.text_of("reasoning_signature");
    out.push_back(std::move(part));
}

class Reader {
public:
    explicit Reader(const Node& body) : body_(body) {}
    Result<ChatRequest> read();

private:
    Result<void> messages();
    Result<void> message(const Node& node, const std::string& param);
    Result<void> tools();
    void tool_choice();
    Result<void> format();
    Result<void> numbers();
    Result<void> stop();

    const Node& body_;
    ChatRequest out_;
};

Result<void> Reader::message(const Node& node, const std::string& param) {
    if (!node.is_object()) return fail(wrong_type(param, "an object"));
    const std::string_view role = node.text_of("role");
    Message message;
    message.name = node.text_of("name");
    if (role == "system" || role == "developer") {
        message.role = role == "system" ? Role::kSystem : Role::kDeveloper;
    } else if (role == "user" || role == "tool" || role == "function") {
        message.role = Role::kUser;
    } else if (role == "assistant") {
        message.role = Role::kAssistant;
    } else {
        return fail(Error{ErrorCode::kInvalidRequest,
                          "Invalid value: '" + std::string(role) + "'.",
                          {},
                          param + ".role",
                          "invalid_value"});
    }
    if (role == "assistant") read_thoughts(node, message.parts);
    std::vector<Part> content;
    if (auto read = read_content(node.find("content"), param + ".content", content); !read)
        return read;
    if (role == "tool" || role == "function") {
        Part result;
        result.kind = Kind::kToolResult;
        result.id = node.text_of("tool_call_id");
        result.name = node.text_of("name");
        if (result.id.empty()) result.id = result.name;
        if (!content.empty()) result.cache = content.back().cache;
        result.content = std::move(content);
        message.name.clear();
        message.parts.push_back(std::move(result));
        // Answers to one turn's calls belong into one message.
        const bool joins = !out_.messages.empty() && out_.messages.back().role == Role::kUser &&
                           out_.messages.back().parts.back().kind == Kind::kToolResult;
        if (joins) {
            out_.messages.back().parts.push_back(std::move(message.parts.back()));
            return {};
        }
    } else {
        for (Part& part : content) message.parts.push_back(std::move(part));
    }
    const std::string_view refusal = node.text_of("refusal");
    if (!refusal.empty()) {
        message.parts.push_back(Part::of_text(std::string(refusal)));
        message.parts.back().kind = Kind::kRefusal;
    }
    if (const Node* calls = node.find("tool_calls"); calls != nullptr && calls->is_array()) {
        for (std::size_t i = 0; i < calls->elements.size(); ++i) {
            const Node& call = calls->elements[i];
            const Node* function = call.is_object() ? call.find("function") : nullptr;
            if (function == nullptr || !function->is_object()) {
                return fail(untranslatable(param + ".tool_calls[" + std::to_string(i) + "]",
                                           "Only calls of functions can be translated."));
            }
            message.parts.push_back(call_part(*function, std::string(call.text_of("id"))));
        }
    }
    if (const Node* call = node.find("function_call"); call != nullptr && call->is_object())
        message.parts.push_back(call_part(*call, std::string(call->text_of("name"))));
    if (!message.parts.empty()) out_.messages.push_back(std::move(message));
    return {};
}

Result<void> Reader::messages() {
    const Node* list = body_.find("messages");
    if (list == nullptr) return fail(missing("messages"));
    if (!list->is_array()) return fail(wrong_type("messages", "an array"));
    for (std::size_t i = 0; i < list->elements.size(); ++i) {
        if (auto read = message(list->elements[i], "messages[" + std::to_string(i) + ']'); !read)
            return read;
    }
    return {};
}

Result<void> Reader::tools() {
    const auto add = [&](const Node& function, const Node* tool) {
        Tool one;
        one.name = function.text_of("name");
        one.description = function.text_of("description");
        if (const Node* schema = function.find("parameters");
            schema != nullptr && schema->is_object())
            one.parameters = schema->json();
        if (const Node* strict = function.find("strict"); strict != nullptr && strict->is_bool())
            one.strict = strict->is_true();
        if (tool != nullptr) one.cache = mark_of(*tool);
        out_.tools.push_back(std::move(one));
    };
    if (const Node* list = body_.find("tools"); list != nullptr && list->is_array()) {
        for (std::size_t i = 0; i < list->elements.size(); ++i) {
            const Node& tool = list->elements[i];
            const Node* function = tool.is_object() ? tool.find("function") : nullptr;
            if (function != nullptr && function->is_object()) {
                add(*function, &tool);
            } else {
                out_.unknown.push_back("tools[" + std::to_string(i) + "]");
            }
        }
    }
    if (const Node* list = body_.find("functions"); list != nullptr && list->is_array()) {
        for (const Node& function : list->elements) {
            if (function.is_object()) add(function, nullptr);
        }
    }
    return {};
}

void Reader::tool_choice() {
    const Node* choice = body_.find("tool_choice");
    if (choice == nullptr || choice->is_null()) choice = body_.find("function_call");
    if (const Node* parallel = body_.find("parallel_tool_calls");
        parallel != nullptr && parallel->is_bool())
        out_.tool_choice.parallel = parallel->is_true();
    if (choice == nullptr) return;
    ToolChoice& to = out_.tool_choice;
    if (choice->is_string()) {
        if (choice->text == "auto") to.kind = ToolChoice::Kind::kAuto;
        if (choice->text == "none") to.kind = ToolChoice::Kind::kNone;
        if (choice->text == "required") to.kind = ToolChoice::Kind::kRequired;
        return;
    }
    if (!choice->is_object()) return;
    const Node* function = choice->find("function");
    to.name = function != nullptr ? function->text_of("name") : choice->text_of("name");
    if (!to.name.empty()) {
        to.kind = ToolChoice::Kind::kNamed;
    } else {
        out_.unknown.emplace_back("tool_choice");
    }
}

Result<void> Reader::format() {
    const Node* format = body_.find("response_format");
    if (format == nullptr || format->is_null()) return {};
    if (!format->is_object()) return fail(wrong_type("response_format", "an object"));
    const std::string_view type = format->text_of("type");
    OutputFormat& to = out_.format;
    if (type == "text") {
        to.kind = OutputFormat::Kind::kText;
    } else if (type == "json_object") {
        to.kind = OutputFormat::Kind::kJson;
    } else if (type == "json_schema") {
        const Node* schema = format->find("json_schema");
        if (schema == nullptr || !schema->is_object())
            return fail(missing("response_format.json_schema"));
        to.kind = OutputFormat::Kind::kSchema;
        to.name = schema->text_of("name");
        to.description = schema->text_of("description");
        if (const Node* strict = schema->find("strict"); strict != nullptr && strict->is_bool())
            to.strict = strict->is_true();
        const Node* inner = schema->find("schema");
        to.schema = inner != nullptr && inner->is_object() ? inner->json() : "{}";
    } else {
        return fail(
            untranslatable("response_format.type",
                           "This response format cannot be translated for this model's provider."));
    }
    return {};
}

Result<void> Reader::numbers() {
    struct Field {
        std::string_view key;
        std::string* to;
    };
    for (const Field& field :
         {Field{"temperature", &out_.temperature}, Field{"top_p", &out_.top_p},
          Field{"top_k", &out_.top_k}, Field{"presence_penalty", &out_.presence_penalty},
          Field{"frequency_penalty", &out_.frequency_penalty}, Field{"seed", &out_.seed}}) {
        auto text = number_text(body_, field.key);
        if (!text) return fail(text.error());
        *field.to = std::move(*text);
    }
    for (const std::string_view key : {"max_tokens", "max_completion_tokens"}) {
        auto limit = integer_of(body_, key);
        if (!limit) return fail(limit.error());
        if (*limit && (!out_.max_tokens || **limit < *out_.max_tokens)) out_.max_tokens = *limit;
    }
    auto n = integer_of(body_, "n");
    if (!n) return fail(n.error());
    out_.n = n->value_or(1);
    auto top = integer_of(body_, "top_logprobs");
    if (!top) return fail(top.error());
    out_.top_logprobs = *top;
    if (const Node* wanted = body_.find("logprobs")) out_.logprobs = wanted->is_true();
    return {};
}

Result<void> Reader::stop() {
    const Node* stop = body_.find("stop");
    if (stop == nullptr || stop->is_null()) return {};
    if (stop->is_string()) {
        out_.stop.push_back(stop->text);
        return {};
    }
    if (!stop->is_array()) return fail(wrong_type("stop", "a string or an array"));
    for (const Node& one : stop->elements) {
        if (!one.is_string()) return fail(wrong_type("stop", "an array of strings"));
        out_.stop.push_back(one.text);
    }
    return {};
}

constexpr std::string_view kKnown[] = {"model",
                                       "messages",
                                       "tools",
                                       "functions",
                                       "tool_choice",
                                       "function_call",
                                       "parallel_tool_calls",
                                       "response_format",
                                       "temperature",
                                       "top_p",
                                       "top_k",
                                       "presence_penalty",
                                       "frequency_penalty",
                                       "seed",
                                       "max_tokens",
                                       "max_completion_tokens",
                                       "n",
                                       "top_logprobs",
                                       "logprobs",
                                       "stop",
                                       "user",
                                       "metadata",
                                       "service_tier",
                                       "stream",
                                       "stream_options",
                                       "reasoning_effort",
                                       "reasoning"};

Result<ChatRequest> Reader::read() {
    out_.model = body_.text_of("model");
    if (auto read = messages(); !read) return fail(read.error());
    if (auto read = tools(); !read) return fail(read.error());
    tool_choice();
    if (auto read = format(); !read) return fail(read.error());
    if (auto read = numbers(); !read) return fail(read.error());
    if (auto read = stop(); !read) return fail(read.error());
    out_.user = body_.text_of("user");
    if (out_.user.empty()) out_.user = body_.text_of("safety_identifier");
    if (const Node* data = body_.find("metadata"); data != nullptr && data->is_object())
        out_.metadata = data->json();
    out_.service_tier = body_.text_of("service_tier");
    if (const Node* stream = body_.find("stream")) out_.stream = stream->is_true();
    if (const Node* options = body_.find("stream_options");
        options != nullptr && options->is_object()) {
        if (const Node* wanted = options->find("include_usage"))
            out_.include_usage = wanted->is_true();
    }
    std::string_view effort = body_.text_of("reasoning_effort");
    if (const Node* reasoning = body_.find("reasoning");
        reasoning != nullptr && reasoning->is_object() && effort.empty())
        effort = reasoning->text_of("effort");
    if (!effort.empty()) {
        out_.reasoning.kind = effort == "none" ? Reasoning::Kind::kOff : Reasoning::Kind::kEffort;
        out_.reasoning.effort = effort;
    }
    for (const Node::Member& member : body_.members) {
        const bool known =
            std::find(std::begin(kKnown), std::end(kKnown), member.key) != std::end(kKnown);
        if (!known && !member.value.is_null() && member.key != "safety_identifier")
            out_.unknown.push_back(member.key);
    }
    return std::move(out_);
}

}  // namespace

Result<ChatRequest> ChatCodec::read_request(std::string_view body) const {
    const auto node = read_body(body);
    if (!node) return fail(node.error());
    return Reader(*node).read();
}

}  // namespace leeway::wire::openai
