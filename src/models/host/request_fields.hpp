#pragma once

#include "base/result.hpp"
#include "json/node.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace leeway::models {

/// The whole of a JSON text that was checked before, as a tree.
[[nodiscard]] Result<json::Node> read_tree(std::string_view body);

/// kInvalidRequest in OpenAI's manner.
[[nodiscard]] Error invalid_field(std::string param, std::string reason, std::string message);
/// For what OpenAI's protocol has and local models do not.
[[nodiscard]] Error unsupported_field(std::string param, std::string_view what);
[[nodiscard]] Error wrong_type(std::string param, std::string_view expected);

struct DecimalRange {
    double least;
    double most;
};
struct IntegerRange {
    std::int64_t least;
    std::int64_t most;
};

/// A number field within its range; nullopt when it is not given or null.
[[nodiscard]] Result<std::optional<double>> read_decimal(const json::Node& object, const char* name,
                                                         DecimalRange range);
[[nodiscard]] Result<std::optional<std::int64_t>> read_integer(const json::Node& object,
                                                               const char* name,
                                                               IntegerRange range);
[[nodiscard]] Result<bool> read_flag(const json::Node& object, const char* name);

/// The field, or null when it is not given or is JSON's null.
[[nodiscard]] const json::Node* given(const json::Node& object, std::string_view name);

}  // namespace leeway::models
