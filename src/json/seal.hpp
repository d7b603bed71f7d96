#pragma once

#include <string>
#include <string_view>

namespace leeway::json {

// A file that one program wrote for another says by its last member whether it was cut or edited. It proves nothing of who
// wrote it.

/// Ends the object in `out`, which lacks its closing brace, with the member "seal": the SHA-256 of all before it.
void append_seal(std::string& out);
/// Whether the text of an object has the seal of what is before it at its end, whose value was read as `seal`.
[[nodiscard]] bool seal_fits(std::string_view text, std::string_view seal);

}  // namespace leeway::json
