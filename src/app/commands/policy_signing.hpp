#pragma once

#include "base/ed25519.hpp"
#include "base/result.hpp"

#include <optional>
#include <string>

namespace CLI {  // NOLINT(readability-identifier-naming): the name of the library
class App;
}

namespace leeway::app {

/// Adds --sign, whose file goes to `key_file`; that outlives `command`.
void add_sign_option(CLI::App& command, std::string& key_file);

/// The key of a file of `leeway policy keygen`; nullopt where `path` is empty. Says on standard error when others may read
/// the file. Errors (kConfig), with the path: it cannot be read, or is no such key.
[[nodiscard]] Result<std::optional<Ed25519Key>> read_signing_key(const std::string& path);

/// A policy as its writer made it, its first line signed; nullopt: as it is.
[[nodiscard]] Result<std::string> signed_policy(const std::string& bytes,
                                                const std::optional<Ed25519Key>& key);

/// Where a policy went and who signed it, for people.
[[nodiscard]] std::string made_text(const std::string& output,
                                    const std::optional<Ed25519Key>& key);

}  // namespace leeway::app
