#include "models/host/chat_request.hpp"

#include "json/number.hpp"
#include "models/host/request_fields.hpp"
#include "wire/openai/request_view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>

namespace leeway::models {
namespace {

using json::Node;

constexpr std::size_t kMaxStops = 16;
constexpr std::size_t kMaxBiases = 1024;
constexpr std::int64_t kMaxTopLogprobs = 20;
constexpr float kLeastTopP = 1e-6F;  // OpenAI takes 0 for "the likeliest only"

/// Fields that a local model cannot honour, and what is harmless in them.
struct Unsupported {
    const char* name;
    bool empty_is_fine;  // [] and {} say nothing
    const char* why;
};
constexpr std::array<Unsupported, 7> kUnsupported{{
    {"tools", true, "local models call no tools"},
    {"functions", true, "local models call no functions"},
    {"audio", true, "local models make no sound"},
    {"web_search_options", true, "local models do not search the web"},
    {"prediction", true, "local models take no predicted output"},
    {"grammar", false, "constrained output is not available with local models"},
    {"json_schema", false, "constrained output is not available with local models"},
}};

bool is_empty(const Node& node) {
    return (node.is_array() && node.elements.empty()) || (node.is_object() && node.members.empty());
}

/// Reads one request; the first failure is kept.
class Reader {
public:
    explicit Reader(const Node& body) : body_(body) {}

    bool read(ChatRequest& out) {
        return refuse_unsupported() && response_format() && modalities() &&
               messages(out.messages) && numbers(out.sampling) && logprobs(out.sampling) &&
               stop(out.sampling) && bias(out.sampling);
    }
    Error error() { return std::move(error_); }

private:
    bool refuse(Error error) {
        error_ = std::move(error);
        return false;
    }
    template <class T>
    bool take(Result<T> result, T& value) {
        if (!result) return refuse(std::move(result.error()));
        value = std::move(*result);
        return true;
    }

    bool refuse_unsupported();
    bool response_format();
    bool modalities();
    bool messages(std::vector<ChatMessage>& out);
    bool message(const Node& node, const std::string& path, ChatMessage& out);
    bool content(const Node& node, const std::string& path, std::string& out);
    bool part(const Node& node, const std::string& path, std::string& out);
    bool decimal(const char* name, DecimalRange range, float& value);
    bool numbers(Sampling& sampling);
    bool logprobs(Sampling& sampling);
    bool stop(Sampling& sampling);
    bool bias(Sampling& sampling);

    const Node& body_;
    Error error_;
};

bool Reader::refuse_unsupported() {
    for (const Unsupported& field : kUnsupported) {
        const Node* node = given(body_, field.name);
        if (node == nullptr || (field.empty_is_fine && is_empty(*node))) continue;
        return refuse(unsupported_field(field.name, field.why));
    }
    const Node* choice = given(body_, "tool_choice");
    if (choice != nullptr && choice->text != "auto" && choice->text != "none") {
        return refuse(unsupported_field("tool_choice", "local models call no tools"));
    }
    for (const char* name : {"repetition_penalty", "repeat_penalty"}) {
        std::optional<double> value;
        if (!take(read_decimal(body_, name, {0, 10}), value)) return false;
        if (value && *value != 1.0) {
            return refuse(unsupported_field(name, "use frequency_penalty or presence_penalty"));
        }
    }
    return true;
}

bool Reader::response_format() {
    const Node* format = given(body_, "response_format");
    if (format == nullptr) return true;
    const Node* type = format->is_object() ? given(*format, "type") : nullptr;
    if (type == nullptr || !type->is_string()) {
        return refuse(wrong_type("response_format", "an object with a type"));
    }
    if (type->text == "text") return true;
    return refuse(unsupported_field(
        "response_format", fmt::format("type '{}' is not available with local models, only "
                                       "'text' is",
                                       type->text.substr(0, 40))));
}

bool Reader::modalities() {
    const Node* list = given(body_, "modalities");
    if (list == nullptr) return true;
    const bool only_text =
        list->is_array() && std::all_of(list->elements.begin(), list->elements.end(),
                                        [](const Node& one) { return one.text == "text"; });
    return only_text || refuse(unsupported_field("modalities", "local models answer in text only"));
}

bool Reader::messages(std::vector<ChatMessage>& out) {
    const Node& list = *body_.find("messages");  // parse_request has seen that it is an array
    out.resize(list.elements.size());
    for (std::size_t i = 0; i < out.size(); ++i) {
        if (!message(list.elements[i], fmt::format("messages[{}]", i), out[i])) return false;
    }
    return true;
}

bool Reader::message(const Node& node, const std::string& path, ChatMessage& out) {
    constexpr std::array<std::string_view, 6> kRoles{"system",    "developer", "user",
                                                     "assistant", "tool",      "function"};
    const Node* role = node.find("role");
    if (std::find(kRoles.begin(), kRoles.end(), role->text) == kRoles.end()) {
        return refuse(
            invalid_field(path + ".role", "invalid_value",
                          fmt::format("Invalid value: '{}'. Supported values are: 'system', "
                                      "'developer', 'user' and 'assistant'.",
                                      role->text.substr(0, 40))));
    }
    if (role->text == "tool" || role->text == "function") {
        return refuse(unsupported_field(path + ".role", "local models call no tools"));
    }
    for (const char* call : {"tool_calls", "function_call", "audio"}) {
        const Node* made = given(node, call);
        if (made != nullptr && !is_empty(*made)) {
            return refuse(unsupported_field(fmt::format("{}.{}", path, call),
                                            "local models call no tools and make no sound"));
        }
    }
    out.role = role->text == "developer" ? "system" : role->text;
    const Node* text = given(node, "content");
    if (text == nullptr) text = given(node, "refusal");
    if (text == nullptr) {
        return refuse(
            invalid_field(path + ".content", "missing_required_parameter",
                          fmt::format("Missing required parameter: '{}.content'.", path)));
    }
    return content(*text, path + ".content", out.content);
}

bool Reader::content(const Node& node, const std::string& path, std::string& out) {
    if (node.is_string()) {
        out = node.text;
        return true;
    }
    for (std::size_t i = 0; i < node.elements.size(); ++i) {
        if (!part(node.elements[i], fmt::format("{}[{}]", path, i), out)) return false;
    }
    return true;
}

bool Reader::part(const Node& node, const std::string& path, std::string& out) {
    const Node* type = node.find("type");
    const bool is_text = type->text == "text";
    if (!is_text && type->text != "refusal") {
        return refuse(unsupported_field(
            path + ".type",
            fmt::format("local models read text only, not '{}'", type->text.substr(0, 40))));
    }
    const Node* text = node.find(is_text ? "text" : "refusal");
    if (text == nullptr || !text->is_string()) {
        return refuse(wrong_type(fmt::format("{}.{}", path, type->text), "a string"));
    }
    out += text->text;
    return true;
}

bool Reader::decimal(const char* name, DecimalRange range, float& value) {
    std::optional<double> read;
    if (!take(read_decimal(body_, name, range), read)) return false;
    if (read) value = static_cast<float>(*read);
    return true;
}

bool Reader::numbers(Sampling& sampling) {
    constexpr IntegerRange kCount{1, std::numeric_limits<std::int64_t>::max()};
    constexpr IntegerRange kAny{std::numeric_limits<std::int64_t>::min(),
                                std::numeric_limits<std::int64_t>::max()};
    std::optional<std::int64_t> limit;
    std::optional<std::int64_t> newer_limit;
    std::optional<std::int64_t> seed;
    std::optional<std::int64_t> top_k;
    if (!decimal("temperature", {0, 2}, sampling.temperature) ||
        !decimal("top_p", {0, 1}, sampling.top_p) || !decimal("min_p", {0, 1}, sampling.min_p) ||
        !decimal("frequency_penalty", {-2, 2}, sampling.frequency_penalty) ||
        !decimal("presence_penalty", {-2, 2}, sampling.presence_penalty) ||
        !take(read_integer(body_, "max_tokens", kCount), limit) ||
        !take(read_integer(body_, "max_completion_tokens", kCount), newer_limit) ||
        !take(read_integer(body_, "seed", kAny), seed) ||
        !take(read_integer(body_, "top_k", {-1, std::numeric_limits<int>::max()}), top_k)) {
        return false;
    }
    sampling.top_p = std::max(sampling.top_p, kLeastTopP);
    if (top_k) sampling.top_k = static_cast<int>(std::max<std::int64_t>(*top_k, 0));
    if (newer_limit) limit = limit ? std::min(*limit, *newer_limit) : *newer_limit;
    // More than any context holds is no limit.
    if (limit && *limit <= std::numeric_limits<int>::max()) {
        sampling.max_tokens = static_cast<int>(*limit);
    }
    if (seed) {
        const auto bits = static_cast<std::uint64_t>(*seed);
        // A negative seed has all high bits set; small seeds stay what they are.
        const std::uint64_t high = *seed < 0 ? ~bits >> 32U : bits >> 32U;
        sampling.seed = static_cast<std::uint32_t>(bits ^ high);
    }
    return true;
}

bool Reader::logprobs(Sampling& sampling) {
    bool wanted = false;
    std::optional<std::int64_t> top;
    if (!take(read_flag(body_, "logprobs"), wanted)) return false;
    if (!take(read_integer(body_, "top_logprobs", {0, kMaxTopLogprobs}), top)) return false;
    if (top && *top > 0 && !wanted) {
        return refuse(
            invalid_field("top_logprobs", "invalid_value",
                          "The 'top_logprobs' parameter is only allowed when 'logprobs' is "
                          "true."));
    }
    sampling.top_logprobs = wanted ? static_cast<int>(top.value_or(0)) : -1;
    return true;
}

bool Reader::stop(Sampling& sampling) {
    const Node* field = given(body_, "stop");
    if (field == nullptr) return true;
    if (field->is_string()) {
        if (!field->text.empty()) sampling.stop.push_back(field->text);
        return true;
    }
    if (!field->is_array()) return refuse(wrong_type("stop", "a string or an array of strings"));
    if (field->elements.size() > kMaxStops) {
        return refuse(
            invalid_field("stop", "array_above_max_length",
                          fmt::format("Invalid 'stop': array too long. Expected an array with "
                                      "maximum length {}, but got an array with length {} "
                                      "instead.",
                                      kMaxStops, field->elements.size())));
    }
    for (std::size_t i = 0; i < field->elements.size(); ++i) {
        const Node& one = field->elements[i];
        if (!one.is_string()) return refuse(wrong_type(fmt::format("stop[{}]", i), "a string"));
        if (!one.text.empty()) sampling.stop.push_back(one.text);
    }
    return true;
}

bool Reader::bias(Sampling& sampling) {
    const Node* field = given(body_, "logit_bias");
    if (field == nullptr) return true;
    if (!field->is_object()) return refuse(wrong_type("logit_bias", "an object"));
    if (field->members.size() > kMaxBiases) {
        return refuse(
            invalid_field("logit_bias", "invalid_value",
                          fmt::format("Invalid 'logit_bias': more than {} tokens.", kMaxBiases)));
    }
    for (const Node::Member& member : field->members) {
        const auto token = json::to_int64(member.key);
        const auto value = member.value.kind == Node::Kind::kRaw
                               ? json::to_double(member.value.text)
                               : std::nullopt;
        const bool good = token && *token >= 0 &&
                          *token <= std::numeric_limits<std::int32_t>::max() && value &&
                          *value >= -100 && *value <= 100;
        if (!good) {
            return refuse(
                invalid_field("logit_bias", "invalid_value",
                              fmt::format("Invalid 'logit_bias': expected token numbers with "
                                          "values from -100 to 100, but got '{}'.",
                                          member.key.substr(0, 40))));
        }
        sampling.logit_bias.emplace_back(static_cast<std::int32_t>(*token),
                                         static_cast<float>(*value));
    }
    return true;
}

}  // namespace

Result<ChatRequest> parse_chat_request(std::string_view body) {
    // The same reading as in the gateway: syntax, types, duplicate keys.
    auto view = wire::openai::parse_request(wire::openai::Endpoint::kChatCompletions, body);
    if (!view) return fail(std::move(view.error()));
    auto tree = read_tree(body);
    if (!tree) return fail(std::move(tree.error()));
    ChatRequest out;
    out.model = std::move(view->model);
    out.stream = view->stream;
    out.include_usage = view->include_usage;
    if (view->n > kMaxChoices) {
        return fail(
            invalid_field("n", "integer_above_max_value",
                          fmt::format("Invalid 'n': integer above maximum value. Expected a "
                                      "value <= {}, but got {} instead.",
                                      kMaxChoices, view->n)));
    }
    out.choices = static_cast<std::uint32_t>(view->n);
    Reader reader(*tree);
    if (!reader.read(out)) return fail(reader.error());
    return out;
}

}  // namespace leeway::models
