#include "lab/estimate/json_tree.hpp"

#include "json/cursor.hpp"
#include "json/number.hpp"

namespace leeway::lab {
namespace {

using Kind = JsonTree::Kind;

std::string decoded(json::Cursor& cursor, std::string_view raw) {
    std::string scratch;
    return std::string(json::decoded(raw, cursor.escaped(), scratch));
}

void read(json::Cursor& cursor, JsonTree& out);  // NOLINT(misc-no-recursion)

void read_object(json::Cursor& cursor, JsonTree& out) {  // NOLINT(misc-no-recursion)
    out.kind = Kind::kObject;
    if (!cursor.open_object()) return;
    std::string_view raw;
    while (cursor.next_member(raw)) {
        JsonTree& member = out.members.emplace_back();
        member.name = decoded(cursor, raw);
        read(cursor, member);
    }
}

/// At most as deep as the cursor lets it be.
void read(json::Cursor& cursor, JsonTree& out) {  // NOLINT(misc-no-recursion)
    const std::size_t begin = cursor.offset();
    const char kind = cursor.kind();
    std::string_view raw;
    if (kind == '{') {
        read_object(cursor, out);
    } else if (kind == '[') {
        out.kind = Kind::kArray;
        if (cursor.open_array()) {
            while (cursor.next_element()) read(cursor, out.items.emplace_back());
        }
    } else if (kind == '"') {
        out.kind = Kind::kString;
        if (cursor.string(raw)) out.text = decoded(cursor, raw);
    } else if (kind == 't' || kind == 'f') {
        out.kind = Kind::kBoolean;
        bool value = false;
        cursor.boolean(value);
        out.text = value ? "true" : "false";
    } else if (kind == 'n') {
        cursor.null();
    } else {
        out.kind = Kind::kNumber;
        if (cursor.number(raw)) out.text = raw;
    }
    if (!cursor.failed()) out.raw = cursor.text().substr(begin, cursor.value_end() - begin);
}

}  // namespace

const JsonTree* JsonTree::find(std::string_view wanted) const noexcept {
    for (auto it = members.rbegin(); it != members.rend(); ++it) {
        if (it->name == wanted) return &*it;
    }
    return nullptr;
}

std::string_view JsonTree::string(std::string_view wanted) const noexcept {
    const JsonTree* member = find(wanted);
    return member != nullptr && member->is(Kind::kString) ? std::string_view(member->text)
                                                          : std::string_view();
}

std::optional<std::int64_t> JsonTree::integer(std::string_view wanted) const noexcept {
    const JsonTree* member = find(wanted);
    if (member == nullptr || !member->is(Kind::kNumber)) return std::nullopt;
    return json::to_int64(member->text);
}

Result<JsonTree> read_json(std::string_view text) {
    json::Indexer& indexer = json::thread_indexer();
    const auto tokens = indexer.index(text);
    if (!tokens) return fail(tokens.error());
    json::Cursor cursor(*tokens);
    JsonTree out;
    read(cursor, out);
    if (!cursor.failed()) cursor.end();
    if (cursor.failed()) return fail(cursor.error());
    return out;
}

}  // namespace leeway::lab
