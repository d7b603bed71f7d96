#pragma once

#include "base/ed25519.hpp"
#include "base/result.hpp"

#include <string>
#include <string_view>

namespace leeway::json {

// A file that one program wrote for another says by its last member whether it was cut or edited. That proves nothing of
// who wrote it; a signature before it does.

/// Ends the object in `out`, which lacks its closing brace, with the member "seal": the SHA-256 of all before it.
void append_seal(std::string& out);
/// Whether the text of an object has the seal of what is before it at its end, whose value was read as `seal`. White space
/// may follow.
[[nodiscard]] bool seal_fits(std::string_view text, std::string_view seal);

/// An object that ends with its seal, with the members "signer" and "signature" put before a new one: the public half of `key`,
/// and its signature of all before that member. Errors: kInvalidRequest, where there is no seal or a signature stands there
/// already.
[[nodiscard]] Result<std::string> with_signature(std::string_view sealed, const Ed25519Key& key);
/// Whose signature an object has, whose seal fits: the text of the public key; empty: nobody's. Errors (kConfig): there is
/// a signature and it does not hold, whatever the reason.
[[nodiscard]] Result<std::string> signer_of(std::string_view text);

}  // namespace leeway::json
