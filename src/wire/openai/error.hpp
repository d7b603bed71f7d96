#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>

namespace leeway::wire::openai {

/// OpenAI's `type` for an error: "invalid_request_error" (400, 401, 404, 405, 413, 431: as OpenAI does),
/// "permission_error" (403), "rate_limit_error" or "insufficient_quota" (429), "timeout" (408, 504),
/// "server_error" (the rest).
[[nodiscard]] std::string_view error_type(const Error& error) noexcept;

/// The body of an error answer: `{"error":{"message":…,"type":…,"param":…,"code":…}}`. `message` has the
/// hint in it; `code` is the error's reason, or OpenAI's usual one for its class, or null. The HTTP status
/// is `http_status(error.code)`.
[[nodiscard]] std::string render_error(const Error& error);

/// The same as one event, for a stream whose status has been sent: `data: {"error":…}\n\n`. No `[DONE]`
/// follows, so that no client takes the stream for whole.
[[nodiscard]] std::string render_stream_error(const Error& error);

}  // namespace leeway::wire::openai
