#include "json/write.hpp"
#include "lab/estimate/json_tree.hpp"
#include "lab/estimate/scenario.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::lab {
namespace {

using Kind = JsonTree::Kind;

/// A message in OpenAI's chat form while it is put together.
struct Message {
    std::string role;
    std::string text;
    std::vector<std::string> images;  ///< JSON of the value of `image_url`
    std::vector<std::pair<std::string, std::string>> calls;  ///< name, arguments
    Part part = Part::kHistory;
};

/// A request of any dialect, brought to one form.
struct Neutral {
    std::string model;
    std::vector<Message> messages;
    std::vector<std::string> tools;  ///< JSON of OpenAI's `function`
    std::string tool_choice;         ///< JSON; empty: none
    std::optional<std::int64_t> max_tokens;
    std::size_t unknown_parts = 0;
    bool structured = false;  ///< the answer must be JSON

    Message& add(std::string role, Part part) {
        messages.push_back({std::move(role), {}, {}, {}, part});
        return messages.back();
    }
};

tl::unexpected<Error> refused(std::string message) {
    return fail(ErrorCode::kInvalidRequest, std::move(message),
                "a request of OpenAI (chat or Responses), Anthropic or Gemini is expected; "
                "--dialect says which");
}

std::string image_json(std::string_view url, std::string_view detail) {
    std::string out;
    json::Writer writer(out);
    writer.object().key("url").string(url);
    if (!detail.empty()) writer.key("detail").string(detail);
    writer.close_object();
    return out;
}

std::string data_url(std::string_view media_type, std::string_view data) {
    return fmt::format("data:{};base64,{}", media_type, data);
}

/// What OpenAI names an image, in either of its forms.
void add_openai_image(Message& message, const JsonTree& part) {
    const JsonTree* image = part.find("image_url");
    if (image != nullptr && image->is(Kind::kObject)) {
        message.images.push_back(image_json(image->string("url"), image->string("detail")));
    } else {
        message.images.push_back(image_json(part.string("image_url"), part.string("detail")));
    }
}

/// Text and images of a `content` that OpenAI's dialects have: a string, or a list of parts.
void add_openai_content(Neutral& out, Message& message, const JsonTree* content) {
    if (content == nullptr) return;
    if (content->is(Kind::kString)) message.text += content->text;
    for (const JsonTree& part : content->items) {
        const std::string_view type = part.string("type");
        if (part.find("text") != nullptr) {
            message.text += part.string("text");
        } else if (type == "refusal") {
            message.text += part.string("refusal");
        } else if (part.find("image_url") != nullptr) {
            add_openai_image(message, part);
        } else {
            ++out.unknown_parts;
        }
    }
}

Part part_of_role(std::string_view role) {
    if (role == "system" || role == "developer") return Part::kSystem;
    if (role == "tool" || role == "function") return Part::kRetrieved;
    return Part::kHistory;
}

std::string function_json(std::string_view name, std::string_view description,
                          const JsonTree* parameters) {
    std::string out;
    json::Writer writer(out);
    writer.object().key("name").string(name);
    if (!description.empty()) writer.key("description").string(description);
    if (parameters != nullptr) writer.key("parameters").raw(parameters->raw);
    writer.close_object();
    return out;
}

Result<Neutral> read_openai_chat(const JsonTree& body) {
    Neutral out;
    for (const JsonTree& item : body.find("messages")->items) {
        if (!item.is(Kind::kObject)) return refused("a message is not an object");
        const std::string_view role = item.string("role");
        Message& message = out.add(std::string(role), part_of_role(role));
        add_openai_content(out, message, item.find("content"));
        if (const JsonTree* calls = item.find("tool_calls")) {
            for (const JsonTree& call : calls->items) {
                if (const JsonTree* function = call.find("function")) {
                    message.calls.emplace_back(function->string("name"),
                                               function->string("arguments"));
                }
            }
        }
    }
    out.max_tokens = body.integer("max_completion_tokens");
    if (!out.max_tokens) out.max_tokens = body.integer("max_tokens");
    const JsonTree* format = body.find("response_format");
    out.structured = format != nullptr && format->string("type").starts_with("json");
    return out;
}

void add_responses_item(Neutral& out, const JsonTree& item) {
    const std::string_view type = item.string("type");
    if (type == "function_call") {
        Message& message = out.add("assistant", Part::kHistory);
        message.calls.emplace_back(item.string("name"), item.string("arguments"));
    } else if (type == "function_call_output") {
        out.add("tool", Part::kRetrieved).text = item.string("output");
    } else if (type.empty() || type == "message") {
        const std::string_view role = item.string("role");
        Message& message = out.add(std::string(role.empty() ? "user" : role), part_of_role(role));
        add_openai_content(out, message, item.find("content"));
    } else {
        ++out.unknown_parts;
    }
}

Result<Neutral> read_responses(const JsonTree& body) {
    Neutral out;
    if (const auto text = body.string("instructions"); !text.empty()) {
        out.add("system", Part::kSystem).text = text;
    }
    const JsonTree* input = body.find("input");
    if (input == nullptr) return refused("the request has no `input`");
    if (input->is(Kind::kString)) out.add("user", Part::kHistory).text = input->text;
    for (const JsonTree& item : input->items) add_responses_item(out, item);
    if (const JsonTree* tools = body.find("tools")) {
        for (const JsonTree& tool : tools->items) {
            if (tool.string("type") != "function") {
                ++out.unknown_parts;
                continue;
            }
            out.tools.push_back(function_json(tool.string("name"), tool.string("description"),
                                              tool.find("parameters")));
        }
    }
    out.max_tokens = body.integer("max_output_tokens");
    if (const JsonTree* text = body.find("text")) {
        const JsonTree* format = text->find("format");
        out.structured = format != nullptr && format->string("type").starts_with("json");
    }
    return out;
}

void add_anthropic_block(Neutral& out, Message& message, const JsonTree& block) {
    const std::string_view type = block.string("type");
    if (type == "text" || type == "thinking") {
        message.text += block.string(type);
    } else if (type == "tool_use") {
        const JsonTree* input = block.find("input");
        message.calls.emplace_back(block.string("name"), input == nullptr ? "" : input->raw);
    } else if (type == "tool_result") {
        Message& result = out.add("tool", Part::kRetrieved);
        if (const JsonTree* content = block.find("content")) {
            if (content->is(Kind::kString)) result.text = content->text;
            for (const JsonTree& part : content->items) {
                if (part.string("type") == "text") {
                    result.text += part.string("text");
                } else {
                    ++out.unknown_parts;
                }
            }
        }
    } else if (const JsonTree* source = block.find("source");
               type == "image" && source != nullptr) {
        const bool inline_data = source->string("type") == "base64";
        message.images.push_back(
            image_json(inline_data ? data_url(source->string("media_type"), source->string("data"))
                                   : std::string(source->string("url")),
                       {}));
    } else {
        ++out.unknown_parts;
    }
}

Result<Neutral> read_anthropic(const JsonTree& body) {
    Neutral out;
    if (const JsonTree* system = body.find("system")) {
        Message& message = out.add("system", Part::kSystem);
        if (system->is(Kind::kString)) message.text = system->text;
        for (const JsonTree& block : system->items) message.text += block.string("text");
    }
    for (const JsonTree& item : body.find("messages")->items) {
        if (!item.is(Kind::kObject)) return refused("a message is not an object");
        Message message{std::string(item.string("role")), {}, {}, {}, Part::kHistory};
        const JsonTree* content = item.find("content");
        if (content == nullptr) return refused("a message has no `content`");
        if (content->is(Kind::kString)) message.text = content->text;
        for (const JsonTree& block : content->items) add_anthropic_block(out, message, block);
        const bool only_results =
            message.text.empty() && message.images.empty() && message.calls.empty();
        if (!only_results || content->items.empty()) out.messages.push_back(std::move(message));
    }
    if (const JsonTree* tools = body.find("tools")) {
        for (const JsonTree& tool : tools->items) {
            if (tool.find("input_schema") == nullptr) {
                ++out.unknown_parts;  // a tool that the provider runs
                continue;
            }
            out.tools.push_back(function_json(tool.string("name"), tool.string("description"),
                                              tool.find("input_schema")));
        }
    }
    out.max_tokens = body.integer("max_tokens");
    return out;
}

const JsonTree* either(const JsonTree& object, std::string_view a, std::string_view b) {
    const JsonTree* found = object.find(a);
    return found != nullptr ? found : object.find(b);
}

void add_gemini_parts(Neutral& out, Message& message, const JsonTree& content) {
    const JsonTree* parts = content.find("parts");
    if (parts == nullptr) return;
    for (const JsonTree& part : parts->items) {
        if (part.find("text") != nullptr) {
            message.text += part.string("text");
        } else if (const JsonTree* data = either(part, "inlineData", "inline_data")) {
            const JsonTree* type = either(*data, "mimeType", "mime_type");
            if (type != nullptr && type->text.starts_with("image/")) {
                message.images.push_back(
                    image_json(data_url(type->text, data->string("data")), {}));
            } else {
                ++out.unknown_parts;
            }
        } else if (const JsonTree* call = either(part, "functionCall", "function_call")) {
            const JsonTree* args = call->find("args");
            message.calls.emplace_back(call->string("name"), args == nullptr ? "" : args->raw);
        } else if (const JsonTree* result = either(part, "functionResponse", "function_response")) {
            const JsonTree* response = result->find("response");
            message.part = Part::kRetrieved;
            if (response != nullptr) message.text += response->raw;
        } else {
            ++out.unknown_parts;
        }
    }
}

Result<Neutral> read_gemini(const JsonTree& body) {
    Neutral out;
    if (const JsonTree* system = either(body, "systemInstruction", "system_instruction")) {
        Message& message = out.add("system", Part::kSystem);
        add_gemini_parts(out, message, *system);
    }
    const JsonTree* contents = body.find("contents");
    if (contents == nullptr) return refused("the request has no `contents`");
    if (contents->is(Kind::kString)) out.add("user", Part::kHistory).text = contents->text;
    for (const JsonTree& content : contents->items) {
        const std::string_view role = content.string("role");
        Message message{role == "model" ? "assistant" : "user", {}, {}, {}, Part::kHistory};
        add_gemini_parts(out, message, content);
        out.messages.push_back(std::move(message));
    }
    if (const JsonTree* tools = body.find("tools")) {
        for (const JsonTree& tool : tools->items) {
            const JsonTree* functions =
                either(tool, "functionDeclarations", "function_declarations");
            if (functions == nullptr) {
                ++out.unknown_parts;
                continue;
            }
            for (const JsonTree& function : functions->items) {
                out.tools.push_back(function_json(function.string("name"),
                                                  function.string("description"),
                                                  function.find("parameters")));
            }
        }
    }
    if (const JsonTree* config = either(body, "generationConfig", "generation_config")) {
        out.max_tokens = config->integer("maxOutputTokens");
        if (!out.max_tokens) out.max_tokens = config->integer("max_output_tokens");
        const JsonTree* type = either(*config, "responseMimeType", "response_mime_type");
        out.structured = type != nullptr && type->text == "application/json";
    }
    return out;
}

bool has_anthropic_blocks(const JsonTree& messages) {
    for (const JsonTree& message : messages.items) {
        const JsonTree* content = message.find("content");
        if (content == nullptr) continue;
        for (const JsonTree& block : content->items) {
            const std::string_view type = block.string("type");
            if (type == "tool_use" || type == "tool_result" || block.find("source") != nullptr) {
                return true;
            }
        }
    }
    return false;
}

std::optional<Dialect> dialect_of(const JsonTree& body) {
    if (body.find("contents") != nullptr) return Dialect::kGemini;
    const JsonTree* messages = body.find("messages");
    if (messages == nullptr) {
        return body.find("input") != nullptr ? std::optional(Dialect::kResponses) : std::nullopt;
    }
    if (body.find("system") != nullptr || body.find("anthropic_version") != nullptr ||
        has_anthropic_blocks(*messages)) {
        return Dialect::kAnthropic;
    }
    if (const JsonTree* tools = body.find("tools"); tools != nullptr && !tools->items.empty()) {
        if (tools->items.front().find("input_schema") != nullptr) return Dialect::kAnthropic;
    }
    return Dialect::kOpenAiChat;
}

/// The request in OpenAI's chat form, so that one code counts them all.
std::string as_chat(const Neutral& in) {
    std::string out;
    json::Writer writer(out);
    writer.object().key("messages").array();
    for (const Message& message : in.messages) {
        writer.object().key("role").string(message.role);
        if (message.images.empty()) {
            writer.key("content").string(message.text);
        } else {
            writer.key("content").array();
            writer.object().key("type").string("text").key("text").string(message.text);
            writer.close_object();
            for (const std::string& image : message.images) {
                writer.object().key("type").string("image_url").key("image_url").raw(image);
                writer.close_object();
            }
            writer.close_array();
        }
        if (!message.calls.empty()) {
            writer.key("tool_calls").array();
            for (const auto& [name, arguments] : message.calls) {
                writer.object().key("type").string("function").key("function").object();
                writer.key("name").string(name).key("arguments").string(arguments);
                writer.close_object().close_object();
            }
            writer.close_array();
        }
        writer.close_object();
    }
    writer.close_array();
    if (!in.tools.empty()) {
        writer.key("tools").array();
        for (const std::string& tool : in.tools) {
            writer.object().key("type").string("function").key("function").raw(tool);
            writer.close_object();
        }
        writer.close_array();
    }
    writer.close_object();
    return out;
}

Result<Neutral> read_dialect(const JsonTree& body, Dialect dialect) {
    const JsonTree* messages = body.find("messages");
    const bool wants_messages = dialect == Dialect::kOpenAiChat || dialect == Dialect::kAnthropic;
    if (wants_messages && (messages == nullptr || !messages->is(Kind::kArray))) {
        return refused("the request has no list of `messages`");
    }
    switch (dialect) {
        case Dialect::kOpenAiChat: return read_openai_chat(body);
        case Dialect::kResponses: return read_responses(body);
        case Dialect::kAnthropic: return read_anthropic(body);
        case Dialect::kGemini: return read_gemini(body);
    }
    return refused("the dialect is unknown");
}

}  // namespace

Result<Scenario> read_request(std::string_view text, std::optional<Dialect> dialect) {
    const auto body = read_json(text);
    if (!body) return fail(body.error());
    if (!body->is(Kind::kObject)) return refused("the request is not a JSON object");
    if (!dialect) dialect = dialect_of(*body);
    if (!dialect) return refused("this has the shape of no request that is known");
    auto in = read_dialect(*body, *dialect);
    if (!in) return fail(in.error());
    if (in->messages.empty()) return refused("the request has no messages");
    if (in->max_tokens && *in->max_tokens < 1) return refused("the longest answer is below 1");

    // The last question is what this request is about; all before it is history.
    for (auto it = in->messages.rbegin(); it != in->messages.rend(); ++it) {
        if (it->role != "user" || it->part != Part::kHistory) continue;
        it->part = Part::kUser;
        break;
    }
    auto prompt = std::make_shared<Prompt>();
    const JsonTree* tools = body->find("tools");
    if (*dialect == Dialect::kOpenAiChat) {
        prompt->chat = std::string(text);
        if (tools != nullptr) in->tools.resize(tools->items.size());
    } else {
        prompt->chat = as_chat(*in);
    }
    for (const Message& message : in->messages) {
        std::string& part = prompt->texts[index_of(message.part)];
        part += message.text;
        for (const auto& [name, arguments] : message.calls) part += name + arguments;
    }
    prompt->constant_prefix = prompt->texts[index_of(Part::kSystem)];

    Scenario out;
    out.source = "request";
    out.model = body->string("model");
    out.assumptions.push_back(fmt::format("the request is in the form of {}",
                                          kDialectNames[static_cast<std::size_t>(*dialect)]));
    Call call;
    call.max_tokens = in->max_tokens;
    call.prior = !in->tools.empty() ? "agent" : in->structured ? "reasoned" : "chat";
    call.prompts.push_back(std::move(prompt));
    out.flows.push_back({"request", 0, {std::move(call)}});
    if (in->unknown_parts > 0) {
        out.unknown.push_back(fmt::format(
            "{} parts of the request of which nothing is known (audio, files, tools that the "
            "provider runs)",
            in->unknown_parts));
    }
    return out;
}

}  // namespace leeway::lab
