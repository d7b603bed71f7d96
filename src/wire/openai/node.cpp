#include "wire/openai/node.hpp"

#include "json/number.hpp"
#include "json/write.hpp"

#include <algorithm>
#include <utility>

namespace leeway::wire::openai {

namespace {

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

}  // namespace

Node Node::string(std::string text) {
    Node node;
    node.kind = Kind::kString;
    node.text = std::move(text);
    return node;
}

Node Node::raw(std::string text) {
    Node node;
    node.kind = Kind::kRaw;
    node.text = std::move(text);
    return node;
}

Node Node::array() {
    Node node;
    node.kind = Kind::kArray;
    return node;
}

Node Node::object() {
    Node node;
    node.kind = Kind::kObject;
    return node;
}

const Node* Node::find(std::string_view key) const noexcept {
    for (const Member& member : members) {
        if (member.key == key) return &member.value;
    }
    return nullptr;
}

Node* Node::find(std::string_view key) noexcept {
    for (Member& member : members) {
        if (member.key == key) return &member.value;
    }
    return nullptr;
}

Node& Node::at(std::string_view key) {
    if (Node* found = find(key)) return *found;
    members.push_back({std::string(key), Node()});
    return members.back().value;
}

void Node::erase(std::string_view key) {
    std::erase_if(members, [&](const Member& member) { return member.key == key; });
}

std::optional<std::int64_t> Node::integer() const noexcept {
    return kind == Kind::kRaw ? json::to_int64(text) : std::nullopt;
}

void Node::write(std::string& out) const {
    switch (kind) {
        case Kind::kNull: out += "null"; return;
        case Kind::kRaw: out += text; return;
        case Kind::kString: json::append_string(out, text); return;
        case Kind::kArray: {
            out += '[';
            for (std::size_t i = 0; i < elements.size(); ++i) {
                if (i != 0) out += ',';
                elements[i].write(out);
            }
            out += ']';
            return;
        }
        case Kind::kObject: {
            out += '{';
            for (std::size_t i = 0; i < members.size(); ++i) {
                if (i != 0) out += ',';
                json::append_string(out, members[i].key);
                out += ':';
                members[i].value.write(out);
            }
            out += '}';
            return;
        }
    }
}

bool read_node(json::Cursor& cursor, Node& node) {
    std::string_view raw;
    std::string scratch;
    switch (cursor.kind()) {
        case '{':
            node.kind = Node::Kind::kObject;
            if (!cursor.open_object()) return false;
            while (cursor.next_member(raw)) {
                if (node.members.size() >= Node::kMostMembers) {
                    return cursor.fail("too many members in an object");
                }
                node.members.push_back(
                    {std::string(json::decoded(raw, cursor.escaped(), scratch)), Node()});
                if (!read_node(cursor, node.members.back().value)) return false;
            }
            return !cursor.failed();
        case '[':
            node.kind = Node::Kind::kArray;
            if (!cursor.open_array()) return false;
            while (cursor.next_element()) {
                if (!read_node(cursor, node.elements.emplace_back())) return false;
            }
            return !cursor.failed();
        case '"':
            node.kind = Node::Kind::kString;
            if (!cursor.string(raw)) return false;
            node.text = json::decoded(raw, cursor.escaped(), scratch);
            return true;
        case 'n': node.kind = Node::Kind::kNull; return cursor.null();
        default: break;
    }
    const std::size_t begin = cursor.offset();
    if (!cursor.skip()) return false;
    node.kind = Node::Kind::kRaw;
    node.text = cursor.text().substr(begin, cursor.value_end() - begin);
    return true;
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

}  // namespace leeway::wire::openai
