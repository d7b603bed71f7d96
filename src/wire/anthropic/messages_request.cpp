#include "wire/anthropic/messages_codec.hpp"
#include "wire/canonical/common.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace leeway::wire::anthropic {
namespace {

using json::Node;
using Kind = Part::Kind;

CacheMark mark_of(const Node& block) {
    const Node* mark = block.find("cache_control");
    if (mark == nullptr || !mark->is_object()) return CacheMark::kNone;
    return mark->text_of("ttl") == "1h" ? CacheMark::kOneHour : CacheMark::kFiveMinutes;
}

Result<std::vector<Part>> read_content(const Node* content, const std::string& param);

void read_source(const Node& source, Part& part) {
    part.media_type = source.text_of("media_type");
    const std::string_view type = source.text_of("type");
    if (type == "base64") part.data = source.text_of("data");
    if (type == "text") part.text = source.text_of("data");
    if (type == "url") part.url = source.text_of("url");
    if (type == "file") part.file_id = source.text_of("file_id");
    if (type == "content") {
        // A document made of blocks: its texts.
        if (const Node* inner = source.find("content")) {
            auto parts = read_content(inner, "source.content");
            if (parts) part.text = joined_text(*parts, "\n");
        }
    }
}

Result<Part> read_block(const Node& node, const std::string& param) {
    if (!node.is_object()) return fail(wrong_type(param, "an object"));
    Part part;
    part.cache = mark_of(node);
    const std::string_view type = node.text_of("type");
    if (type == "text") {
        part.text = node.text_of("text");
    } else if (type == "image" || type == "document") {
        part.kind = type == "image" ? Kind::kImage : Kind::kDocument;
        const Node* source = node.find("source");
        if (source == nullptr || !source->is_object()) return fail(missing(param + ".source"));
        read_source(*source, part);
        part.name = node.text_of("title");
    } else if (type == "tool_use") {
        part.kind = Kind::kToolCall;
        part.id = node.text_of("id");
        part.name = node.text_of("name");
        const Node* input = node.find("input");
        part.text = input == nullptr || input->is_null() ? "{}" : input->json();
    } else if (type == "tool_result") {
        part.kind = Kind::kToolResult;
        part.id = node.text_of("tool_use_id");
        if (const Node* failed = node.find("is_error")) part.is_error = failed->is_true();
        auto content = read_content(node.find("content"), param + ".content");
        if (!content) return fail(content.error());
        part.content = std::move(*content);
    } else if (type == "thinking") {
        part.kind = Kind::kThinking;
        part.text = node.text_of("thinking");
        part.signature = node.text_of("signature");
    } else if (type == "redacted_thinking") {
        part.kind = Kind::kRedacted;
        part.data = node.text_of("data");
    } else {
        return fail(untranslatable(
            param, "A content block of type '" + std::string(type) +
                       "' is not known, so it cannot be translated for this model's provider."));
    }
    return part;
}

Result<std::vector<Part>> read_content(const Node* content, const std::string& param) {
    std::vector<Part> parts;
    if (content == nullptr || content->is_null()) return parts;
    if (content->is_string()) {
        parts.push_back(Part::of_text(content->text));
        return parts;
    }
    if (!content->is_array()) return fail(wrong_type(param, "a string or an array"));
    for (std::size_t i = 0; i < content->elements.size(); ++i) {
        auto part = read_block(content->elements[i], param + '.' + std::to_string(i));
        if (!part) return fail(part.error());
        parts.push_back(std::move(*part));
    }
    return parts;
}

class Reader {
public:
    explicit Reader(const Node& body) : body_(body) {}
    Result<ChatRequest> read();

private:
    Result<void> messages();
    void tools();
    void tool_choice();
    void format_and_thinking();
    Result<void> numbers();
    void metadata();
    void unknown();

    const Node& body_;
    ChatRequest out_;
};

Result<void> Reader::messages() {
    if (const Node* system = body_.find("system"); system != nullptr && !system->is_null()) {
        auto parts = read_content(system, "system");
        if (!parts) return fail(parts.error());
        Message message;
        message.role = Role::kSystem;
        message.parts = std::move(*parts);
        if (!message.parts.empty()) out_.messages.push_back(std::move(message));
    }
    const Node* list = body_.find("messages");
    if (list == nullptr) return fail(missing("messages"));
    if (!list->is_array()) return fail(wrong_type("messages", "an array"));
    for (std::size_t i = 0; i < list->elements.size(); ++i) {
        const std::string param = "messages." + std::to_string(i);
        const Node& node = list->elements[i];
        if (!node.is_object()) return fail(wrong_type(param, "an object"));
        const std::string_view role = node.text_of("role");
        Message message;
        if (role == "assistant") {
            message.role = Role::kAssistant;
        } else if (role == "system") {
            message.role = Role::kSystem;
        } else if (role != "user") {
            return fail(Error{ErrorCode::kInvalidRequest,
                              param + ".role: Input should be 'user' or 'assistant'",
                              {},
                              param + ".role",
                              "invalid_value"});
        }
        auto parts = read_content(node.find("content"), param + ".content");
        if (!parts) return fail(parts.error());
        message.parts = std::move(*parts);
        if (!message.parts.empty()) out_.messages.push_back(std::move(message));
    }
    return {};
}

void Reader::tools() {
    const Node* list = body_.find("tools");
    if (list == nullptr || !list->is_array()) return;
    for (std::size_t i = 0; i < list->elements.size(); ++i) {
        const Node& node = list->elements[i];
        if (!node.is_object()) continue;
        const std::string_view type = node.text_of("type");
        if (!type.empty() && type != "custom") {
            out_.unknown.push_back("tools." + std::to_string(i));  // a tool of the provider's own
            continue;
        }
        Tool tool;
        tool.name = node.text_of("name");
        tool.description = node.text_of("description");
        tool.cache = mark_of(node);
        if (const Node* schema = node.find("input_schema");
            schema != nullptr && schema->is_object())
            tool.parameters = schema->json();
        if (const Node* strict = node.find("strict"); strict != nullptr && strict->is_bool())
            tool.strict = strict->is_true();
        out_.tools.push_back(std::move(tool));
    }
}

void Reader::tool_choice() {
    const Node* choice = body_.find("tool_choice");
    if (choice == nullptr || !choice->is_object()) return;
    ToolChoice& to = out_.tool_choice;
    const std::string_view type = choice->text_of("type");
    if (type == "auto") to.kind = ToolChoice::Kind::kAuto;
    if (type == "none") to.kind = ToolChoice::Kind::kNone;
    if (type == "any") to.kind = ToolChoice::Kind::kRequired;
    if (type == "tool") {
        to.kind = ToolChoice::Kind::kNamed;
        to.name = choice->text_of("name");
    }
    if (const Node* one = choice->find("disable_parallel_tool_use");
        one != nullptr && one->is_bool())
        to.parallel = !one->is_true();
}

void Reader::format_and_thinking() {
    Reasoning& reasoning = out_.reasoning;
    if (const Node* thinking = body_.find("thinking");
        thinking != nullptr && thinking->is_object()) {
        const std::string_view type = thinking->text_of("type");
        reasoning.shown = thinking->text_of("display") != "omitted";
        if (type == "enabled") {
            reasoning.kind = Reasoning::Kind::kBudget;
            if (const Node* budget = thinking->find("budget_tokens"))
                reasoning.budget = budget->integer().value_or(0);
        } else if (type == "adaptive") {
            reasoning.kind = Reasoning::Kind::kAdaptive;
        } else if (type == "disabled") {
            reasoning.kind = Reasoning::Kind::kOff;
        }
    }
    const Node* format = body_.find("output_format");
    if (const Node* config = body_.find("output_config");
        config != nullptr && config->is_object()) {
        reasoning.effort = config->text_of("effort");
        if (const Node* inner = config->find("format")) format = inner;
    }
    if (format == nullptr || !format->is_object()) return;
    if (format->text_of("type") == "json_schema") {
        out_.format.kind = OutputFormat::Kind::kSchema;
        const Node* schema = format->find("schema");
        out_.format.schema = schema != nullptr && schema->is_object() ? schema->json() : "{}";
    }
}

Result<void> Reader::numbers() {
    auto limit = integer_of(body_, "max_tokens");
    if (!limit) return fail(limit.error());
    out_.max_tokens = *limit;
    for (auto [key, to] :
         {std::pair<std::string_view, std::string*>{"temperature", &out_.temperature},
          {"top_p", &out_.top_p},
          {"top_k", &out_.top_k}}) {
        auto text = number_text(body_, key);
        if (!text) return fail(text.error());
        *to = std::move(*text);
    }
    if (const Node* stop = body_.find("stop_sequences"); stop != nullptr && stop->is_array()) {
        for (const Node& one : stop->elements) {
            if (!one.is_string()) return fail(wrong_type("stop_sequences", "an array of strings"));
            out_.stop.push_back(one.text);
        }
    }
    return {};
}

void Reader::metadata() {
    const Node* data = body_.find("metadata");
    if (data == nullptr || !data->is_object()) return;
    out_.user = data->text_of("user_id");
    Node rest = *data;
    rest.erase("user_id");
    if (!rest.members.empty()) out_.metadata = rest.json();
}

void Reader::unknown() {
    static constexpr std::array<std::string_view, 15> kKnown{
        "model",    "messages",      "system",         "tools",      "tool_choice",
        "thinking", "output_config", "output_format",  "max_tokens", "temperature",
        "top_p",    "top_k",         "stop_sequences", "metadata",   "stream"};
    for (const Node::Member& member : body_.members) {
        const bool known = std::find(kKnown.begin(), kKnown.end(), member.key) != kKnown.end();
        if (!known && !member.value.is_null() && member.key != "service_tier")
            out_.unknown.push_back(member.key);
    }
    if (const Node* format = body_.find("output_format"); format != nullptr && !format->is_object())
        out_.unknown.emplace_back("output_format");
}

Result<ChatRequest> Reader::read() {
    out_.model = body_.text_of("model");
    if (auto read = messages(); !read) return fail(read.error());
    tools();
    tool_choice();
    format_and_thinking();
    if (auto read = numbers(); !read) return fail(read.error());
    metadata();
    const std::string_view tier = body_.text_of("service_tier");
    if (tier == "standard_only") out_.service_tier = "default";
    if (tier == "auto") out_.service_tier = "auto";
    if (const Node* stream = body_.find("stream")) out_.stream = stream->is_true();
    out_.include_usage = true;
    unknown();
    return std::move(out_);
}

}  // namespace

Result<ChatRequest> MessagesCodec::read_request(std::string_view body) const {
    const auto node = read_body(body);
    if (!node) return fail(node.error());
    return Reader(*node).read();
}

}  // namespace leeway::wire::anthropic
