#include "json/node.hpp"
#include "json/tokens.hpp"
#include "wire/openai/convert.hpp"
#include "wire/openai/sse.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace leeway::wire::openai {

namespace {

using json::Node;
using json::read_node;

/// Merges a piece of a streamed answer into what was put together so far, as the official SDKs do: texts
/// are appended, objects merged member by member, array elements with an `index` merged with the one of
/// that index and others appended; names of kinds (role, type, id) and numbers are replaced. What is beyond
/// `kMostMembers` is left out.
void merge_delta(Node& into, Node&& delta, std::string_view key);

/// Members whose text is told whole each time it is told.
bool is_whole_text(std::string_view key) noexcept {
    return key == "role" || key == "type" || key == "id" || key == "object" || key == "format";
}

void merge_text(std::string& into, std::string&& delta, std::string_view key) {
    if (is_whole_text(key)) {
        if (!delta.empty()) into = std::move(delta);
        return;
    }
    // Some providers repeat the whole function name in every piece instead of telling it once.
    if (key == "name" && into == delta) return;
    into += delta;
}

void merge_elements(Node& into, Node&& delta) {
    for (Node& element : delta.elements) {
        const bool few = into.elements.size() < Node::kMostMembers;
        const Node* index = few && element.is_object() ? element.find("index") : nullptr;
        const auto number = index != nullptr ? index->integer() : std::nullopt;
        const auto same_index = [&](Node& other) {
            const Node* its = other.is_object() ? other.find("index") : nullptr;
            return its != nullptr && its->integer() == number;
        };
        auto twin = into.elements.end();
        if (number) twin = std::find_if(into.elements.begin(), into.elements.end(), same_index);
        if (twin == into.elements.end()) {
            into.elements.push_back(std::move(element));
        } else {
            merge_delta(*twin, std::move(element), {});
        }
    }
}

void merge_delta(Node& into, Node&& delta, std::string_view key) {
    if (delta.is_null()) return;
    if (into.kind != delta.kind || delta.kind == Node::Kind::kRaw) {
        into = std::move(delta);
        return;
    }
    if (delta.is_string()) {
        merge_text(into.text, std::move(delta.text), key);
    } else if (delta.is_array()) {
        merge_elements(into, std::move(delta));
    } else {
        for (Node::Member& member : delta.members) {
            if (into.members.size() >= Node::kMostMembers && into.find(member.key) == nullptr)
                continue;
            merge_delta(into.at(member.key), std::move(member.value), member.key);
        }
    }
}

tl::unexpected<Error> broken(std::string message, std::string reason) {
    Error error;
    error.code = ErrorCode::kUpstreamInvalid;
    error.message = std::move(message);
    error.reason = std::move(reason);
    return fail(std::move(error));
}

/// The `index` of a tool call; those without come last, in the order they came.
std::int64_t index_of(const Node& call) noexcept {
    const Node* index = call.is_object() ? call.find("index") : nullptr;
    return index != nullptr ? index->integer().value_or(INT64_MAX) : INT64_MAX;
}

void sort_by_index(std::vector<Node>& calls) {
    std::vector<std::pair<std::int64_t, std::size_t>> order;
    order.reserve(calls.size());
    for (std::size_t i = 0; i < calls.size(); ++i) order.emplace_back(index_of(calls[i]), i);
    std::sort(order.begin(), order.end());
    std::vector<Node> sorted;
    sorted.reserve(calls.size());
    for (const auto& [index, i] : order) sorted.push_back(std::move(calls[i]));
    calls = std::move(sorted);
}

/// One use: puts the chunks of one stream together.
class Assembler {
public:
    Result<void> add(std::string_view data);
    Result<std::string> finish();

private:
    struct Choice {
        std::int64_t index = 0;
        Node message = Node::object();
        bool has_logprobs = false;
        Node logprobs;
        Node finish_reason;
        Node rest = Node::object();
    };

    Choice& choice(std::int64_t index);
    void add_choice(Node&& piece);
    bool full() const noexcept { return choices_.size() > Node::kMostMembers; }
    static Node finished(Choice& choice);

    Node head_ = Node::object();  // top-level members as last told
    Node usage_;
    std::vector<Choice> choices_;
};

Assembler::Choice& Assembler::choice(std::int64_t index) {
    const auto at =
        std::lower_bound(choices_.begin(), choices_.end(), index,
                         [](const Choice& one, std::int64_t wanted) { return one.index < wanted; });
    if (at != choices_.end() && at->index == index) return *at;
    Choice fresh;
    fresh.index = index;
    return *choices_.insert(at, std::move(fresh));
}

void Assembler::add_choice(Node&& piece) {
    if (!piece.is_object()) return;
    const Node* index = piece.find("index");
    Choice& into = choice(index != nullptr ? index->integer().value_or(0) : 0);
    for (Node::Member& member : piece.members) {
        if (member.key == "delta") {
            if (member.value.is_object()) merge_delta(into.message, std::move(member.value), {});
        } else if (member.key == "logprobs") {
            into.has_logprobs = true;
            merge_delta(into.logprobs, std::move(member.value), {});
        } else if (member.key == "finish_reason") {
            if (!member.value.is_null()) into.finish_reason = std::move(member.value);
        } else if (member.key != "index") {
            Node& slot = into.rest.at(member.key);
            if (!member.value.is_null()) slot = std::move(member.value);
        }
    }
}

Result<void> Assembler::add(std::string_view data) {
    const auto tokens = json::thread_indexer().index(data);
    if (!tokens) {
        return broken("An event of the stream is not JSON: " + tokens.error().message, "bad_event");
    }
    json::Cursor cursor(*tokens);
    Node chunk;
    if (!read_node(cursor, chunk) || !cursor.end()) {
        return broken("An event of the stream is not JSON: " + cursor.error().message, "bad_event");
    }
    if (!chunk.is_object()) return broken("An event of the stream is no object.", "bad_event");
    const Node* error = chunk.find("error");
    if (error != nullptr && !error->is_null()) {
        const Node* message = error->is_object() ? error->find("message") : error;
        const bool told = message != nullptr && message->is_string();
        return broken(told ? message->text : std::string("The stream holds an error."),
                      "stream_error");
    }
    for (Node::Member& member : chunk.members) {
        if (member.key == "choices") {
            for (Node& piece : member.value.elements) {
                if (full()) return broken("The stream has too many choices.", "bad_event");
                add_choice(std::move(piece));
            }
        } else if (member.key == "usage") {
            if (!member.value.is_null()) usage_ = std::move(member.value);
        } else if (member.key != "obfuscation") {  // padding against traffic analysis, per chunk
            Node& slot = head_.at(member.key);
            if (!member.value.is_null()) slot = std::move(member.value);
        }
    }
    return {};
}

Node Assembler::finished(Choice& choice) {
    Node message = Node::object();
    message.at("role") = Node::string("assistant");
    message.at("content");
    for (Node::Member& member : choice.message.members) {
        if (member.key == "tool_calls") {
            // The index only told which pieces belong together and in which order.
            sort_by_index(member.value.elements);
            for (Node& call : member.value.elements) call.erase("index");
        }
        message.at(member.key) = std::move(member.value);
    }
    Node out = Node::object();
    out.at("index") = Node::raw(std::to_string(choice.index));
    out.at("message") = std::move(message);
    if (choice.has_logprobs) out.at("logprobs") = std::move(choice.logprobs);
    out.at("finish_reason") = std::move(choice.finish_reason);
    for (Node::Member& member : choice.rest.members) out.members.push_back(std::move(member));
    return out;
}

Result<std::string> Assembler::finish() {
    if (choices_.empty()) return broken("The stream ended without an answer.", "stream_cut");
    for (const Choice& one : choices_) {
        if (one.finish_reason.is_null()) {
            return broken("The stream was cut before the answer was whole.", "stream_cut");
        }
    }
    Node completion = Node::object();
    const auto move_member = [&](std::string_view key) {
        if (Node* found = head_.find(key)) completion.at(key) = std::move(*found);
        head_.erase(key);
    };
    move_member("id");
    completion.at("object") = Node::string("chat.completion");
    head_.erase("object");
    move_member("created");
    move_member("model");
    Node choices = Node::array();
    for (Choice& one : choices_) choices.elements.push_back(finished(one));
    completion.at("choices") = std::move(choices);
    if (!usage_.is_null()) completion.at("usage") = std::move(usage_);
    for (Node::Member& member : head_.members) completion.members.push_back(std::move(member));
    std::string out;
    completion.write(out);
    return out;
}

}  // namespace

Result<std::string> stream_to_completion(std::string_view sse_bytes) {
    SseScanner scanner;
    scanner.feed(sse_bytes);
    Assembler assembler;
    SseEvent event;
    while (true) {
        const auto more = scanner.next(event);
        if (!more) return fail(more.error());
        // The last event may lack its blank line; a provider's [DONE] often does.
        if (!*more && !scanner.finish(event)) break;
        if (event.has_data && event.data == "[DONE]") break;
        if (event.has_data) {
            if (auto added = assembler.add(event.data); !added) return fail(added.error());
        }
        if (!event.whole) break;
    }
    return assembler.finish();
}

}  // namespace leeway::wire::openai
