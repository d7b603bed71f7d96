#include "json/node.hpp"

#include "json/number.hpp"
#include "json/write.hpp"

#include <algorithm>
#include <utility>

namespace leeway::json {

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
    return kind == Kind::kRaw ? to_int64(text) : std::nullopt;
}

std::string_view Node::text_of(std::string_view key) const noexcept {
    const Node* found = find(key);
    return found != nullptr && found->is_string() ? std::string_view(found->text)
                                                  : std::string_view();
}

std::string Node::json() const {
    std::string out;
    write(out);
    return out;
}

void Node::write(std::string& out) const {
    switch (kind) {
        case Kind::kNull: out += "null"; return;
        case Kind::kRaw: out += text; return;
        case Kind::kString: append_string(out, text); return;
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
                append_string(out, members[i].key);
                out += ':';
                members[i].value.write(out);
            }
            out += '}';
            return;
        }
    }
}

bool read_node(Cursor& cursor, Node& node) {
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
                if (node.members.empty()) node.members.reserve(4);
                node.members.push_back(
                    {std::string(decoded(raw, cursor.escaped(), scratch)), Node()});
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
        case '"': node.kind = Node::Kind::kString; return cursor.decoded_string(node.text);
        case 'n': node.kind = Node::Kind::kNull; return cursor.null();
        default: break;
    }
    const std::size_t begin = cursor.offset();
    if (!cursor.skip()) return false;
    node.kind = Node::Kind::kRaw;
    node.text = cursor.text().substr(begin, cursor.value_end() - begin);
    return true;
}

Result<Node> parse_node(std::string_view text) {
    const auto tokens = thread_indexer().index(text);
    if (!tokens) return fail(tokens.error());
    Cursor cursor(*tokens);
    Node node;
    if (!read_node(cursor, node) || !cursor.end()) return fail(cursor.error());
    return node;
}

}  // namespace leeway::json
