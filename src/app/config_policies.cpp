#include "app/config_policies.hpp"

#include "app/config_names.hpp"
#include "base/ed25519.hpp"

#include <fmt/format.h>

#include <vector>

namespace leeway::app {

void read_policies(ConfigSource& source, Section& top, PoliciesConfig& out) {
    Section policies = top.section("policies");
    std::vector<PlacedText> keys;
    policies.list("trusted_keys", keys);
    for (const PlacedText& key : keys) {
        if (!Ed25519PublicKey::parse(key.text)) {
            source.error(key.mark, fmt::format("trusted_keys: '{}' is no public key: write the 44 "
                                               "characters that `leeway policy keygen` printed",
                                               key.text));
        } else if (contains(out.trusted_keys, key.text)) {
            source.warning(key.mark, fmt::format("trusted_keys: '{}' stands twice", key.text));
        } else {
            out.trusted_keys.push_back(key.text);
        }
    }
    // Nobody who trusts nobody means that anybody will do.
    if (policies.has("trusted_keys") && keys.empty() && !source.has_errors()) {
        source.error(policies.mark("trusted_keys"),
                     "trusted_keys is empty: name a key, or leave it out where policies need no "
                     "signature");
    }
    policies.finish();
}

Result<void> check_signer(const PoliciesConfig& policies, const std::string& signer) {
    if (policies.trusted_keys.empty() || contains(policies.trusted_keys, signer)) return {};
    if (signer.empty())
        return fail(ErrorCode::kConfig, "nobody signed it, and policies.trusted_keys is set",
                    "make it anew with --sign KEYFILE");
    return fail(ErrorCode::kConfig,
                fmt::format("{} signed it, which policies.trusted_keys does not name", signer),
                "make it anew with --sign KEYFILE of a trusted key");
}

}  // namespace leeway::app
