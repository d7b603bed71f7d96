#pragma once

#include "json/node.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace leeway::cascade::check {

enum class Validity : std::uint8_t {
    kValid = 0,
    kInvalid = 1,
    kUnknown = 2,  ///< the schema asks for what is not checked here and nothing else is wrong
};

struct SchemaVerdict {
    Validity validity = Validity::kUnknown;
    /// Where and why, as "/items/2/price: not a number"; of the first fault. Names members and rules, never contents.
    std::string why;
};

/// Whether `value` is what a JSON schema (2020-12) describes: type, enum, const, required, properties,
/// additionalProperties, minProperties, maxProperties, items, prefixItems, minItems, maxItems, uniqueItems, minLength,
/// maxLength, minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf, allOf, anyOf, oneOf, not, and $ref to
/// "#/…". Annotations are passed over; pattern, format and anything else make what is otherwise valid unknown. Lengths
/// are in code points. Ends with unknown on schemas that go round in circles or take too many steps.
[[nodiscard]] SchemaVerdict check_schema(const json::Node& value, const json::Node& schema);

/// The JSON text of an answer: all of it, what stands in its first fence of three backticks, or from the first bracket to
/// the last of its kind. nullopt: nothing of that is JSON.
[[nodiscard]] std::optional<json::Node> json_of(std::string_view answer);

/// Both. An answer without JSON is invalid; a schema that is no JSON makes it unknown.
[[nodiscard]] SchemaVerdict check_answer(std::string_view answer, std::string_view schema);

}  // namespace leeway::cascade::check
