#pragma once

#include "json/splice.hpp"
#include "wire/openai/request_view.hpp"

#include <optional>
#include <string_view>

namespace leeway::wire::openai {

/// The edit that makes the request ask for `model` (plain text, escaped here). nullopt: it does already.
[[nodiscard]] std::optional<json::Edit> replace_model(const RequestView& view,
                                                      std::string_view model);

/// The smallest edit that makes a streamed request ask for the usage chunk. nullopt: it does already, or
/// it is no stream.
[[nodiscard]] std::optional<json::Edit> ask_for_usage(const RequestView& view);

/// The edit that adds a first top-level member. The request must not have that key.
[[nodiscard]] json::Edit insert_member(const RequestView& view, std::string_view key,
                                       std::string_view json_value);

/// Where the value of a top-level member of a request that was parsed stands; not present: there is none. Reads the
/// body once more with the thread's indexer.
[[nodiscard]] Span find_member(std::string_view body, std::string_view key);

}  // namespace leeway::wire::openai
