#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct evp_md_ctx_st;  // OpenSSL's EVP_MD_CTX

namespace leeway {

using Sha256 = std::array<std::uint8_t, 32>;

/// SHA-256 of `data` (FIPS 180-4, by OpenSSL).
[[nodiscard]] Sha256 sha256(std::string_view data) noexcept;
/// HMAC-SHA-256 (RFC 2104).
[[nodiscard]] Sha256 hmac_sha256(std::string_view key, std::string_view data) noexcept;

/// The same for many texts under one key, whose own two blocks are hashed once: less than half the time.
/// Any thread may sign. It holds what was derived from the key.
class HmacKey {
public:
    explicit HmacKey(std::string_view key);
    [[nodiscard]] Sha256 sign(std::string_view data) const noexcept;

private:
    struct Free {
        void operator()(evp_md_ctx_st* context) const noexcept;
    };
    using Context = std::unique_ptr<evp_md_ctx_st, Free>;
    Context inner_, outer_;  // after K ^ ipad, after K ^ opad
};
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
