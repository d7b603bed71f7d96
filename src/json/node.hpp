#pragma once

#include "json/cursor.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::json {

/// A small JSON tree that can be changed, for turning requests and answers from one form into another. Not
/// for the pass-through path. Numbers and words keep their spelling; keys keep their order.
struct Node {
    enum class Kind : std::uint8_t { kNull, kRaw, kString, kArray, kObject };
    struct Member;

    /// Members of one object, and elements told apart by their index: a hostile answer must not make
    /// our searches slow.
    static constexpr std::size_t kMostMembers = 1024;

    Kind kind = Kind::kNull;
    std::string text;  ///< kString: its meaning; kRaw: a number, true or false as spelled
    std::vector<Node> elements;  ///< kArray
    std::vector<Member> members;  ///< kObject

    [[nodiscard]] static Node string(std::string text);
    [[nodiscard]] static Node raw(std::string text);
    [[nodiscard]] static Node array();
    [[nodiscard]] static Node object();

    [[nodiscard]] bool is_null() const noexcept { return kind == Kind::kNull; }
    [[nodiscard]] bool is_string() const noexcept { return kind == Kind::kString; }
    [[nodiscard]] bool is_array() const noexcept { return kind == Kind::kArray; }
    [[nodiscard]] bool is_object() const noexcept { return kind == Kind::kObject; }
    /// The member `key`, or nullptr.
    [[nodiscard]] Node* find(std::string_view key) noexcept;
    [[nodiscard]] const Node* find(std::string_view key) const noexcept;
    /// The member `key`, added as null if it is not there.
    Node& at(std::string_view key);
    void erase(std::string_view key);
    /// The integer it is, or nullopt.
    [[nodiscard]] std::optional<std::int64_t> integer() const noexcept;
    [[nodiscard]] bool is_true() const noexcept { return kind == Kind::kRaw && text == "true"; }
    [[nodiscard]] bool is_bool() const noexcept {
        return kind == Kind::kRaw && (text == "true" || text == "false");
    }
    [[nodiscard]] bool is_number() const noexcept { return kind == Kind::kRaw && !is_bool(); }
    /// The text of the string member `key`; empty where there is none.
    [[nodiscard]] std::string_view text_of(std::string_view key) const noexcept;

    /// Appends it as JSON text without white space.
    void write(std::string& out) const;
    [[nodiscard]] std::string json() const;
};

struct Node::Member {
    std::string key;
    Node value;
};

/// Reads the value at the cursor. False on a fault, which is in the cursor; an object with more than
/// `kMostMembers` members is one.
[[nodiscard]] bool read_node(Cursor& cursor, Node& node);
/// The whole of `text`, with the thread's indexer. Errors are those of `Indexer` and `Cursor`.
[[nodiscard]] Result<Node> parse_node(std::string_view text);

}  // namespace leeway::json
