#pragma once

#include "json/node.hpp"
#include "json/write.hpp"
#include "wire/canonical/answer.hpp"

#include <string_view>
#include <vector>

namespace leeway::wire::gemini {

/// The member `camel`, or in the other spelling that Google's servers take, `snake`.
[[nodiscard]] const json::Node* find(const json::Node& object, std::string_view camel,
                                     std::string_view snake) noexcept;
/// Appends what a part says. Fails for kinds that are not known.
[[nodiscard]] Result<void> read_part(const json::Node& node, const std::string& param,
                                     std::vector<Part>& out);
/// `has_call`: Google says STOP when the model asks for a tool.
[[nodiscard]] StopReason stop_of(std::string_view finish_reason, bool has_call) noexcept;
[[nodiscard]] std::string_view finish_reason(StopReason stop) noexcept;
void write_usage(json::Writer& json, const usage::UsageReading& reading);
/// A part of the model's answer; false: it has no form there.
bool write_answer_part(json::Writer& json, const Part& part);
[[nodiscard]] Error error_of(const json::Node& body, int status);

}  // namespace leeway::wire::gemini
