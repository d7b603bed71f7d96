#pragma once

#include "wire/openai/request_view.hpp"
#include "wire/openai/usage.hpp"

#include <string>
#include <string_view>

namespace leeway::wire::openai {

/// What the gateway must know of a buffered answer. All of it is what the provider said.
struct AnswerFacts {
    bool valid = false;     ///< it is a JSON object as far as it was read
    bool is_error = false;  ///< it holds an `error` that is not null
    UsageReading usage;     ///< with the tier that the answer names
    std::string model;          ///< may be empty
    std::string finish_reason;  ///< of the first choice; empty: none, or no chat answer
    std::string error_message;  ///< when `is_error`; may be empty
};

/// Reads an answer. Never fails: what cannot be read is missing. The texts in the answer are passed over,
/// not judged. Uses the thread's JSON indexer.
[[nodiscard]] AnswerFacts read_answer(Endpoint endpoint, std::string_view body,
                                      usage::Flavour flavour = usage::Flavour::kOpenAiChat);

}  // namespace leeway::wire::openai
