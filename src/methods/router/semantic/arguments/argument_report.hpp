#pragma once

#include "base/result.hpp"
#include "methods/router/semantic/arguments/argument_parser.hpp"
#include "pipeline/context.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::router {

/// What a model is to be asked for, by places in the schema: what is required and was not found, and what is ambiguous;
/// nothing unless something required was not found.
[[nodiscard]] std::vector<std::size_t> wanted_of(const ArgumentSchema& schema,
                                                 const std::vector<ArgumentValue>& values);

/// The one call that asks `model` for them: the beginning of the text, the schema of what is wanted, structured output
/// unless the model runs here. Its row has the tag "arguments".
[[nodiscard]] pipeline::OwnCall argument_call(const pipeline::Model& model,
                                              const ArgumentSchema& schema,
                                              const std::vector<std::size_t>& wanted,
                                              std::string_view text, Day today);

/// Takes the values out of a model's answer: one JSON object, a code fence around it or not. False: it is none, has what
/// was not asked for, or a value that its property does not allow; then nothing was taken.
[[nodiscard]] bool take_answer(const ArgumentSchema& schema, const std::vector<std::size_t>& wanted,
                               std::string_view answer, std::vector<ArgumentValue>& values);

/// The value of x-leeway-route-arguments: one JSON object of ASCII, {"arguments": {…}, "missing": […], "ambiguous": […],
/// "by_model": […], "left_out": […]}; lists are there if they have something. Missing are required ones only. Values that
/// would make it longer than 2 KiB are left out.
[[nodiscard]] std::string arguments_header(const ArgumentSchema& schema,
                                           const std::vector<ArgumentValue>& values);

/// Whether each {NAME} in `words` is one of the properties; "{{" and "}}" are braces. Errors: kConfig, with the nearest
/// name.
[[nodiscard]] Result<void> check_placeholders(std::string_view words, const ArgumentSchema& schema);
/// `words` with the values in their places; nullopt: one of them was not found. `words` was checked.
[[nodiscard]] std::optional<std::string> fill_placeholders(
    std::string_view words, const ArgumentSchema& schema, const std::vector<ArgumentValue>& values);

}  // namespace leeway::router
