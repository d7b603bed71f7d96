#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct evp_pkey_st;  // OpenSSL's EVP_PKEY

namespace leeway {

// Signatures by Ed25519 (RFC 8032, by OpenSSL): who has the secret key signs, and whoever knows the public one can tell.

struct Ed25519PublicKey {
    std::array<std::uint8_t, 32> bytes{};

    /// Base64, 44 characters.
    [[nodiscard]] std::string text() const;
    /// nullopt: it is no such text, to the letter.
    [[nodiscard]] static std::optional<Ed25519PublicKey> parse(std::string_view text);
    friend bool operator==(const Ed25519PublicKey&, const Ed25519PublicKey&) = default;
};

struct Ed25519Signature {
    std::array<std::uint8_t, 64> bytes{};

    /// Base64, 88 characters.
    [[nodiscard]] std::string text() const;
    /// nullopt: it is no such text, to the letter.
    [[nodiscard]] static std::optional<Ed25519Signature> parse(std::string_view text);
};

/// Whether the holder of `signer` signed `data`. Any thread.
[[nodiscard]] bool is_signed_by(const Ed25519PublicKey& signer, std::string_view data,
                                const Ed25519Signature& signature) noexcept;

/// A secret key. Any thread may sign.
class Ed25519Key {
public:
    [[nodiscard]] static Result<Ed25519Key> make();
    /// From PEM, as `pem` and `openssl genpkey -algorithm ed25519` write it. Errors (kConfig): it is no private key, is
    /// encrypted, or is a key of another kind.
    [[nodiscard]] static Result<Ed25519Key> read(const Secret& pem);

    [[nodiscard]] Result<Secret> pem() const;
    [[nodiscard]] const Ed25519PublicKey& public_key() const noexcept { return public_; }
    [[nodiscard]] Result<Ed25519Signature> sign(std::string_view data) const;

private:
    Ed25519Key() = default;
    struct Free {
        void operator()(evp_pkey_st* key) const noexcept;
    };
    using Key = std::unique_ptr<evp_pkey_st, Free>;
    [[nodiscard]] static Result<Ed25519Key> from(Key key);

    Key key_;  // not null
    Ed25519PublicKey public_;
};

}  // namespace leeway
