#include "wire/openai/request_view.hpp"

#include "json/cursor.hpp"
#include "json/key_set.hpp"
#include "json/number.hpp"
#include "json/validate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace leeway::wire::openai {

namespace {

/// One use: reads one body. Every method that returns bool is false when the request is refused; why is
/// then in `error_`, or else in the cursor.
class Reader {
public:
    Reader(Endpoint endpoint, const json::Tokens& tokens) : cursor_(tokens) {
        view_.endpoint = endpoint;
    }

    bool read();
    RequestView& view() { return view_; }
    Error error();

private:
    bool member(std::string_view key);
    bool chat_member(std::string_view key);
    bool embeddings_member(std::string_view key);
    bool completions_member(std::string_view key);
    bool count(std::string_view key, std::int64_t& value);
    bool rerank_member(std::string_view key);
    bool documents();
    bool model();
    bool stream_options();
    bool messages();
    bool message(std::size_t index);
    bool content(std::size_t index);
    bool part(std::size_t message, std::size_t index);
    bool input(std::string_view name);
    bool input_list(std::string_view name);
    bool filled_array(bool& filled);

    bool flag(std::string_view name, bool& value);
    bool text(std::string_view name, std::string& value);
    bool integer(std::string_view name, std::int64_t least, std::optional<std::int64_t>& value);
    bool decimal(std::string_view name, std::optional<double>& value);
    bool skip_unique(std::string_view path);
    bool unique(json::KeySet& keys, std::string_view path);

    bool refuse(std::string param, std::string reason, std::string message);
    bool wrong_type(std::string param, std::string_view expected);
    bool missing(std::string param);
    Span value_since(std::size_t offset) const { return {offset, cursor_.value_end() - offset}; }

    json::Cursor cursor_;
    RequestView view_;
    std::int64_t best_of_ = 1;
    std::optional<Error> error_;
    std::string scratch_;
};

bool Reader::refuse(std::string param, std::string reason, std::string message) {
    Error error;
    error.code = ErrorCode::kInvalidRequest;
    error.message = std::move(message);
    error.param = std::move(param);
    error.reason = std::move(reason);
    error_ = std::move(error);
    return false;
}

bool Reader::wrong_type(std::string param, std::string_view expected) {
    // A broken token is a syntax error, whatever type it should have had.
    if (cursor_.type_name() == "an invalid value" || cursor_.kind() == '\0') return cursor_.skip();
    std::string message = fmt::format("Invalid type for '{}': expected {}, but got {} instead.",
                                      param, expected, cursor_.type_name());
    return refuse(std::move(param), "invalid_type", std::move(message));
}

bool Reader::missing(std::string param) {
    std::string message = fmt::format("Missing required parameter: '{}'.", param);
    return refuse(std::move(param), "missing_required_parameter", std::move(message));
}

Error Reader::error() {
    if (error_) return std::move(*error_);
    Error error = cursor_.error();
    error.message = "We could not parse the JSON body of your request: " + error.message + ".";
    return error;
}

bool Reader::unique(json::KeySet& keys, std::string_view path) {
    if (keys.all_differ()) return true;
    error_ = json::duplicate_key_error(path, keys.duplicate());
    return false;
}

bool Reader::skip_unique(std::string_view path) {
    const char kind = cursor_.kind();
    if (kind != '{' && kind != '[') return cursor_.skip();
    std::string duplicate;
    if (json::skip_unique(cursor_, duplicate)) return true;
    if (!cursor_.failed()) error_ = json::duplicate_key_error(path, duplicate);
    return false;
}

bool Reader::flag(std::string_view name, bool& value) {
    const char kind = cursor_.kind();
    if (kind == 'n') return cursor_.null();
    if (kind != 't' && kind != 'f') return wrong_type(std::string(name), "a boolean");
    return cursor_.boolean(value);
}

bool Reader::text(std::string_view name, std::string& value) {
    if (cursor_.kind() == 'n') return cursor_.null();
    if (cursor_.kind() != '"') return wrong_type(std::string(name), "a string");
    std::string_view raw;
    if (!cursor_.string(raw)) return false;
    value = json::decoded(raw, cursor_.escaped(), scratch_);
    return true;
}

bool Reader::integer(std::string_view name, std::int64_t least,
                     std::optional<std::int64_t>& value) {
    if (cursor_.kind() == 'n') return cursor_.null();
    const std::string_view type = cursor_.type_name();
    if (type != "an integer") return wrong_type(std::string(name), "an integer");
    std::string_view spelling;
    if (!cursor_.number(spelling)) return false;
    value = json::to_int64(spelling);
    if (!value) {
        return refuse(std::string(name), "integer_out_of_range",
                      fmt::format("Invalid '{}': {} is beyond 64 bits.", name, spelling));
    }
    if (*value < least) {
        return refuse(
            std::string(name), "integer_below_min_value",
            fmt::format("Invalid '{}': integer below minimum value. Expected a value >= {}, "
                        "but got {} instead.",
                        name, least, *value));
    }
    return true;
}

bool Reader::decimal(std::string_view name, std::optional<double>& value) {
    const char kind = cursor_.kind();
    if (kind == 'n') return cursor_.null();
    if (kind != '-' && (kind < '0' || kind > '9'))
        return wrong_type(std::string(name), "a decimal");
    std::string_view spelling;
    if (!cursor_.number(spelling)) return false;
    value = json::to_double(spelling);
    if (value) return true;
    return refuse(std::string(name), "decimal_out_of_range",
                  fmt::format("Invalid '{}': {} is out of range.", name, spelling.substr(0, 40)));
}

bool Reader::read() {
    if (cursor_.kind() != '{') {
        if (!cursor_.skip() || !cursor_.end()) return false;
        return refuse({}, "invalid_type",
                      "Invalid body: the JSON body of the request must be an object.");
    }
    view_.object_begin = cursor_.offset() + 1;
    if (!cursor_.open_object()) return false;
    json::KeySet keys;
    std::string_view raw;
    std::string key_scratch;
    while (cursor_.next_member(raw)) {
        if (!keys.add(raw, cursor_.escaped())) {
            error_ = json::duplicate_key_error({}, keys.duplicate());
            return false;
        }
        if (!member(json::decoded(raw, cursor_.escaped(), key_scratch))) return false;
    }
    if (cursor_.failed()) return false;
    view_.object_end = cursor_.value_end() - 1;
    if (!cursor_.end() || !unique(keys, {})) return false;
    if (!view_.model_value.present()) return missing("model");
    if (view_.endpoint == Endpoint::kEmbeddings) return view_.input.present() || missing("input");
    if (view_.endpoint == Endpoint::kCompletions) {
        constexpr std::int64_t kMost = 1'000'000'000;  // far from overflow
        view_.n = std::min(std::max(view_.n, best_of_), kMost) * std::max(view_.input_count, 1U);
        return true;
    }
    if (view_.endpoint == Endpoint::kRerank)
        return (view_.has_query || missing("query")) &&
               (view_.input.present() || missing("documents"));
    return view_.messages.present() || missing("messages");
}

bool Reader::member(std::string_view key) {
    if (key == "model") return model();
    if (key == "user") return text(key, view_.user);
    if (key == "service_tier" && cursor_.kind() == '"') {
        std::string word;
        const bool read = text(key, word);
        view_.tier = prices::tier_of(word);
        return read;
    }
    if (key == "metadata" && cursor_.kind() == '{') {
        const std::size_t begin = cursor_.offset();
        if (!cursor_.skip()) return false;
        view_.metadata = value_since(begin);
        return true;
    }
    switch (view_.endpoint) {
        case Endpoint::kChatCompletions: break;
        case Endpoint::kEmbeddings: return embeddings_member(key);
        case Endpoint::kCompletions: return completions_member(key);
        case Endpoint::kRerank: return rerank_member(key);
    }
    return chat_member(key);
}

bool Reader::chat_member(std::string_view key) {
    if (key == "messages") return messages();
    if (key == "stream") return flag(key, view_.stream);
    if (key == "stream_options") return stream_options();
    if (key == "temperature") return decimal(key, view_.temperature);
    if (key == "max_tokens") return integer(key, INT64_MIN, view_.max_tokens);
    if (key == "max_completion_tokens") return integer(key, INT64_MIN, view_.max_completion_tokens);
    if (key == "tools" || key == "functions") return filled_array(view_.has_tools);
    if (key == "n") return count(key, view_.n);
    return cursor_.skip();
}

bool Reader::completions_member(std::string_view key) {
    if (key == "prompt") return cursor_.kind() == 'n' ? cursor_.null() : input(key);
    if (key == "stream") return flag(key, view_.stream);
    if (key == "stream_options") return stream_options();
    if (key == "temperature") return decimal(key, view_.temperature);
    if (key == "max_tokens") return integer(key, INT64_MIN, view_.max_tokens);
    if (key == "n") return count(key, view_.n);
    if (key == "best_of") return count(key, best_of_);
    if (key == "echo") return flag(key, view_.echo);
    return cursor_.skip();
}

bool Reader::count(std::string_view key, std::int64_t& value) {
    std::optional<std::int64_t> given;
    if (!integer(key, 1, given)) return false;
    value = given.value_or(1);
    return true;
}

bool Reader::embeddings_member(std::string_view key) {
    if (key == "input") return input(key);
    if (key == "encoding_format") return text(key, scratch_);
    if (key == "dimensions") {
        std::optional<std::int64_t> dimensions;
        return integer(key, 1, dimensions);
    }
    return cursor_.skip();
}

bool Reader::rerank_member(std::string_view key) {
    if (key == "query") {
        view_.has_query = cursor_.kind() == '"';
        return text(key, scratch_);
    }
    return key == "documents" ? documents() : cursor_.skip();
}

/// Texts, or what a server takes for a document beside them.
bool Reader::documents() {
    const std::size_t begin = cursor_.offset();
    if (cursor_.kind() != '[') return wrong_type("documents", "an array of documents");
    if (!cursor_.open_array()) return false;
    while (cursor_.next_element()) {
        if (!cursor_.skip()) return false;
        ++view_.input_count;
    }
    if (cursor_.failed()) return false;
    if (view_.input_count == 0) {
        return refuse(
            "documents", "empty_array",
            "Invalid 'documents': empty array. Expected an array with minimum length 1, but got "
            "an empty array instead.");
    }
    view_.input = value_since(begin);
    return true;
}

bool Reader::model() {
    if (cursor_.kind() == 'n') {
        return cursor_.null();  // read() says that it is missing
    }
    const std::size_t begin = cursor_.offset();
    if (!text("model", view_.model)) return false;
    if (view_.model.empty()) {
        return refuse("model", "empty_string", "Invalid 'model': empty string. Name a model.");
    }
    view_.model_value = value_since(begin);
    return true;
}

bool Reader::stream_options() {
    const std::size_t begin = cursor_.offset();
    if (cursor_.kind() == 'n') {
        if (!cursor_.null()) return false;
        view_.stream_options = value_since(begin);
        view_.stream_options_empty = true;
        return true;
    }
    if (cursor_.kind() != '{') return wrong_type("stream_options", "an object");
    if (!cursor_.open_object()) return false;
    view_.stream_options_empty = true;
    json::KeySet keys;
    std::string_view raw;
    std::string key_scratch;
    while (cursor_.next_member(raw)) {
        view_.stream_options_empty = false;
        if (!keys.add(raw, cursor_.escaped())) {
            error_ = json::duplicate_key_error("stream_options", keys.duplicate());
            return false;
        }
        const std::size_t value = cursor_.offset();
        if (json::decoded(raw, cursor_.escaped(), key_scratch) != "include_usage") {
            if (!cursor_.skip()) return false;
            continue;
        }
        if (!flag("stream_options.include_usage", view_.include_usage)) return false;
        view_.include_usage_value = value_since(value);
    }
    if (cursor_.failed() || !unique(keys, "stream_options")) return false;
    view_.stream_options = value_since(begin);
    return true;
}

bool Reader::filled_array(bool& filled) {
    if (cursor_.kind() != '[') return cursor_.skip();
    if (!cursor_.open_array()) return false;
    while (cursor_.next_element()) {
        filled = true;
        if (!cursor_.skip()) return false;
    }
    return !cursor_.failed();
}

bool Reader::messages() {
    const std::size_t begin = cursor_.offset();
    if (cursor_.kind() != '[') return wrong_type("messages", "an array of objects");
    if (!cursor_.open_array()) return false;
    std::size_t count = 0;
    while (cursor_.next_element()) {
        if (!message(count)) return false;
        ++count;
    }
    if (cursor_.failed()) return false;
    if (count == 0) {
        return refuse(
            "messages", "empty_array",
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but "
            "got an empty array instead.");
    }
    view_.messages = value_since(begin);
    view_.message_count = static_cast<std::uint32_t>(count);
    return true;
}

bool Reader::message(std::size_t index) {
    const auto path = [&](std::string_view field) {
        return fmt::format("messages[{}]{}", index, field);
    };
    if (cursor_.kind() != '{') return wrong_type(path(""), "an object");
    if (!cursor_.open_object()) return false;
    json::KeySet keys;
    std::string_view raw;
    std::string key_scratch;
    bool has_role = false;
    while (cursor_.next_member(raw)) {
        if (!keys.add(raw, cursor_.escaped())) {
            error_ = json::duplicate_key_error(path(""), keys.duplicate());
            return false;
        }
        const std::string_view key = json::decoded(raw, cursor_.escaped(), key_scratch);
        if (key == "role") {
            std::string_view role;
            if (cursor_.kind() != '"') return wrong_type(path(".role"), "a string");
            if (!cursor_.string(role)) return false;
            has_role = true;
        } else if (key == "content") {
            if (!content(index)) return false;
        } else if (cursor_.kind() == '{' || cursor_.kind() == '[') {
            if (!skip_unique("messages")) return false;
        } else if (!cursor_.skip()) {
            return false;
        }
    }
    // The path costs more than the check, so it is built for a refusal only.
    if (cursor_.failed() || (!keys.all_differ() && !unique(keys, path("")))) return false;
    return has_role || missing(path(".role"));
}

bool Reader::content(std::size_t index) {
    const char kind = cursor_.kind();
    if (kind == '"' || kind == 'n') return cursor_.skip();
    if (kind != '[') {
        return wrong_type(fmt::format("messages[{}].content", index),
                          "a string or an array of parts");
    }
    if (!cursor_.open_array()) return false;
    for (std::size_t i = 0; cursor_.next_element(); ++i) {
        if (!part(index, i)) return false;
    }
    return !cursor_.failed();
}

bool Reader::part(std::size_t message, std::size_t index) {
    const auto path = [&](std::string_view field) {
        return fmt::format("messages[{}].content[{}]{}", message, index, field);
    };
    if (cursor_.kind() != '{') return wrong_type(path(""), "an object");
    if (!cursor_.open_object()) return false;
    json::KeySet keys;
    std::string_view raw;
    std::string key_scratch;
    bool has_type = false;
    while (cursor_.next_member(raw)) {
        if (!keys.add(raw, cursor_.escaped())) {
            error_ = json::duplicate_key_error(path(""), keys.duplicate());
            return false;
        }
        if (json::decoded(raw, cursor_.escaped(), key_scratch) != "type") {
            const char kind = cursor_.kind();
            const bool nested = kind == '{' || kind == '[';
            if (nested ? !skip_unique("messages") : !cursor_.skip()) return false;
            continue;
        }
        if (cursor_.kind() != '"') return wrong_type(path(".type"), "a string");
        std::string_view type_raw;
        if (!cursor_.string(type_raw)) return false;
        const std::string_view type = json::decoded(type_raw, cursor_.escaped(), scratch_);
        if (type != "text" && type != "refusal") view_.has_media = true;
        has_type = true;
    }
    if (cursor_.failed() || (!keys.all_differ() && !unique(keys, path("")))) return false;
    return has_type || missing(path(".type"));
}

bool Reader::input(std::string_view name) {
    const std::size_t begin = cursor_.offset();
    view_.input_count = 1;
    if (cursor_.kind() == '"') {
        if (!cursor_.skip()) return false;
    } else if (cursor_.kind() != '[') {
        return wrong_type(std::string(name),
                          "a string, an array of strings or arrays of token numbers");
    } else if (!input_list(name)) {
        return false;
    }
    view_.input = value_since(begin);
    return true;
}

bool Reader::input_list(std::string_view name) {
    if (!cursor_.open_array()) return false;
    char first = 0;  // what the first element is; all must be alike
    std::uint32_t count = 0;
    while (cursor_.next_element()) {
        const std::string_view type = cursor_.type_name();
        const char kind = type == "an integer" ? '1' : cursor_.kind();
        if (first == 0) first = kind;
        const bool known = kind == '"' || kind == '[' || kind == '1';
        if (!known || kind != first) {
            return wrong_type(fmt::format("{}[{}]", name, count),
                              first == '1'   ? "an integer like the others"
                              : first == '[' ? "an array of integers like the others"
                                             : "a string");
        }
        if (kind == '[') {
            if (!cursor_.open_array()) return false;
            for (std::size_t i = 0; cursor_.next_element(); ++i) {
                if (cursor_.type_name() != "an integer") {
                    return wrong_type(fmt::format("{}[{}][{}]", name, count, i), "an integer");
                }
                if (!cursor_.skip()) return false;
            }
            if (cursor_.failed()) return false;
        } else if (!cursor_.skip()) {
            return false;
        }
        ++count;
    }
    if (cursor_.failed()) return false;
    if (count == 0) {
        return refuse(
            std::string(name), "empty_array",
            fmt::format("Invalid '{}': empty array. Expected an array with minimum length 1, but "
                        "got an empty array instead.",
                        name));
    }
    view_.input_count = first == '1' ? 1 : count;
    return true;
}

}  // namespace

std::optional<std::int64_t> RequestView::answer_limit() const noexcept {
    if (max_tokens && max_completion_tokens) return std::min(*max_tokens, *max_completion_tokens);
    return max_tokens ? max_tokens : max_completion_tokens;
}

Result<RequestView> parse_request(Endpoint endpoint, std::string_view body) {
    const auto tokens = json::thread_indexer().index(body);
    if (!tokens) {
        Error error = tokens.error();
        if (error.reason == "invalid_json") {
            error.message =
                "We could not parse the JSON body of your request: " + error.message + ".";
        }
        return fail(std::move(error));
    }
    Reader reader(endpoint, *tokens);
    if (!reader.read()) return fail(reader.error());
    return std::move(reader.view());
}

}  // namespace leeway::wire::openai
