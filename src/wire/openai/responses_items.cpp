#include "wire/openai/responses_items.hpp"

#include "json/write.hpp"
#include "wire/canonical/common.hpp"

#include <utility>

namespace leeway::wire::openai {
namespace {

using json::Node;

constexpr std::string_view kPrevious = "previous_response_id";
constexpr std::string_view kReference = "item_reference";
constexpr std::string_view kStored = "\"store\":true";

Node part_of(std::string_view type, std::string text) {
    Node part = Node::object();
    part.at("type") = Node::string(std::string(type));
    part.at("text") = Node::string(std::move(text));
    return part;
}

/// Messages may have a bare text for their content, and no type.
void complete_message(Node& item) {
    if (item.text_of("type").empty()) item.at("type") = Node::string("message");
    if (item.text_of("type") != "message") return;
    if (item.text_of("status").empty()) item.at("status") = Node::string("completed");
    Node* content = item.find("content");
    if (content == nullptr || !content->is_string()) return;
    const bool told = item.text_of("role") == "assistant";
    Node parts = Node::array();
    parts.elements.push_back(
        part_of(told ? "output_text" : "input_text", std::move(content->text)));
    if (told) parts.elements.back().at("annotations") = Node::array();
    item.at("content") = std::move(parts);
}

std::string_view prefix_of(std::string_view type) noexcept {
    if (type == "function_call") return "fc_";
    if (type == "reasoning") return "rs_";
    return type == "message" ? "msg_" : "item_";
}

bool is_reference(const Node& item) noexcept {
    return item.is_object() && item.text_of("type") == kReference;
}

}  // namespace

bool may_recall(std::string_view body) noexcept {
    // Any letter of a key may be written as an escape.
    for (const std::string_view word : {kPrevious, kReference, std::string_view("\\u")}) {
        if (body.find(word) != std::string_view::npos) return true;
    }
    return false;
}

Result<Recall> read_recall(const Node& body) {
    Recall out;
    bool seen = false;
    for (const Node::Member& member : body.members) {
        if (member.key != kPrevious) continue;
        if (std::exchange(seen, true)) {
            return fail(Error{ErrorCode::kInvalidRequest,
                              "'previous_response_id' stands in the request twice.",
                              {},
                              std::string(kPrevious),
                              "duplicate_key"});
        }
        if (member.value.is_null()) continue;
        if (!member.value.is_string()) return fail(wrong_type(kPrevious, "a string"));
        out.previous = member.value.text;
    }
    const Node* input = body.find("input");
    if (input == nullptr || !input->is_array()) return out;
    for (const Node& item : input->elements) {
        if (is_reference(item)) out.references.emplace_back(item.text_of("id"));
    }
    return out;
}

Result<void> write_out(Node& body, const std::vector<std::string>& earlier,
                       const ItemsById& known) {
    Node all = Node::array();
    const auto add = [&all](const std::string& kept) -> Result<void> {
        auto item = json::parse_node(kept);
        if (!item) return fail(std::move(item.error()));
        const bool thought = item->text_of("type") == "reasoning";
        if (thought && item->text_of("encrypted_content").empty()) return {};
        item->erase("id");
        all.elements.push_back(std::move(*item));
        return {};
    };
    for (const std::string& one : earlier) {
        if (auto added = add(one); !added) return added;
    }
    Node& input = body.at("input");
    if (input.is_string()) {
        Node message = Node::object();
        message.at("role") = Node::string("user");
        message.at("content") = std::exchange(input, Node());
        all.elements.push_back(std::move(message));
    } else if (!input.is_array() && !input.is_null()) {
        return fail(wrong_type("input", "a string or an array"));
    }
    for (Node& item : input.elements) {
        const auto found = is_reference(item) ? known.find(item.text_of("id")) : known.end();
        if (found == known.end()) {
            all.elements.push_back(std::move(item));
        } else if (auto added = add(found->second); !added) {
            return added;
        }
    }
    input = std::move(all);
    return {};
}

std::vector<ConversationItem> input_items(const Node& input, const ItemsById& known,
                                          std::string_view scope) {
    std::vector<ConversationItem> out;
    const auto add = [&](Node item) {
        if (!item.is_object()) return;
        complete_message(item);
        std::string id(item.text_of("id"));
        if (id.empty()) {
            id = prefix_of(item.text_of("type"));
            id.append(scope).append("_i").append(std::to_string(out.size()));
            item.at("id") = Node::string(id);
        }
        out.push_back({std::move(id), item.json()});
    };
    if (input.is_string()) {
        Node message = Node::object();
        message.at("role") = Node::string("user");
        message.at("content") = input;
        add(std::move(message));
    }
    for (const Node& item : input.elements) {
        const auto found = is_reference(item) ? known.find(item.text_of("id")) : known.end();
        if (found == known.end()) {
            add(item);
        } else {
            out.push_back({found->first, found->second});
        }
    }
    return out;
}

std::optional<WholeResponse> read_whole(std::string_view told, bool stream) {
    if (stream) {
        // No text inside of JSON holds a line break.
        constexpr std::string_view kData = "\ndata: ";
        const std::size_t last = told.rfind(kData);
        if (last == std::string_view::npos) return std::nullopt;
        told.remove_prefix(last + kData.size());
        told = told.substr(0, told.find('\n'));
    }
    auto node = json::parse_node(told);
    if (!node || !node->is_object()) return std::nullopt;
    Node* response = stream ? node->find("response") : &*node;
    if (response == nullptr || !response->is_object()) return std::nullopt;
    const std::string_view status = response->text_of("status");
    Node* output = response->find("output");
    if ((status != "completed" && status != "incomplete") || output == nullptr) return std::nullopt;
    WholeResponse out;
    out.id = response->text_of("id");
    for (const Node& item : output->elements)
        out.output.push_back({std::string(item.text_of("id")), item.json()});
    *output = Node::array();
    out.head = response->json();
    return out;
}

std::string with_output(std::string_view head, const std::vector<std::string>& output) {
    constexpr std::string_view kEmpty = "\"output\":[]";
    std::string out(head);
    const std::size_t at = out.find(kEmpty);  // the first: before it stand our own words only
    if (at == std::string::npos) return out;
    std::string items;
    for (const std::string& item : output) {
        if (!items.empty()) items += ',';
        items += item;
    }
    out.insert(at + kEmpty.size() - 1, items);
    return out;
}

void say_not_stored(std::string& told) {
    const std::size_t at = told.rfind(kStored);  // inside of a text its quotes would be escaped
    if (at != std::string::npos) told.replace(at, kStored.size(), "\"store\":false");
}

std::string render_deleted(std::string_view id) {
    std::string out;
    json::Writer(out)
        .object()
        .key("id")
        .string(id)
        .key("object")
        .string("response")
        .key("deleted")
        .boolean(true)
        .close_object();
    return out;
}

}  // namespace leeway::wire::openai
