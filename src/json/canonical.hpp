#pragma once

#include "base/result.hpp"

#include <span>
#include <string>
#include <string_view>

namespace leeway::json {

/// Appends bytes that are equal for two texts exactly when they mean the same JSON value: keys sorted by
/// their bytes, strings unescaped and length-prefixed, numbers by value at any precision (1, 1.0 and 10e-1
/// are equal, -0 is 0), a tag before each value. Self-delimiting: nothing that follows can be confused
/// with it. Members of the top-level object whose key is in `left_out` do not count.
///
/// Fails with "duplicate_key" on a key that comes twice in any object, else like `validate`. `out` is
/// unchanged on failure. Uses the thread's indexer.
[[nodiscard]] Result<void> append_canonical(std::string_view text,
                                            std::span<const std::string_view> left_out,
                                            std::string& out);

}  // namespace leeway::json
