#pragma once

#include "base/result.hpp"
#include "methods/cascade/cascade_file.hpp"
#include "methods/router/predict/router_file.hpp"

#include <string>
#include <variant>

namespace leeway::app {

/// A policy of either kind that was read.
struct PolicyFile {
    std::variant<cascade::CascadeFile, router::RouterFile> policy;
    std::string head;  ///< the object that people may read: its first line

    /// Public key of who signed it; empty: nobody did.
    [[nodiscard]] const std::string& signer() const noexcept;
};

/// Reads a file of `leeway tune cascade` or `leeway tune router`. Errors (kConfig), with the path: it cannot be read; it is
/// neither; it was cut or edited; a signature does not hold.
[[nodiscard]] Result<PolicyFile> read_policy_file(const std::string& path);

}  // namespace leeway::app
