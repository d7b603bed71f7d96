#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>

namespace leeway::wire::openai {

/// A buffered chat answer as the event stream that says the same: per choice a first chunk with the role,
/// the content in a few pieces, tool calls with their index, refusal, log-probabilities and whatever else
/// the message holds, a chunk with the finish reason; then the usage chunk if `include_usage`, then
/// `[DONE]`. Fails with `kUpstreamInvalid` when it is not a chat answer. Uses the thread's JSON indexer.
[[nodiscard]] Result<std::string> completion_to_stream(std::string_view completion_json,
                                                       bool include_usage);

/// A whole chat stream as the buffered answer that says the same. Fails with `kUpstreamInvalid` when the
/// stream is not one, holds an error (reason "stream_error"), or was cut before every choice had its
/// finish reason ("stream_cut"): a cut answer is never passed off as a whole one.
[[nodiscard]] Result<std::string> stream_to_completion(std::string_view sse_bytes);

}  // namespace leeway::wire::openai
