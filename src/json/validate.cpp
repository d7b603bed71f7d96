#include "json/validate.hpp"

#include "json/key_set.hpp"

#include <fmt/format.h>

#include <utility>

namespace leeway::json {

bool skip_unique(Cursor& cursor, std::string& duplicate) {
    const char first = cursor.kind();
    if (first == '[') {
        if (!cursor.open_array()) return false;
        while (cursor.next_element()) {
            if (!skip_unique(cursor, duplicate)) return false;
        }
        return !cursor.failed();
    }
    if (first != '{') return cursor.skip();
    if (!cursor.open_object()) return false;
    KeySet keys;
    std::string_view key;
    while (cursor.next_member(key)) {
        if (!keys.add(key, cursor.escaped())) {
            duplicate = keys.duplicate();
            return false;
        }
        if (!skip_unique(cursor, duplicate)) return false;
    }
    if (cursor.failed()) return false;
    if (keys.all_differ()) return true;
    duplicate = keys.duplicate();
    return false;
}

Error duplicate_key_error(std::string_view path, std::string_view key) {
    Error error;
    error.code = ErrorCode::kInvalidRequest;
    error.param = path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
    error.message =
        fmt::format("Duplicate key: '{}' is given twice in the same object.", error.param);
    error.hint = "give each key once";
    error.reason = "duplicate_key";
    return error;
}

Result<void> validate(std::string_view text, const Limits& limits) {
    if (limits.max_bytes != 0 && text.size() > limits.max_bytes) {
        Error error;
        error.code = ErrorCode::kPayloadTooLarge;
        error.message = fmt::format("The JSON text has {} bytes; {} are allowed.", text.size(),
                                    limits.max_bytes);
        error.reason = "body_too_large";
        return fail(std::move(error));
    }
    const auto tokens = thread_indexer().index(text);
    if (!tokens) return fail(tokens.error());
    Cursor cursor(*tokens);
    std::string duplicate;
    const bool well = limits.unique_keys ? skip_unique(cursor, duplicate) : cursor.skip();
    if (well && cursor.end()) return {};
    if (cursor.failed()) return fail(cursor.error());
    return fail(duplicate_key_error({}, duplicate));
}

}  // namespace leeway::json
