#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace leeway::providers {

/// The key file of a Google service account.
struct ServiceAccount {
    std::string email;
    std::string key_id;
    Secret private_key;  ///< PEM
    std::string token_uri;  ///< https, or on this machine
};

/// Reads the file's text. Errors are `kConfig` and hold nothing of the key.
[[nodiscard]] Result<ServiceAccount> parse_service_account(std::string_view text);
/// Reads the file at `path`.
[[nodiscard]] Result<ServiceAccount> read_service_account(const std::string& path);

/// The assertion that is exchanged for a token (RFC 7523): a JWT of an hour for `scope`, signed with RS256.
[[nodiscard]] Result<std::string> signed_assertion(const ServiceAccount& account,
                                                   std::string_view scope, std::int64_t now_unix_s);

}  // namespace leeway::providers
