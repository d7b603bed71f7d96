#pragma once

#include "base/result.hpp"
#include "json/node.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace re2 {
class RE2;
}

namespace leeway::router {

enum class ArgumentType : std::uint8_t { kString, kInteger, kNumber, kBoolean };
[[nodiscard]] std::string_view to_string(ArgumentType type) noexcept;

/// One of the values of an `enum`, with the other words that mean it.
struct ArgumentChoice {
    std::string value;
    std::vector<std::string> synonyms;
};

/// The words of a value or of a synonym, for searching.
struct ArgumentPhrase {
    std::vector<std::string> words;  ///< folded; at least one
    std::size_t choice = 0;
};

/// A property of a route's JSON schema.
struct ArgumentProperty {
    std::string name;  ///< printable ASCII, see check_name
    std::string description;
    ArgumentType type = ArgumentType::kString;
    bool required = false;
    bool date = false;  ///< a string of the form YYYY-MM-DD
    std::vector<ArgumentChoice> choices;  ///< of an enum of strings; empty: none
    std::string pattern;  ///< RE2; empty: none
    std::optional<double> minimum;
    std::optional<double> maximum;
    std::string unit;  ///< numbers are converted to it; empty: they have none
    std::vector<std::string> words;  ///< that stand beside the value in a text, given by hand

    // What `prepare` makes of it.
    std::vector<std::vector<std::string>> cues;  ///< folded words one behind another, longest first
    /// Those of the cues behind which a value in small letters is believed: `words`, and prepositions of origins and
    /// destinations.
    std::vector<std::vector<std::string>> strong_cues;
    std::vector<ArgumentPhrase> phrases;  ///< of the choices, by their first words, longest first
    std::shared_ptr<const re2::RE2> regex;
};

/// What a dynamic route wants to know; no properties: the route has no arguments. Immutable once prepared; any thread.
struct ArgumentSchema {
    std::vector<ArgumentProperty> properties;
};

/// The most properties that are read: schemas are small, and each is looked for in each text.
inline constexpr std::size_t kMostProperties = 32;
/// Bytes of a text that is a value.
inline constexpr std::size_t kMostArgumentBytes = 128;

/// Derives what the parser needs: the words that stand beside a value (those given by hand, those of the name, and for
/// names or descriptions of usual ends such as "origin" or "destination" their prepositions), the compiled pattern.
/// Errors: kConfig (the pattern, the unit, or what does not go together).
[[nodiscard]] Result<void> prepare(ArgumentProperty& property);

/// Whether a text can be a value: 1 to `kMostArgumentBytes` bytes, none of them a control character.
[[nodiscard]] bool can_be_value(std::string_view text) noexcept;

/// Whether a number is within the property's minimum and maximum.
[[nodiscard]] bool in_bounds(const ArgumentProperty& property, double value) noexcept;

/// Whether a JSON value is one that the property allows, as a model may give it; null is none.
[[nodiscard]] bool allows(const ArgumentProperty& property, const json::Node& value);

/// The JSON schema of those of the properties that `wanted` names by their places. Each is required and may be null, as
/// strict structured output wants it; patterns are left out, since RE2's are not those of other engines.
[[nodiscard]] std::string json_schema(const ArgumentSchema& schema,
                                      const std::vector<std::size_t>& wanted);

}  // namespace leeway::router
