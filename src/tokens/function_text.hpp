#pragma once

#include "base/result.hpp"
#include "json/cursor.hpp"

#include <string>
#include <vector>

namespace leeway::tokens {

/// As much of a JSON schema as shows in the text that OpenAI's models see of a function.
struct FunctionType {
    std::string name;  ///< of a property
    std::string type;
    std::string description;
    std::vector<std::string> choices;  ///< `enum`, each as JSON text
    std::vector<FunctionType> items;   ///< of an array: one, or none
    std::vector<FunctionType> properties;
    std::vector<std::string> required;
};
struct FunctionDefinition {
    std::string name;
    std::string description;
    FunctionType parameters;
};

/// Reads the function definition at the cursor: {"name", "description", "parameters"}. Faults stay in the
/// cursor.
[[nodiscard]] FunctionDefinition read_function(json::Cursor& cursor);

/// The functions as declarations in a namespace, in the TypeScript-like form that OpenAI's models are
/// given (not published; found by users and checked against reported usage: gpt-tokenizer and others).
[[nodiscard]] std::string functions_as_text(const std::vector<FunctionDefinition>& functions);

}  // namespace leeway::tokens
