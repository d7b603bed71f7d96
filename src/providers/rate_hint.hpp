#pragma once

#include "base/clock.hpp"
#include "net/http_message.hpp"

#include <cstdint>
#include <optional>

namespace leeway::providers {

/// How long a target is to be left alone, by what its answer says of our rate limits there. It refused for that reason
/// (429) and tells when to come again; or nothing is left of a limit (`x-ratelimit-remaining-requests`, `-tokens`;
/// `anthropic-ratelimit-…-remaining`): then a tenth of the time until all of it is back (`…-reset-…`: 250ms, 1m30s,
/// seconds; Anthropic's: a date, compared with `unix_us`). nullopt: it says no such thing. At most ten minutes.
[[nodiscard]] std::optional<Duration> rate_rest(const net::ResponseHead& head,
                                                std::int64_t unix_us);

}  // namespace leeway::providers
