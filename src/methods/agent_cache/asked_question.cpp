#include "methods/agent_cache/asked_question.hpp"

#include "json/node.hpp"
#include "methods/agent_cache/answer_form.hpp"
#include "wire/openai/canonical.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace leeway::agent_cache {
namespace {

using json::Node;
using pipeline::RequestContext;

constexpr std::string_view kKeyVersion = "leeway-semantic-1";

tl::unexpected<Error> not_looked_up(std::string_view reason) {
    return fail(Error{ErrorCode::kInvalidRequest,
                      "the semantic cache passes this request by",
                      {},
                      {},
                      std::string(reason)});
}

bool is_set(const Node& body, std::string_view key) {
    const Node* value = body.find(key);
    return value != nullptr && !value->is_null() && !(value->is_bool() && !value->is_true());
}

bool is_role(const Node& message, std::string_view role) { return message.text_of("role") == role; }

/// The text of a message that is nothing but text.
bool text_of(const Node& message, std::string& out) {
    const Node* content = message.find("content");
    if (content == nullptr) return false;
    if (content->is_string()) {
        out = content->text;
        return true;
    }
    if (!content->is_array()) return false;
    for (const Node& part : content->elements) {
        if (part.text_of("type") != "text") return false;
        if (!out.empty()) out += '\n';
        out += part.text_of("text");
    }
    return true;
}

std::string_view why_not(const RequestContext& context, const Node& body) {
    if (context.view.has_media) return "media";
    if (context.view.n > 1) return "choices";
    if (is_set(body, "logprobs") || is_set(body, "top_logprobs")) return "logprobs";
    // What a tool does or finds is another thing each time, and which of them do harm nobody tells us.
    if (context.view.has_tools) return "tools";
    if (is_set(body, "web_search_options")) return "search";
    const Node* modalities = body.find("modalities");
    if (modalities != nullptr && modalities->is_array() && modalities->elements.size() > 1)
        return "media";
    return {};
}

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || (c & 0x80) != 0; }

}  // namespace

Result<AskedQuestion> asked_question(const RequestContext& context, bool shared) {
    if (context.endpoint != pipeline::Endpoint::kChatCompletions) return not_looked_up("no_chat");
    if (context.opaque) return not_looked_up("opaque");
    if (context.body.size() > kMostQuestionBody) return not_looked_up("too_long");
    auto parsed = json::parse_node(context.body);
    if (!parsed) return not_looked_up("no_chat");
    Node& body = *parsed;
    if (const std::string_view why = why_not(context, body); !why.empty())
        return not_looked_up(why);
    Node* messages = body.find("messages");
    if (messages == nullptr || !messages->is_array() || messages->elements.empty())
        return not_looked_up("no_chat");
    Node& last = messages->elements.back();
    AskedQuestion out;
    if (!is_role(last, "user") || !text_of(last, out.text)) return not_looked_up("no_text");
    if (normalised(out.text).empty()) return not_looked_up("no_text");
    if (out.text.size() > kMostQuestionBytes) return not_looked_up("too_long");
    out.personal = is_personal(out.text);
    for (const Node& message : messages->elements) {
        if (&message == &last) break;
        out.follows = out.follows || !(is_role(message, "system") || is_role(message, "developer"));
    }

    std::string bytes;
    append_field(bytes, kKeyVersion);
    // "shared" is no name of a key: those have a letter of their own before them.
    out.together = shared && !out.personal && !out.follows;
    append_field(bytes, out.together ? std::string("shared") : "tenant " + context.key_name);
    append_field(bytes, context.route == nullptr ? std::string_view() : context.route->name);
    append_field(bytes, context.model->provider_name);
    append_field(bytes, context.model->name);
    append_field(bytes, context.model->upstream_name);
    out.evidence = sha256(bytes);

    last.at("content") = Node();
    for (const std::string_view chance : {"temperature", "top_p", "seed"}) body.erase(chance);
    if (auto added = wire::openai::append_canonical(body.json(), bytes); !added)
        return fail(std::move(added.error()));
    out.partition = sha256(bytes);
    return out;
}

void part_by_vectors(AskedQuestion& question, std::string_view fingerprint) {
    for (Sha256* part : {&question.partition, &question.evidence}) {
        std::string bytes;
        append_field(bytes, {reinterpret_cast<const char*>(part->data()), part->size()});
        append_field(bytes, fingerprint);
        *part = sha256(bytes);
    }
}

std::string normalised(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            if (!out.empty() && out.back() != ' ') out += ' ';
        } else {
            out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
        }
    }
    while (!out.empty() && std::string_view(" .!?").find(out.back()) != std::string_view::npos)
        out.pop_back();
    return out;
}

bool is_personal(std::string_view text) {
    constexpr std::array<std::string_view, 22> kOwn{
        "my",    "mine",   "myself", "our",    "ours",  "i'm",    "i've",    "mein",
        "meine", "meinen", "meiner", "meinem", "unser", "unsere", "unseren", "mon",
        "ma",    "mes",    "mi",     "mis",    "mio",   "mia"};
    constexpr std::array<std::string_view, 8> kOfMe{"am",   "have", "was",  "had",
                                                    "live", "work", "need", "paid"};
    std::string before;
    std::string word;
    std::size_t digits = 0;
    for (std::size_t i = 0; i <= text.size(); ++i) {
        char c = i < text.size() ? text[i] : ' ';
        if (text.substr(i, 3) == "\xe2\x80\x99") {  // the apostrophe of most telephones
            c = '\'';
            i += 2;
        }
        if (c == '@') return true;
        // Telephone, card, order and account numbers; years and prices are shorter.
        if (c >= '0' && c <= '9') {
            if (++digits >= 5) return true;
        } else if (c != ' ' && c != '-' && c != '.' && c != '/' && c != '(' && c != ')') {
            digits = 0;
        }
        if (is_word(c) || (c == '\'' && !word.empty())) {
            word += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
            continue;
        }
        if (word.empty()) continue;
        const auto is_word_of = [&word](std::string_view other) {
            return word == other;
        };
        if (std::any_of(kOwn.begin(), kOwn.end(), is_word_of)) return true;
        if (before == "i" && std::any_of(kOfMe.begin(), kOfMe.end(), is_word_of)) return true;
        before = std::exchange(word, {});
    }
    return false;
}

}  // namespace leeway::agent_cache
