#pragma once

#include "json/cursor.hpp"
#include "wire/usage/extractor.hpp"

namespace leeway::wire::openai {

using usage::UsageReading;

/// Reads the value of a `usage` member at the cursor (an object, or anything else: missing) and leaves
/// the cursor behind it. How the counts lie to each other is in wire/usage/tables.cpp.
[[nodiscard]] UsageReading read_usage(json::Cursor& cursor,
                                      usage::Flavour flavour = usage::Flavour::kOpenAiChat);

}  // namespace leeway::wire::openai
