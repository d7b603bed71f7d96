#pragma once

#include "app/config.hpp"
#include "app/config_reader.hpp"
#include "base/result.hpp"

#include <string>

namespace leeway::app {

/// Reads `policies:`.
void read_policies(ConfigSource& source, Section& top, PoliciesConfig& out);

/// Whether a policy may be used that was signed by `signer`, the text of a public key; empty: by nobody. The signature
/// itself was checked when the file was read. Errors (kConfig): trusted keys are named, and this is none of them.
[[nodiscard]] Result<void> check_signer(const PoliciesConfig& policies, const std::string& signer);

}  // namespace leeway::app
