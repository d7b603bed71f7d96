#pragma once

#include "base/result.hpp"

#include <memory>
#include <string_view>

namespace re2 {
class RE2;
}

namespace leeway::cascade::check {

/// What is looked for in an answer that its tokens speak for. Each can only speak against it, so a certificate holds with
/// them as without.
struct AnswerChecks {
    bool schema = true;  ///< it is not what the request's `response_format` demands
    bool sums = false;  ///< it has an equation that does not hold
    bool wording = false;  ///< it says that it cannot answer, or breaks off
    std::shared_ptr<const re2::RE2> pattern;  ///< it does not match that anywhere; null: nothing
};

/// A pattern of RE2. Errors (kConfig): it is none.
[[nodiscard]] Result<std::shared_ptr<const re2::RE2>> answer_pattern(std::string_view text);

/// What is wrong with an answer, in a word: "schema", "sums", "refusal", "cut", "pattern"; empty: nothing is.
/// `response_format`: of the request, as OpenAI's chat API has it; empty: none. Uses the thread's JSON indexer.
[[nodiscard]] std::string_view fault_in(std::string_view answer, std::string_view response_format,
                                        const AnswerChecks& checks);

}  // namespace leeway::cascade::check
