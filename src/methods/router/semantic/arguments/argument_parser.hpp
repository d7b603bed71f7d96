#pragma once

#include "methods/router/semantic/arguments/argument_schema.hpp"
#include "methods/router/semantic/arguments/dates.hpp"
#include "methods/router/semantic/arguments/text_words.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::router {

enum class ArgumentState : std::uint8_t {
    kMissing,
    kAmbiguous,  ///< the text has several values that it could be
    kFound,
};
[[nodiscard]] std::string_view to_string(ArgumentState state) noexcept;

/// What is known of one property.
struct ArgumentValue {
    ArgumentState state = ArgumentState::kMissing;
    std::string json;  ///< of kFound: the value as JSON text
    Span span;  ///< where it stands; empty where a model told it
    bool by_model = false;

    /// The value as a text: without quotes and escapes.
    [[nodiscard]] std::string text() const;
};

/// Looks for each property of a schema in a text, in this order: patterns, dates, numbers, enums, booleans, other
/// strings. A value that one of a property's words stands beside is its own; what is left over is taken where there is
/// one value and one property for it. In doubt it is ambiguous or missing: a wrong value is worse than none. What one
/// property has no other takes. Only the first `kMostWordBytes` of the text are looked at. Pure; a value per property in
/// the schema's order.
[[nodiscard]] std::vector<ArgumentValue> parse_arguments(const ArgumentSchema& schema,
                                                         std::string_view text, Day today);

}  // namespace leeway::router
