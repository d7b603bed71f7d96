#include "json/splice.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace leeway::json {

Result<void> Splice::add(Edit edit) {
    if (edit.offset > original_.size() || edit.length > original_.size() - edit.offset) {
        return fail(ErrorCode::kInternal, "an edit leaves the bytes that it edits");
    }
    auto at = std::upper_bound(
        edits_.begin(), edits_.end(), edit.offset,
        [](std::size_t offset, const Edit& other) { return offset < other.offset; });
    // What is inserted where a replaced range begins stands before the replacement.
    if (edit.length == 0 && at != edits_.begin() && std::prev(at)->offset == edit.offset &&
        std::prev(at)->length != 0) {
        --at;
    }
    const bool before =
        at != edits_.begin() && std::prev(at)->offset + std::prev(at)->length > edit.offset;
    const bool behind = at != edits_.end() && edit.offset + edit.length > at->offset;
    if (before || behind) {
        return fail(ErrorCode::kInternal, "two edits change the same bytes");
    }
    added_ += edit.replacement.size();
    removed_ += edit.length;
    edits_.insert(at, std::move(edit));
    return {};
}

std::vector<std::string_view> Splice::pieces() const {
    std::vector<std::string_view> out;
    out.reserve(edits_.size() * 2 + 1);
    const auto put = [&](std::string_view piece) {
        if (!piece.empty()) out.push_back(piece);
    };
    std::size_t from = 0;
    for (const Edit& edit : edits_) {
        put(original_.substr(from, edit.offset - from));
        put(edit.replacement);
        from = edit.offset + edit.length;
    }
    put(original_.substr(from));
    return out;
}

std::string Splice::str() const {
    std::string out;
    out.reserve(size());
    for (const std::string_view piece : pieces()) out.append(piece);
    return out;
}

}  // namespace leeway::json
