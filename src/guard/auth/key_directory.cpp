#include "guard/auth/key_directory.hpp"

#include "base/base64.hpp"
#include "base/random.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

namespace leeway::guard::auth {
namespace {

// Longer than any key that we make or that fits a sane header; bounds the work for an unknown caller.
constexpr std::size_t kMostPresented = 1024;

bool allows(const std::vector<std::string>& list, std::string_view name) noexcept {
    return list.empty() || std::find(list.begin(), list.end(), name) != list.end();
}

}  // namespace

bool KeySpec::may_use_route(std::string_view route) const noexcept { return allows(routes, route); }
bool KeySpec::may_use_model(std::string_view model) const noexcept { return allows(models, model); }

Sha256 key_mac(const Secret& pepper, std::string_view secret) noexcept {
    return hmac_sha256(pepper.expose(), secret);
}

Secret new_key_secret() {
    std::array<std::uint8_t, 32> bytes{};
    secure_random(bytes);
    return Secret("lw_" + base64url(bytes));
}

Result<std::shared_ptr<const KeyDirectory>> KeyDirectory::build(const Secret& pepper,
                                                                std::vector<KeyEntry> entries) {
    if (pepper.empty()) return fail(ErrorCode::kConfig, "the pepper of the keys is empty");
    std::shared_ptr<KeyDirectory> out(new KeyDirectory());
    out->pepper_.emplace(pepper.expose());
    for (KeyEntry& entry : entries) {
        const auto same = [&](const KeySpec& spec) {
            return spec.name == entry.spec.name;
        };
        if (std::any_of(out->specs_.begin(), out->specs_.end(), same)) {
            return fail(ErrorCode::kConfig, "two keys are called '" + entry.spec.name + "'",
                        "rename the one in the configuration file");
        }
        const auto index = static_cast<std::uint32_t>(out->specs_.size());
        for (const Credential& credential : entry.credentials) {
            const Slot slot{index, credential.valid_until_unix_s};
            const auto [at, is_new] = out->slots_.emplace(credential.mac, slot);
            if (is_new) continue;
            const std::string& other =
                at->second.spec == index ? entry.spec.name : out->specs_[at->second.spec].name;
            return fail(ErrorCode::kConfig,
                        "keys '" + other + "' and '" + entry.spec.name + "' have the same secret",
                        "give each caller its own");
        }
        out->specs_.push_back(std::move(entry.spec));
    }
    return std::shared_ptr<const KeyDirectory>(std::move(out));
}

KeyDirectory::Found KeyDirectory::find(std::string_view presented,
                                       std::int64_t now_unix_s) const noexcept {
    if (presented.empty() || presented.size() > kMostPresented) return {};
    const Sha256 mac = pepper_->sign(presented);
    // A caller cannot steer the MAC without the pepper, so which bucket of the map it falls into
    // tells nothing; the comparison that decides runs over all 32 bytes.
    const auto slots = slots_.bucket_count() == 0 ? 0 : slots_.bucket(mac);
    for (auto at = slots_.begin(slots); at != slots_.end(slots); ++at) {
        if (!constant_time_equal(at->first, mac)) continue;
        const KeySpec& spec = specs_[at->second.spec];
        const auto passed = [&](const std::optional<std::int64_t>& end) {
            return end && *end <= now_unix_s;
        };
        if (spec.revoked) return {KeyState::kRevoked, &spec};
        if (passed(spec.expires_unix_s) || passed(at->second.valid_until_unix_s)) {
            return {KeyState::kExpired, &spec};
        }
        return {KeyState::kActive, &spec};
    }
    return {};
}

}  // namespace leeway::guard::auth
