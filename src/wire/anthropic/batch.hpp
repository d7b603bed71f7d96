#pragma once

#include "base/result.hpp"
#include "wire/canonical/batch.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::wire::anthropic {

/// Where the callers of `POST /v1/messages/batches` have their requests.
inline constexpr std::string_view kMessages = "/v1/messages";

/// The bodies of the requests of a new batch, in order, as views into `json`. Errors are for the caller and name the
/// request. Uses the thread's JSON indexer.
[[nodiscard]] Result<std::vector<std::string_view>> read_batch_requests(std::string_view json);
/// One of them. Errors are for the caller, and name no request. Uses the thread's JSON indexer.
[[nodiscard]] Result<BatchAsk> read_batch_ask(std::string_view params);

// What BatchDialect says of them.
[[nodiscard]] BatchAnswer read_batch_answer(std::string_view line, usage::Flavour flavour);
[[nodiscard]] std::optional<BatchState> read_batch_state(std::string_view json);
[[nodiscard]] std::string render_list(const std::vector<std::string>& items,
                                      const std::vector<std::string>& ids, bool has_more);
/// The batch with `results_url` in our own API. The SDKs ask there with the caller's key, which is not the provider's. It
/// is relative: they put it behind the address that they were given, whatever stands before us.
[[nodiscard]] std::string with_own_results(std::string_view json);

}  // namespace leeway::wire::anthropic
