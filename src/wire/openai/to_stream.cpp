#include "json/node.hpp"
#include "json/text.hpp"
#include "json/tokens.hpp"
#include "wire/openai/convert.hpp"

#include <algorithm>
#include <utility>

namespace leeway::wire::openai {

namespace {

using json::Node;
using json::read_node;

// A client that draws as it reads sees some movement; more pieces would only cost.
constexpr std::size_t kPieceBytes = 64;
constexpr std::size_t kMostPieces = 8;

tl::unexpected<Error> not_a_completion(std::string why) {
    return fail(ErrorCode::kUpstreamInvalid,
                "The answer is not a chat completion and cannot be streamed: " + std::move(why));
}

/// Takes a member out of an object; null when it has none.
Node take(Node& object, std::string_view key) {
    Node out;
    if (Node* found = object.find(key)) out = std::move(*found);
    object.erase(key);
    return out;
}

/// One use: writes the events of one completion.
class StreamWriter {
public:
    StreamWriter(Node completion, bool include_usage)
        : completion_(std::move(completion)), include_usage_(include_usage) {}

    Result<std::string> write();

private:
    void choice(Node& choice);
    void content(std::string_view text, Node logprobs);
    void tool_calls(Node& calls);
    /// One chunk with one choice: `extra` are more members of the choice.
    void delta(Node delta, Node logprobs, Node finish_reason, Node extra);
    void delta(std::string_view key, Node value);
    void chunk(Node choices, Node usage);

    Node completion_;
    Node head_ = Node::object();  // members that every chunk repeats
    Node rest_ = Node::object();  // members that only the first chunk has
    bool include_usage_;
    bool has_logprobs_ = false;  // the current choice has the member, maybe null
    std::int64_t index_ = 0;     // of the current choice
    std::string out_;
};

Result<std::string> StreamWriter::write() {
    if (!completion_.is_object()) return not_a_completion("it is no object.");
    Node choices = take(completion_, "choices");
    if (!choices.is_array() || choices.elements.empty())
        return not_a_completion("it has no choices.");
    for (const Node& one : choices.elements) {
        const Node* message = one.is_object() ? one.find("message") : nullptr;
        if (message == nullptr || !message->is_object()) {
            return not_a_completion("a choice has no message.");
        }
    }
    Node usage = take(completion_, "usage");
    completion_.at("object") = Node::string("chat.completion.chunk");
    for (Node::Member& member : completion_.members) {
        const std::string& key = member.key;
        const bool repeats = key == "id" || key == "object" || key == "created" || key == "model" ||
                             key == "system_fingerprint" || key == "service_tier";
        (repeats ? head_ : rest_).members.push_back(std::move(member));
    }
    for (std::size_t i = 0; i < choices.elements.size(); ++i) {
        const Node* index = choices.elements[i].find("index");
        const auto number = index != nullptr ? index->integer() : std::nullopt;
        index_ = number.value_or(static_cast<std::int64_t>(i));
        choice(choices.elements[i]);
    }
    if (include_usage_ && usage.is_object()) chunk(Node::array(), std::move(usage));
    out_ += "data: [DONE]\n\n";
    return std::move(out_);
}

void StreamWriter::choice(Node& choice) {
    has_logprobs_ = choice.find("logprobs") != nullptr;
    Node message = take(choice, "message");
    Node logprobs = take(choice, "logprobs");
    Node finish_reason = take(choice, "finish_reason");
    choice.erase("index");
    Node role = take(message, "role");
    const bool has_content = message.find("content") != nullptr;
    Node text = take(message, "content");
    Node calls;
    if (const Node* found = message.find("tool_calls"); found != nullptr && !found->is_null()) {
        calls = take(message, "tool_calls");
    }

    Node first = Node::object();
    first.at("role") = role.is_string() ? std::move(role) : Node::string("assistant");
    if (has_content) first.at("content") = text.is_string() ? Node::string("") : Node();
    for (const Node::Member& member : message.members) {
        if (member.value.is_null()) first.at(member.key);
    }
    delta(std::move(first), Node(), Node(), Node::object());
    for (Node::Member& member : message.members) {
        if (!member.value.is_null()) delta(member.key, std::move(member.value));
    }
    if (text.is_string() && !text.text.empty()) {
        content(text.text, std::move(logprobs));
        logprobs = Node();
    } else if (!text.is_null() && !text.is_string()) {
        delta("content", std::move(text));  // parts, as some providers answer
    }
    if (calls.is_array()) tool_calls(calls);
    delta(Node::object(), std::move(logprobs), std::move(finish_reason), std::move(choice));
}

void StreamWriter::content(std::string_view text, Node logprobs) {
    // Log-probabilities belong to the tokens of one piece, and where tokens end is not known here.
    const bool whole = !logprobs.is_null();
    const std::size_t pieces =
        whole ? 1 : std::clamp<std::size_t>(text.size() / kPieceBytes, 1, kMostPieces);
    const std::size_t step = text.size() / pieces;
    for (std::size_t i = 0; i < pieces; ++i) {
        const std::size_t end = i + 1 == pieces ? text.size() : json::utf8_border(text, step);
        Node piece = Node::object();
        piece.at("content") = Node::string(std::string(text.substr(0, end)));
        delta(std::move(piece), std::move(logprobs), Node(), Node::object());
        logprobs = Node();
        text.remove_prefix(end);
    }
}

void StreamWriter::tool_calls(Node& calls) {
    for (std::size_t i = 0; i < calls.elements.size(); ++i) {
        Node call = Node::object();
        call.at("index") = Node::raw(std::to_string(i));
        Node* function = calls.elements[i].find("function");
        Node arguments = function != nullptr ? take(*function, "arguments") : Node();
        if (arguments.is_string()) function->at("arguments") = Node::string("");
        for (Node::Member& member : calls.elements[i].members) {
            if (member.key != "index") call.members.push_back(std::move(member));
        }
        Node list = Node::array();
        list.elements.push_back(std::move(call));
        delta("tool_calls", std::move(list));
        if (!arguments.is_string() || arguments.text.empty()) continue;
        Node piece = Node::object();
        piece.at("index") = Node::raw(std::to_string(i));
        piece.at("function") = Node::object();
        piece.at("function").at("arguments") = std::move(arguments);
        Node more = Node::array();
        more.elements.push_back(std::move(piece));
        delta("tool_calls", std::move(more));
    }
}

void StreamWriter::delta(std::string_view key, Node value) {
    Node piece = Node::object();
    piece.at(key) = std::move(value);
    delta(std::move(piece), Node(), Node(), Node::object());
}

void StreamWriter::delta(Node delta, Node logprobs, Node finish_reason, Node extra) {
    Node choice = Node::object();
    choice.at("index") = Node::raw(std::to_string(index_));
    choice.at("delta") = std::move(delta);
    if (has_logprobs_) choice.at("logprobs") = std::move(logprobs);
    choice.at("finish_reason") = std::move(finish_reason);
    for (Node::Member& member : extra.members) choice.members.push_back(std::move(member));
    Node choices = Node::array();
    choices.elements.push_back(std::move(choice));
    chunk(std::move(choices), Node());
}

void StreamWriter::chunk(Node choices, Node usage) {
    Node event = head_;
    event.at("choices") = std::move(choices);
    if (include_usage_) event.at("usage") = std::move(usage);
    for (Node::Member& member : rest_.members) event.members.push_back(std::move(member));
    rest_.members.clear();
    out_ += "data: ";
    event.write(out_);
    out_ += "\n\n";
}

}  // namespace

Result<std::string> completion_to_stream(std::string_view completion_json, bool include_usage) {
    const auto tokens = json::thread_indexer().index(completion_json);
    if (!tokens) return not_a_completion(tokens.error().message + ".");
    json::Cursor cursor(*tokens);
    Node completion;
    if (!read_node(cursor, completion) || !cursor.end()) {
        return not_a_completion(cursor.error().message + ".");
    }
    return StreamWriter(std::move(completion), include_usage).write();
}

}  // namespace leeway::wire::openai
