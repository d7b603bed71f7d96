#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace leeway {

/// Identifies one request: a ULID (48 bits of milliseconds, 80 random bits), so ids sort by time.
/// Text form: 26 characters of Crockford base 32.
struct RequestId {
    std::array<std::uint8_t, 16> bytes{};

    /// A new id for `unix_ms`. Thread-safe; random bits come from a per-thread generator that is
    /// seeded from the operating system. Ids are unique, not secret.
    [[nodiscard]] static RequestId make(std::int64_t unix_ms);
    /// nullopt unless `text` is 26 valid characters whose value fits 128 bits.
    [[nodiscard]] static std::optional<RequestId> parse(std::string_view text);

    [[nodiscard]] std::string text() const;
    /// The time part, milliseconds since the Unix epoch.
    [[nodiscard]] std::int64_t unix_ms() const noexcept;

    friend bool operator==(const RequestId&, const RequestId&) = default;
};

}  // namespace leeway
