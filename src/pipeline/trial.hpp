#pragma once

#include <string>

namespace leeway::wire {
struct ChatAnswer;
}

namespace leeway::pipeline {

struct Model;
struct RequestContext;

struct TrialVerdict {
    bool accepted = false;
    std::string why;  ///< a word for headers and the ledger, such as "0.934" or "refusal"
};

/// Looks at a whole answer before its caller sees any of it. Called on workers, several at once.
class AnswerCheck {
public:
    virtual ~AnswerCheck() = default;
    /// An answer that is accepted is told. What is to be asked about it then goes to `context.later`.
    [[nodiscard]] virtual TrialVerdict judge(const wire::ChatAnswer& answer,
                                             RequestContext& context) const = 0;
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
