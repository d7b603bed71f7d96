#pragma once

#include "app/config.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "guard/auth/key_directory.hpp"
#include "store/sqlite/database.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace leeway::app {

/// A key of `leeway keys` as it is stored. Times are seconds since the epoch.
struct StoredKey {
    guard::auth::KeySpec spec;  ///< without a bucket
    std::vector<guard::auth::Credential> credentials;  ///< newest first
    std::int64_t created_unix_s = 0;
    std::optional<std::int64_t> revoked_unix_s;
};

/// The keys made by `leeway keys`, in `<state>/keys.db`, and the pepper that protects them, in
/// `<state>/pepper` (32 random bytes, readable by the owner only). Several processes may have it
/// open: one connection each, used by one thread at a time. `now` is in seconds since the epoch.
class KeyStore {
public:
    /// Makes folder, pepper and database when they are missing. An error when the pepper can be read
    /// by others, or is missing while there are keys.
    [[nodiscard]] static Result<KeyStore> open(const std::string& state_folder);

    /// Stores a new key and returns its secret, which cannot be had again. The name must never have
    /// been used, so that ledger rows stay unambiguous.
    [[nodiscard]] Result<Secret> create(const guard::auth::KeySpec& spec, std::int64_t now);
    /// Gives the key a new secret; the old ones end at `now + overlap_s` at the latest.
    [[nodiscard]] Result<Secret> rotate(const std::string& name, std::int64_t overlap_s,
                                        std::int64_t now);
    /// Ends a key for good. Doing it again is no error.
    [[nodiscard]] Result<void> revoke(const std::string& name, std::int64_t now);
    /// All keys by name.
    [[nodiscard]] Result<std::vector<StoredKey>> list();

    /// Changes whenever another connection (another process) has changed the keys. Costs some
    /// microseconds: meant to be polled.
    [[nodiscard]] Result<std::int64_t> version();
    [[nodiscard]] const Secret& pepper() const noexcept { return pepper_; }

private:
    KeyStore(store::sqlite::Database db, Secret pepper)
        : db_(std::move(db)), pepper_(std::move(pepper)) {}

    // These three run inside the caller's transaction, if there is one.
    [[nodiscard]] Result<std::vector<StoredKey>> read_all();
    [[nodiscard]] Result<StoredKey> find(const std::string& name);
    [[nodiscard]] Result<Secret> add_secret(const std::string& name, std::int64_t now);

    store::sqlite::Database db_;
    Secret pepper_;
};

/// The keys of the configuration and of the store as one directory. An error when a name is in both.
[[nodiscard]] Result<std::shared_ptr<const guard::auth::KeyDirectory>> load_key_directory(
    const Config& config, KeyStore& store);

/// Whether the state folder holds at least one stored key, revoked ones too: then callers need a
/// key. Makes nothing that is not there.
[[nodiscard]] Result<bool> has_stored_keys(const std::string& state_folder);

}  // namespace leeway::app
