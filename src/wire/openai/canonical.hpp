#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>

namespace leeway::wire::openai {

/// Appends the canonical bytes of a request body for the exact cache: equal for two bodies exactly when
/// no field that can change the answer differs. Order of keys, white space, escapes and the spelling of
/// numbers do not count; a field left out and a field set to null do differ.
///
/// Top-level fields that do not count: stream, stream_options, user, metadata, store, prompt_cache_key,
/// safety_identifier, and model, because the caller adds the model that was resolved.
///
/// Fails on text that is not JSON and on a key given twice in any object ("duplicate_key"): such a
/// request has no clear meaning and must not be cached. `out` is unchanged on failure.
[[nodiscard]] Result<void> append_canonical(std::string_view body, std::string& out);

}  // namespace leeway::wire::openai
