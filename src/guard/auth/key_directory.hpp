#pragma once

#include "base/hash.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace leeway::guard::auth {

/// What a caller's key stands for. Times are seconds since the epoch.
struct KeySpec {
    std::string name;                 ///< stands in the ledger
    std::string team;                 ///< whose budgets it shares; empty: none
    std::vector<std::string> models;  ///< that may answer; empty: all
    std::vector<std::string> routes;  ///< that may be used; empty: all
    // 0: no limit.
    std::uint32_t requests_per_minute = 0;
    std::uint32_t tokens_per_minute = 0;
    std::uint32_t parallel = 0;  ///< requests at a time
    std::optional<std::int64_t> expires_unix_s;
    bool revoked = false;
    /// Answers that have begun go on to their end when the caller leaves, to be known and billed right.
    bool drains = false;

    /// `route` is empty for a request that goes through none.
    [[nodiscard]] bool may_use_route(std::string_view route) const noexcept;
    /// `model` is the one that would answer.
    [[nodiscard]] bool may_use_model(std::string_view model) const noexcept;
};

/// One secret of a key: while a key is rotated it has two.
struct Credential {
    Sha256 mac{};  ///< key_mac of the secret
    std::optional<std::int64_t> valid_until_unix_s;
};

struct KeyEntry {
    KeySpec spec;
    std::vector<Credential> credentials;
};

enum class KeyState : std::uint8_t {
    kActive,
    kUnknown,  ///< no such key
    kRevoked,
    kExpired,  ///< the key, or this secret of it after a rotation
};

/// All keys at one moment; immutable, so any thread may use it without a lock. Knows no secrets,
/// only their MACs, and never touches a disk.
class KeyDirectory {
public:
    struct Found {
        KeyState state = KeyState::kUnknown;
        const KeySpec* spec =
            nullptr;  ///< null exactly when unknown; lives as long as the directory
    };

    /// An error when two keys have the same name or secret, or when the pepper is empty.
    [[nodiscard]] static Result<std::shared_ptr<const KeyDirectory>> build(
        const Secret& pepper, std::vector<KeyEntry> entries);

    /// Looks a presented secret up. The time it takes depends on the length of `presented` only.
    [[nodiscard]] Found find(std::string_view presented, std::int64_t now_unix_s) const noexcept;
    /// True when there is not a single key, not even a revoked or expired one: then (and only then)
    /// callers need none.
    [[nodiscard]] bool empty() const noexcept { return specs_.empty(); }
    [[nodiscard]] const std::vector<KeySpec>& keys() const noexcept { return specs_; }

private:
    struct Slot {
        std::uint32_t spec = 0;
        std::optional<std::int64_t> valid_until_unix_s;
    };

    KeyDirectory() = default;

    std::optional<HmacKey> pepper_;
    std::vector<KeySpec> specs_;
    std::unordered_map<Sha256, Slot, Sha256Hasher> slots_;
};

/// What is stored of a secret: HMAC-SHA-256 with the server's pepper. Without the pepper the
/// database tells nothing about the keys, and it cannot be used to log in.
[[nodiscard]] Sha256 key_mac(const Secret& pepper, std::string_view secret) noexcept;
/// A new secret: "lw_" and 43 characters (base64url of 256 random bits).
[[nodiscard]] Secret new_key_secret();

}  // namespace leeway::guard::auth
