#include "json/write.hpp"
#include "wire/canonical/common.hpp"
#include "wire/openai/responses_codec.hpp"
#include "wire/openai/responses_parts.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace leeway::wire::openai {
namespace {

using json::Node;
using Kind = Part::Kind;

Result<void> read_content(const Node* content, const std::string& param, std::vector<Part>& out) {
    if (content == nullptr || content->is_null()) return {};
    if (content->is_string()) {
        out.push_back(Part::of_text(content->text));
        return {};
    }
    if (!content->is_array()) return fail(wrong_type(param, "a string or an array"));
    for (std::size_t i = 0; i < content->elements.size(); ++i) {
        const Node& node = content->elements[i];
        const std::string where = param + '[' + std::to_string(i) + ']';
        if (!node.is_object()) return fail(wrong_type(where, "an object"));
        const std::string_view type = node.text_of("type");
        Part part;
        if (const Node* mark = node.find("prompt_cache_breakpoint");
            mark != nullptr && mark->is_object())
            part.cache = CacheMark::kFiveMinutes;
        if (type == "input_text" || type == "output_text" || type == "text") {
            part.text = node.text_of("text");
        } else if (type == "refusal") {
            part.kind = Kind::kRefusal;
            part.text = node.text_of("refusal");
        } else if (type == "input_image") {
            part.kind = Kind::kImage;
            const std::string_view url = node.text_of("image_url");
            if (!split_data_url(url, part.media_type, part.data)) part.url = url;
            part.file_id = node.text_of("file_id");
            part.detail = node.text_of("detail");
        } else if (type == "input_file") {
            part.kind = Kind::kDocument;
            part.name = node.text_of("filename");
            part.file_id = node.text_of("file_id");
            part.url = node.text_of("file_url");
            const std::string_view data = node.text_of("file_data");
            if (!split_data_url(data, part.media_type, part.data)) part.data = data;
        } else {
            return fail(untranslatable(where, "A content part of type '" + std::string(type) +
                                                  "' is not known, so it cannot be translated."));
        }
        out.push_back(std::move(part));
    }
    return {};
}

class Reader {
public:
    explicit Reader(const Node& body) : body_(body) {}
    Result<ChatRequest> read();

private:
    Result<void> input();
    Result<void> item(const Node& node, const std::string& param);
    void add(Role role, Part part);
    void tools();
    void text_and_reasoning();

    const Node& body_;
    ChatRequest out_;
};

/// Items of one speaker that follow one another are one message.
void Reader::add(Role role, Part part) {
    const bool joins = !out_.messages.empty() && out_.messages.back().role == role &&
                       (part.kind == Kind::kToolCall || part.kind == Kind::kToolResult ||
                        role == Role::kAssistant) &&
                       (part.kind != Kind::kToolResult ||
                        out_.messages.back().parts.back().kind == Kind::kToolResult);
    if (!joins) out_.messages.emplace_back().role = role;
    out_.messages.back().parts.push_back(std::move(part));
}

Result<void> Reader::item(const Node& node, const std::string& param) {
    if (!node.is_object()) return fail(wrong_type(param, "an object"));
    const std::string_view type = node.text_of("type");
    if (type.empty() || type == "message") {
        const std::string_view role = node.text_of("role");
        Message message;
        if (role == "assistant") message.role = Role::kAssistant;
        if (role == "system") message.role = Role::kSystem;
        if (role == "developer") message.role = Role::kDeveloper;
        if (auto read = read_content(node.find("content"), param + ".content", message.parts);
            !read)
            return read;
        if (message.parts.empty()) return {};
        if (message.role == Role::kAssistant) {
            for (Part& part : message.parts) add(Role::kAssistant, std::move(part));
        } else {
            out_.messages.push_back(std::move(message));
        }
        return {};
    }
    Part part;
    if (type == "function_call") {
        part.kind = Kind::kToolCall;
        part.id = node.text_of("call_id");
        part.name = node.text_of("name");
        part.text = node.text_of("arguments");
        add(Role::kAssistant, std::move(part));
        return {};
    }
    if (type == "function_call_output") {
        part.kind = Kind::kToolResult;
        part.id = node.text_of("call_id");
        if (auto read = read_content(node.find("output"), param + ".output", part.content); !read)
            return read;
        add(Role::kUser, std::move(part));
        return {};
    }
    if (type == "reasoning") {
        part.kind = Kind::kThinking;
        part.id = node.text_of("id");
        for (const std::string_view key : {"summary", "content"}) {
            const Node* list = node.find(key);
            if (list == nullptr || !list->is_array()) continue;
            for (const Node& one : list->elements) part.text += one.text_of("text");
        }
        part.signature = node.text_of("encrypted_content");
        add(Role::kAssistant, std::move(part));
        return {};
    }
    return fail(untranslatable(param, "An item of type '" + std::string(type) +
                                          "' cannot be translated for this model's provider."));
}

Result<void> Reader::input() {
    const std::string_view instructions = body_.text_of("instructions");
    if (!instructions.empty()) {
        Message message;
        message.role = Role::kDeveloper;
        message.parts.push_back(Part::of_text(std::string(instructions)));
        out_.messages.push_back(std::move(message));
    }
    const Node* input = body_.find("input");
    if (input == nullptr || input->is_null()) return fail(missing("input"));
    if (input->is_string()) {
        out_.messages.emplace_back().parts.push_back(Part::of_text(input->text));
        return {};
    }
    if (!input->is_array()) return fail(wrong_type("input", "a string or an array"));
    for (std::size_t i = 0; i < input->elements.size(); ++i) {
        if (auto read = item(input->elements[i], "input[" + std::to_string(i) + ']'); !read)
            return read;
    }
    return {};
}

void Reader::tools() {
    if (const Node* list = body_.find("tools"); list != nullptr && list->is_array()) {
        for (std::size_t i = 0; i < list->elements.size(); ++i) {
            const Node& node = list->elements[i];
            if (node.text_of("type") != "function") {
                out_.unknown.push_back("tools[" + std::to_string(i) + "]");
                continue;
            }
            Tool tool;
            tool.name = node.text_of("name");
            tool.description = node.text_of("description");
            if (const Node* schema = node.find("parameters");
                schema != nullptr && schema->is_object())
                tool.parameters = schema->json();
            if (const Node* strict = node.find("strict"); strict != nullptr && strict->is_bool())
                tool.strict = strict->is_true();
            out_.tools.push_back(std::move(tool));
        }
    }
    ToolChoice& to = out_.tool_choice;
    if (const Node* parallel = body_.find("parallel_tool_calls");
        parallel != nullptr && parallel->is_bool())
        to.parallel = parallel->is_true();
    const Node* choice = body_.find("tool_choice");
    if (choice == nullptr || choice->is_null()) return;
    if (choice->is_string()) {
        if (choice->text == "auto") to.kind = ToolChoice::Kind::kAuto;
        if (choice->text == "none") to.kind = ToolChoice::Kind::kNone;
        if (choice->text == "required") to.kind = ToolChoice::Kind::kRequired;
    } else if (choice->text_of("type") == "function") {
        to.kind = ToolChoice::Kind::kNamed;
        to.name = choice->text_of("name");
    } else {
        out_.unknown.emplace_back("tool_choice");
    }
}

void Reader::text_and_reasoning() {
    if (const Node* text = body_.find("text"); text != nullptr && text->is_object()) {
        const Node* format = text->find("format");
        if (format != nullptr && format->is_object()) {
            OutputFormat& to = out_.format;
            const std::string_view type = format->text_of("type");
            if (type == "json_object") to.kind = OutputFormat::Kind::kJson;
            if (type == "json_schema") {
                to.kind = OutputFormat::Kind::kSchema;
                to.name = format->text_of("name");
                to.description = format->text_of("description");
                if (const Node* strict = format->find("strict");
                    strict != nullptr && strict->is_bool())
                    to.strict = strict->is_true();
                const Node* schema = format->find("schema");
                to.schema = schema != nullptr && schema->is_object() ? schema->json() : "{}";
            }
        }
        if (text->find("verbosity") != nullptr) out_.unknown.emplace_back("text.verbosity");
    }
    const Node* reasoning = body_.find("reasoning");
    if (reasoning == nullptr || !reasoning->is_object()) return;
    const std::string_view effort = reasoning->text_of("effort");
    out_.reasoning.shown = !reasoning->text_of("summary").empty();
    if (effort.empty()) return;
    out_.reasoning.kind = effort == "none" ? Reasoning::Kind::kOff : Reasoning::Kind::kEffort;
    out_.reasoning.effort = effort;
}

Result<ChatRequest> Reader::read() {
    for (const std::string_view key : {"previous_response_id", "conversation", "prompt"}) {
        const Node* found = body_.find(key);
        if (found != nullptr && !found->is_null()) {
            return fail(untranslatable(
                key, "'" + std::string(key) +
                         "' names what another server keeps; it cannot be translated."));
        }
    }
    if (const Node* background = body_.find("background");
        background != nullptr && background->is_true())
        return fail(
            untranslatable("background", "Answers in the background cannot be translated."));
    out_.model = body_.text_of("model");
    if (auto read = input(); !read) return fail(read.error());
    tools();
    text_and_reasoning();
    for (auto [key, to] :
         {std::pair<std::string_view, std::string*>{"temperature", &out_.temperature},
          {"top_p", &out_.top_p}}) {
        auto text = number_text(body_, key);
        if (!text) return fail(text.error());
        *to = std::move(*text);
    }
    auto limit = integer_of(body_, "max_output_tokens");
    if (!limit) return fail(limit.error());
    out_.max_tokens = *limit;
    auto top = integer_of(body_, "top_logprobs");
    if (!top) return fail(top.error());
    out_.top_logprobs = *top;
    out_.logprobs = top->value_or(0) > 0;
    out_.user = body_.text_of("user");
    if (out_.user.empty()) out_.user = body_.text_of("safety_identifier");
    if (const Node* data = body_.find("metadata");
        data != nullptr && data->is_object() && !data->members.empty())
        out_.metadata = data->json();
    out_.service_tier = body_.text_of("service_tier");
    if (const Node* stream = body_.find("stream")) out_.stream = stream->is_true();
    out_.include_usage = true;
    static constexpr std::array<std::string_view, 21> kKnown{"model",
                                                             "input",
                                                             "instructions",
                                                             "tools",
                                                             "tool_choice",
                                                             "parallel_tool_calls",
                                                             "text",
                                                             "reasoning",
                                                             "temperature",
                                                             "top_p",
                                                             "max_output_tokens",
                                                             "top_logprobs",
                                                             "user",
                                                             "safety_identifier",
                                                             "metadata",
                                                             "service_tier",
                                                             "stream",
                                                             "store",
                                                             "background",
                                                             "include",
                                                             "stream_options"};
    for (const Node::Member& member : body_.members) {
        const bool known = std::find(kKnown.begin(), kKnown.end(), member.key) != kKnown.end();
        if (!known && !member.value.is_null()) out_.unknown.push_back(member.key);
    }
    return std::move(out_);
}

}  // namespace

Result<ChatRequest> ResponsesCodec::read_request(std::string_view body) const {
    const auto node = read_body(body);
    if (!node) return fail(node.error());
    return Reader(*node).read();
}

}  // namespace leeway::wire::openai
