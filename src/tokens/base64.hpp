#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace leeway::tokens {

/// The bytes that `text` (RFC 4648, with or without padding) stands for, or nullopt.
[[nodiscard]] std::optional<std::string> decode_base64(std::string_view text);

}  // namespace leeway::tokens
