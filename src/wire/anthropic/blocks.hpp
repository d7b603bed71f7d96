#pragma once

#include "json/node.hpp"
#include "json/write.hpp"
#include "wire/canonical/answer.hpp"

#include <string_view>
#include <vector>

namespace leeway::wire::anthropic {

[[nodiscard]] StopReason stop_of(std::string_view stop_reason) noexcept;
[[nodiscard]] std::string_view stop_reason(StopReason stop) noexcept;
/// The `usage` object of a message.
void write_usage(json::Writer& json, const usage::UsageReading& reading);
/// Anthropic's `type` of an error.
[[nodiscard]] std::string_view error_type(const Error& error) noexcept;
/// The error of `{"type":"error","error":{…}}`. `status` 0: in band.
[[nodiscard]] Error error_of(const json::Node& body, int status);
/// Appends the part that a content block of an answer is; blocks that only Anthropic knows are passed over.
void read_answer_block(const json::Node& block, std::vector<Part>& out);

}  // namespace leeway::wire::anthropic
