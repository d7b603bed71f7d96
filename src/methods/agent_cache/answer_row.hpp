#pragma once

#include "base/hash.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "methods/agent_cache/cached_answer.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace leeway::agent_cache {

/// The row of `answer` under `key`: magic, version, lengths, fields, body, then HMAC-SHA-256 over
/// all of that by `seal`. The key is part of it, so a row cannot be moved to another request.
[[nodiscard]] std::string encode_row(const Sha256& key, const CachedAnswer& answer,
                                     const Secret& seal);
/// Null when anything is wrong with the row: length, seal, version or key.
[[nodiscard]] AnswerPtr decode_row(const Sha256& key, std::span<const std::uint8_t> row,
                                   const Secret& seal);

struct SealKey {
    Secret secret;       ///< 32 bytes
    bool fresh = false;  ///< made now: no row that exists can be of use
};
/// Reads the key from `path`; makes the file (mode 0600) when it is absent or has another length.
/// An error when it can be neither read nor made.
[[nodiscard]] Result<SealKey> load_seal_key(const std::string& path);

}  // namespace leeway::agent_cache
