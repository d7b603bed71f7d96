#pragma once

#include "base/result.hpp"
#include "json/cursor.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace leeway::json {

struct Limits {
    std::size_t max_bytes = 0;   ///< 0: any
    bool unique_keys = false;    ///< refuse an object that has a key twice, at any level
};

/// Checks all of `text` in one pass: size, UTF-8 (raw and escaped), syntax, depth ≤ `Cursor::kMaxDepth`,
/// nothing behind the value, and duplicate keys when asked for. Reasons: "invalid_json",
/// "nesting_too_deep", "duplicate_key", "body_too_large". Uses the thread's indexer.
[[nodiscard]] Result<void> validate(std::string_view text, const Limits& limits = {});

/// Skips the value at `cursor` like `Cursor::skip`, refusing duplicate keys in all its objects. On a
/// duplicate it is false without the cursor having failed, and `duplicate` is the key.
[[nodiscard]] bool skip_unique(Cursor& cursor, std::string& duplicate);

/// The error for a key that came twice; `path` is the object it is in, may be empty.
[[nodiscard]] Error duplicate_key_error(std::string_view path, std::string_view key);

}  // namespace leeway::json
