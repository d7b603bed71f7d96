#pragma once

#include "base/hash.hpp"
#include "base/result.hpp"
#include "pipeline/context.hpp"

#include <string>
#include <string_view>

namespace leeway::agent_cache {

/// A request as the semantic cache sees it: the last thing that its user said, and all that stands around it.
struct AskedQuestion {
    std::string text;
    bool follows = false;  ///< a conversation stands before it
    bool personal = false;  ///< about the one who asks, see `is_personal`
    bool together = false;  ///< all tenants' questions may meet
    /// What the answer depends on beside the text: tenant (or all of them), route, model, system prompt, earlier
    /// turns, format, limits and every other field but those of chance. Answers of one partition are never looked
    /// for from another.
    Sha256 partition{};
    /// The same without the earlier turns and what the request says of itself: whose evidence counts for whose.
    Sha256 evidence{};
};

/// Of what the answer depends on, only these do not part questions: temperature, top_p and seed. Fields that the exact
/// cache leaves out do not count here either. `shared`: tenants ask together, but for what is personal or goes on.
///
/// An error's `reason` is why the request is not looked up: "no_chat", "opaque", "media", "choices", "logprobs",
/// "tools", "search", "no_text", "too_long", "duplicate_key". Uses the thread's JSON indexer.
[[nodiscard]] Result<AskedQuestion> asked_question(const pipeline::RequestContext& context,
                                                   bool shared);
/// Vectors of two models never lie in one partition, and evidence of one says nothing of another.
void part_by_vectors(AskedQuestion& question, std::string_view fingerprint);

/// Longer ones are not looked up: what embeds them reads no more than about this.
inline constexpr std::size_t kMostQuestionBytes = 2000;
/// Of the whole request.
inline constexpr std::size_t kMostQuestionBody = 512UL * 1024;

/// Whether a text speaks of the one who writes it, or holds an address, a telephone or another number that stands for
/// somebody. Errs on the side of yes.
[[nodiscard]] bool is_personal(std::string_view text);

/// Lower case, one space between words, no full stop, exclamation or question mark at the end: texts that are the same
/// for a person.
[[nodiscard]] std::string normalised(std::string_view text);

}  // namespace leeway::agent_cache
