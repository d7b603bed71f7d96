#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::lab {

/// A JSON value as a tree, for files that are read once by a command; never on the path of a request.
struct JsonTree {
    enum class Kind : std::uint8_t { kNull, kBoolean, kNumber, kString, kArray, kObject };
    Kind kind = Kind::kNull;
    std::string name;  ///< as a member of an object
    std::string text;  ///< of a string its meaning, of a number its spelling, "true" or "false"
    std::string_view raw;  ///< the bytes it was read from; valid as long as these are
    std::vector<JsonTree> items;
    std::vector<JsonTree> members;  ///< of an object, in the order of the text

    /// The member of this name that comes last, or null; null too when this is no object.
    [[nodiscard]] const JsonTree* find(std::string_view wanted) const noexcept;
    /// The same member's string; empty when it is absent or no string.
    [[nodiscard]] std::string_view string(std::string_view wanted) const noexcept;
    /// The same member as a whole number; nullopt when it is absent or none.
    [[nodiscard]] std::optional<std::int64_t> integer(std::string_view wanted) const noexcept;
    [[nodiscard]] bool is(Kind wanted) const noexcept { return kind == wanted; }
};

/// Reads one JSON value that fills all of `text`. Fails with `kInvalidRequest`, saying where.
[[nodiscard]] Result<JsonTree> read_json(std::string_view text);

}  // namespace leeway::lab
