#pragma once

#include "json/cursor.hpp"

#include <string_view>

namespace leeway::json {

/// Calls `each(raw_key)` at the value of every member of the object at the cursor; it must read or skip it. Passes over
/// anything else. For texts that are searched, not judged.
template <typename Each>
void each_member(Cursor& cursor, const Each& each) {
    if (cursor.kind() != '{' || !cursor.open_object()) return cursor.skip_unchecked();
    std::string_view key;
    while (cursor.next_member(key)) each(key);
}

/// Calls `each()` at every element of the array at the cursor, by the same rules.
template <typename Each>
void each_element(Cursor& cursor, const Each& each) {
    if (cursor.kind() != '[' || !cursor.open_array()) return cursor.skip_unchecked();
    while (cursor.next_element()) each();
}

}  // namespace leeway::json
