#pragma once

#include "pipeline/context.hpp"

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace leeway::agent_cache {

/// What comparing the texts of two answers tells.
enum class Comparison : std::uint8_t {
    kSame,  ///< equal but for case, spaces, marks at the end and the spelling of numbers
    kDifferent,  ///< both are short enough that the same answer would be the same text
    kUnclear,
};
[[nodiscard]] Comparison compare_answers(std::string_view kept, std::string_view fresh);

/// The text of a whole answer as JSON. nullopt: it is none that may be given to anybody else, as it was cut at a limit or
/// by a filter, refused, calls a tool or has several choices. Uses the thread's JSON indexer.
[[nodiscard]] std::optional<std::string> answer_text(std::string_view completion);
/// The most of an answer that is captured to be compared with another one, in bytes.
inline constexpr std::size_t kMostCompared = 256UL * 1024;
/// The same of what was captured, in either form.
[[nodiscard]] std::optional<std::string> captured_text(const pipeline::Outcome& outcome);

/// Asks `model` whether an answer that was kept is as right for `question` as the fresh one. `then` gets its word;
/// nullopt: it had none.
[[nodiscard]] pipeline::LaterCall judge_call(const pipeline::Model& model,
                                             std::string_view question, std::string_view kept,
                                             std::string_view fresh,
                                             std::function<void(std::optional<bool>)> then);
/// Asks `model` again what the request asks; `logprobs`: and how sure it is of its answer. `then` as of LaterCall.
[[nodiscard]] pipeline::LaterCall ask_again(
    const pipeline::RequestContext& context, const pipeline::Model& model, bool logprobs,
    std::function<std::optional<pipeline::LaterCall>(const pipeline::LaterAnswer&)> then);

inline constexpr std::string_view kAuditTag = "cache_audit";
inline constexpr std::string_view kJudgeTag = "cache_judge";

}  // namespace leeway::agent_cache
