#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace leeway::wire::openai {

/// A text that the gateway says itself, as the answer to a chat request. Views must live as long as the call.
struct SaidAnswer {
    std::string_view id;
    std::string_view model;
    std::int64_t created_unix_s = 0;
    std::string_view text;
    bool stream = false;
    bool include_usage = false;  ///< of a stream
};

/// The whole answer, buffered or as an event stream, with a usage of zero tokens: no model was asked. Errors: those of
/// `completion_to_stream`. Uses the thread's JSON indexer.
[[nodiscard]] Result<std::string> write_said_answer(const SaidAnswer& answer);

}  // namespace leeway::wire::openai
