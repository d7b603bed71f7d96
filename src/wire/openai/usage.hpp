#pragma once

#include "json/cursor.hpp"
#include "prices/usage.hpp"

namespace leeway::wire::openai {

/// The usage of one answer in our disjoint buckets.
struct UsageReading {
    prices::Usage usage;
    /// kMissing, kFinal or kZero; whether it is only partial is for the caller to know.
    prices::UsageState state = prices::UsageState::kMissing;
    /// The buckets do not add up to the provider's `total_tokens`.
    bool sum_mismatch = false;
    /// A count was negative, no integer, above 2^53 or larger than what it is a part of, and was cut to
    /// the nearest that makes sense. Where the prompt's or the completion's is no number at all nothing
    /// makes sense, and the usage is missing.
    bool clamped = false;
};

/// Reads the value of a `usage` member at the cursor (an object, or anything else: missing) and leaves
/// the cursor behind it. Cached, audio and reasoning counts are parts of the prompt's and the completion's;
/// a provider whose total shows that it counts reasoning on top of the completion is taken by its word.
[[nodiscard]] UsageReading read_usage(json::Cursor& cursor);

}  // namespace leeway::wire::openai
