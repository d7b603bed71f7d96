#pragma once

#include "base/clock.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace leeway::wire {
struct ChatAnswer;
enum class StopReason : std::uint8_t;
}  // namespace leeway::wire

namespace leeway::pipeline {

struct Model;
struct RequestContext;

struct TrialVerdict {
    bool accepted = false;
    std::string why;  ///< a word for headers and the ledger, such as "0.934" or "refusal"
};

/// What is known of an answer that streams when its first tokens are there.
struct AnswerBeginning {
    /// Of their log-probabilities, in nats; nullopt: none came.
    std::optional<double> mean_logprob;
    wire::StopReason stop{};  ///< where it has ended by then
    bool refuses = false;  ///< the model says that it will not answer
};

/// What is decided before the weak model's answer is whole.
struct EarlyTrial {
    /// Without the end of its answer by then the strong model is asked as well; 0: never.
    Duration strong_after{};
    /// Of a caller that streams: so many tokens are judged, and the rest is told as it comes; 0: the answer is judged whole.
    std::size_t hold_back = 0;
    /// An answer that is judged whole is given up when the mean log-probability of its first tokens, so many, is below
    /// `least_logprob`; 0: never.
    std::size_t give_up_after = 0;
    double least_logprob = 0;
};

/// Looks at an answer before its caller sees any of it. Called on workers, several at once.
class AnswerCheck {
public:
    virtual ~AnswerCheck() = default;
    /// An answer that is accepted is told. What is to be asked about it then goes to `context.later`.
    [[nodiscard]] virtual TrialVerdict judge(const wire::ChatAnswer& answer,
                                             RequestContext& context) const = 0;
    /// The same by the beginning of an answer, whose rest the caller gets as it comes.
    [[nodiscard]] virtual TrialVerdict judge_beginning(const AnswerBeginning& beginning) const = 0;
    [[nodiscard]] virtual const EarlyTrial& early() const noexcept = 0;
};

/// A cheap model answers first, and its answer is taken where it convinces; else another model answers. Both calls are
/// the request's own attempts, each a priced row.
struct Trial {
    const Model* weak = nullptr;  ///< asked first; null: nothing is tried
    const Model* strong = nullptr;
    const AnswerCheck* check = nullptr;  ///< owned by the snapshot
    /// Where the strong model gives no answer, the weak one's is told, as it is.
    bool weak_if_strong_fails = false;
};

}  // namespace leeway::pipeline
