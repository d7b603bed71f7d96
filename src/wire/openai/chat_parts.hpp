#pragma once

#include "json/node.hpp"
#include "json/write.hpp"
#include "wire/canonical/answer.hpp"

#include <string_view>

namespace leeway::wire::openai {

[[nodiscard]] StopReason stop_of(std::string_view finish_reason) noexcept;
[[nodiscard]] std::string_view finish_reason(StopReason stop) noexcept;
/// The `usage` object of chat completions.
void write_usage(json::Writer& json, const usage::UsageReading& reading);
/// The error that a body or an event tells, as `{"error": …}` or bare. `status` 0: in band.
[[nodiscard]] Error error_of(const json::Node& body, int status);

}  // namespace leeway::wire::openai
