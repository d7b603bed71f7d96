#include "tokens/chat_count.hpp"

#include "base/base64.hpp"
#include "json/tokens.hpp"
#include "tokens/function_text.hpp"
#include "tokens/image_tokens.hpp"
#include "tokens/json_reading.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace leeway::tokens {
namespace {

using detail::Reading;

// OpenAI cookbook, and gpt-tokenizer's functionCalling.ts for what concerns functions.
constexpr std::int64_t kMessage = 3;
constexpr std::int64_t kName = 1;
constexpr std::int64_t kReply = 3;
constexpr std::int64_t kDefinitions = 9;
constexpr std::int64_t kDefinitionsBesideSystem = -4;
constexpr std::int64_t kCall = 3;
constexpr std::int64_t kNamedChoice = 4;
constexpr std::int64_t kNoChoice = 1;
constexpr std::int64_t kFunctionRole = -2;
constexpr std::int64_t kHarmonyMessage = 3;  // start, message, end

struct Message {
    std::string role;
    std::string name;
    std::string text;  ///< all text parts
    std::int64_t calls = 0;
    bool has_content = false;
};

class ChatReader {
public:
    ChatReader(Reading& in, const ChatCounting& counting) : in_(in), counting_(counting) {}

    void read(ChatCount& out);

private:
    [[nodiscard]] std::int64_t count(std::string_view text);
    std::string text_or_skip() {
        if (in_.cursor.kind() == '"') return in_.text();
        in_.cursor.skip();
        return {};
    }
    void read_message();
    void read_content(Message& message);
    void read_part(Message& message);
    void read_image(std::string_view key);
    void read_call(Message& message);
    void read_tool();
    void read_choice();
    void add_messages(ChatCount& out);
    void add_tools(ChatCount& out);

    Reading& in_;
    const ChatCounting& counting_;
    std::vector<Message> messages_;
    std::vector<FunctionDefinition> functions_;
    std::string choice_;
    std::string chosen_function_;
    std::int64_t images_ = 0;
    std::uint32_t unknown_parts_ = 0;
    bool has_images_ = false;
    CalibrationFeatures features_;
};

std::int64_t ChatReader::count(std::string_view text) {
    for (const char c : text) {
        features_.digit_bytes += c >= '0' && c <= '9' ? 1 : 0;
        features_.other_bytes += static_cast<unsigned char>(c) >= 0x80 ? 1 : 0;
    }
    const std::size_t tokens = counting_.memo != nullptr
                                   ? counting_.memo->count(*counting_.tokenizer, text)
                                   : counting_.tokenizer->count(text);
    return static_cast<std::int64_t>(tokens);
}

void ChatReader::read_image(std::string_view key) {
    std::string url;
    ImageDetail detail = ImageDetail::kAuto;
    const auto set_detail = [&detail](const std::string& word) {
        if (word == "low") detail = ImageDetail::kLow;
        if (word == "high") detail = ImageDetail::kHigh;
    };
    if (key == "image_url" && in_.cursor.kind() == '{') {
        in_.members([&](std::string_view field) {
            if (field == "url") {
                url = text_or_skip();
            } else if (field == "detail") {
                set_detail(text_or_skip());
            } else {
                in_.cursor.skip();
            }
        });
    } else {
        url = text_or_skip();
    }
    ImageSize size;
    const std::size_t comma = url.find(";base64,");
    if (url.starts_with("data:") && comma != std::string::npos) {
        // The head says the size; of a JPEG it may lie behind a picture of its own.
        std::string_view data = std::string_view(url).substr(comma + 8);
        data = data.substr(0, std::min<std::size_t>(data.size(), 262144) / 4 * 4);
        if (const auto file = decode_base64(data)) size = image_size(*file).value_or(ImageSize{});
    }
    has_images_ = true;
    if (const auto tokens = image_tokens(counting_.model, size, detail)) {
        images_ += tokens->tokens;
    } else {
        ++unknown_parts_;
    }
}

void ChatReader::read_part(Message& message) {
    std::string type;
    bool known = false;
    in_.members([&](std::string_view key) {
        if (key == "type") {
            type = text_or_skip();
        } else if (key == "text" || key == "refusal") {
            message.text += text_or_skip();
            known = true;
        } else if (key == "image_url") {
            read_image(key);
            known = true;
        } else {
            in_.cursor.skip();
        }
    });
    if (!known) ++unknown_parts_;
}

void ChatReader::read_content(Message& message) {
    if (in_.cursor.kind() == '"') {
        message.text = in_.text();
        message.has_content = true;
    } else if (in_.cursor.kind() == '[') {
        in_.elements([&] { read_part(message); });
        message.has_content = true;
    } else {
        in_.cursor.skip();
    }
}

void ChatReader::read_call(Message& message) {
    in_.members([&](std::string_view key) {
        if (key == "name" || key == "arguments") {
            message.calls += count(text_or_skip());
        } else {
            in_.cursor.skip();
        }
    });
    message.calls += kCall;
}

void ChatReader::read_message() {
    Message message;
    in_.members([&](std::string_view key) {
        if (key == "role") {
            message.role = text_or_skip();
        } else if (key == "name") {
            message.name = text_or_skip();
        } else if (key == "content") {
            read_content(message);
        } else if (key == "function_call" && in_.cursor.kind() == '{') {
            read_call(message);
        } else if (key == "tool_calls") {
            in_.elements([&] {
                in_.members([&](std::string_view field) {
                    if (field == "function" && in_.cursor.kind() == '{') {
                        read_call(message);
                    } else {
                        in_.cursor.skip();
                    }
                });
            });
        } else {
            in_.cursor.skip();
        }
    });
    messages_.push_back(std::move(message));
}

void ChatReader::read_tool() {
    in_.members([&](std::string_view key) {
        if (key == "function" && in_.cursor.kind() == '{') {
            functions_.push_back(read_function(in_.cursor));
        } else {
            in_.cursor.skip();
        }
    });
}

void ChatReader::read_choice() {
    if (in_.cursor.kind() == '"') {
        choice_ = in_.text();
        return;
    }
    in_.members([&](std::string_view key) {
        if (key == "name") {
            chosen_function_ = text_or_skip();
        } else if (key == "function") {
            in_.members([&](std::string_view field) {
                if (field == "name") {
                    chosen_function_ = text_or_skip();
                } else {
                    in_.cursor.skip();
                }
            });
        } else {
            in_.cursor.skip();
        }
    });
}

void ChatReader::add_messages(ChatCount& out) {
    const bool harmony = counting_.rule.family == ModelFamily::kHarmony;
    bool padded = false;
    for (Message& message : messages_) {
        if (message.role == "system" && !functions_.empty() && !padded) {
            // The definitions follow the first system message on a line of their own.
            if (!message.text.empty() && !message.text.ends_with('\n')) message.text += '\n';
            padded = true;
        }
        out.messages += message.calls + (harmony ? kHarmonyMessage : kMessage);
        if (!message.role.empty()) out.messages += count(message.role);
        if (!message.text.empty()) out.messages += count(message.text);
        if (!message.name.empty()) out.messages += count(message.name) + kName;
        if (message.role == "function") out.messages += kFunctionRole;
    }
    out.reply = harmony ? 1 + count("assistant") : kReply;
}

void ChatReader::add_tools(ChatCount& out) {
    if (!functions_.empty()) {
        const std::int64_t text = count(functions_as_text(functions_));
        features_.tool_tokens = static_cast<double>(text);
        out.tools = text + kDefinitions;
        const bool has_system = std::any_of(messages_.begin(), messages_.end(),
                                            [](const Message& m) { return m.role == "system"; });
        if (has_system) out.tools += kDefinitionsBesideSystem;
    }
    if (choice_ == "none") out.tools += kNoChoice;
    if (!chosen_function_.empty()) out.tools += count(chosen_function_) + kNamedChoice;
}

void ChatReader::read(ChatCount& out) {
    bool has_messages = false;
    in_.members([&](std::string_view key) {
        if (key == "messages" && in_.cursor.kind() == '[') {
            has_messages = true;
            in_.elements([&] { read_message(); });
        } else if (key == "functions") {
            in_.elements([&] { functions_.push_back(read_function(in_.cursor)); });
        } else if (key == "tools") {
            in_.elements([&] { read_tool(); });
        } else if (key == "function_call" || key == "tool_choice") {
            read_choice();
        } else {
            in_.cursor.skip();
        }
    });
    if (!has_messages) in_.cursor.fail("a chat request with messages was expected");
    if (in_.cursor.failed()) return;
    add_messages(out);
    add_tools(out);
    out.images = images_;
    out.unknown_parts = unknown_parts_;
    out.message_count = static_cast<std::uint32_t>(messages_.size());
    const std::int64_t sum = out.messages + out.tools + out.images + out.reply;
    features_.messages = static_cast<double>(messages_.size());
    features_.base_tokens = static_cast<double>(
        sum - out.images - kReply - kMessage * static_cast<std::int64_t>(messages_.size()));
    out.features = features_;
    if (counting_.rule.exact) {
        out.total = TokenCount::exact(sum);
        const bool openai = counting_.rule.family == ModelFamily::kOpenAi;
        if (!openai)
            out.total.quality = Quality::kHeuristic;  // the template around it is the server's
        if (openai && (!functions_.empty() || !choice_.empty())) {
            out.total.quality = Quality::kCalibrated;
        }
    } else {
        const Calibration prior(counting_.rule.family);
        out.total =
            (counting_.calibration != nullptr ? *counting_.calibration : prior).estimate(features_);
        for (std::int64_t* value : {&out.total.tokens, &out.total.low, &out.total.high}) {
            *value += out.images;
        }
    }
    if (has_images_ || unknown_parts_ > 0) out.total.quality = Quality::kHeuristic;
}

}  // namespace

Result<ChatCount> count_chat(std::string_view body, const ChatCounting& counting) {
    json::Indexer indexer;
    const auto tokens = indexer.index(body);
    if (!tokens) return fail(tokens.error());
    json::Cursor cursor(*tokens);
    Reading in{cursor};
    ChatCount out;
    ChatReader(in, counting).read(out);
    if (cursor.failed()) return fail(cursor.error());
    return out;
}

}  // namespace leeway::tokens
