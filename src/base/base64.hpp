#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace leeway {

/// Appends the base64 of `bytes`, with padding (RFC 4648, section 4).
void append_base64(std::string& out, std::span<const std::uint8_t> bytes);
/// Base64 for addresses and file names, without padding (RFC 4648, section 5).
[[nodiscard]] std::string base64url(std::span<const std::uint8_t> bytes);
/// The bytes that `text` (RFC 4648, section 4, with or without padding) stands for, or nullopt.
[[nodiscard]] std::optional<std::string> decode_base64(std::string_view text);

}  // namespace leeway
