#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace leeway {

using Sha256 = std::array<std::uint8_t, 32>;

/// SHA-256 of `data` (FIPS 180-4, by OpenSSL).
[[nodiscard]] Sha256 sha256(std::string_view data) noexcept;
/// HMAC-SHA-256 (RFC 2104).
[[nodiscard]] Sha256 hmac_sha256(std::string_view key, std::string_view data) noexcept;
/// 64-bit check value for framing in files (XXH3-64). Not for anything attackable.
[[nodiscard]] std::uint64_t checksum64(std::string_view data) noexcept;
/// 128 bits of `data` under a secret of this process (XXH3-128), for tables in memory: nobody who does
/// not know the secret can aim at a collision. Differs from run to run.
struct Hash128 {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    friend bool operator==(const Hash128&, const Hash128&) = default;
};
[[nodiscard]] Hash128 process_hash128(std::string_view data) noexcept;
/// Compares in time that depends on the length only.
[[nodiscard]] bool constant_time_equal(std::span<const std::uint8_t> a,
                                       std::span<const std::uint8_t> b) noexcept;
/// Lower-case hexadecimal.
[[nodiscard]] std::string to_hex(std::span<const std::uint8_t> bytes);

/// For hash maps keyed by a SHA-256: its first eight bytes are already uniform.
struct Sha256Hasher {
    std::size_t operator()(const Sha256& key) const noexcept;
};

}  // namespace leeway
