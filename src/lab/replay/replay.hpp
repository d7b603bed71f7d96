#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"
#include "lab/evaluate/router_curves.hpp"
#include "methods/router/predict/text_cues.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::lab {

/// What a recording knows of one model's answer to a request.
struct RecordedAnswer {
    bool asked =
        false;  ///< the model answered it; else only `cost_usd` may be known, as what it would have cost
    std::optional<double> quality;  ///< 0 … 1
    std::optional<double> cost_usd;  ///< ≥ 0
    std::optional<double> mean_logprob;  ///< of its tokens, in nats
};

struct RecordedRequest {
    RequestId id;  ///< chance draws by it; of what has none it is made of the text
    std::string_view text;  ///< empty: it was not kept
    std::span<const float> vector;  ///< of the text; empty: nobody knows it
    std::optional<router::TextCues> cues;  ///< of a text that was not kept
    std::uint32_t stratum = 0;  ///< its task: draws of a bootstrap stay within it
    std::int64_t tokens_in = 0;  ///< or bytes, where nobody counted
    std::vector<RecordedAnswer> answers;  ///< one for each model of the policy
};

/// What is expected of a model's answer by what the policy decides by. A number each, that curves are fitted over.
struct ReplaySignals {
    double quality = 0;  ///< rises with its quality
    double cost = 0;  ///< with its cost
    double known = 0;  ///< with the chance that it was asked
};

/// What a policy does with a request.
struct ReplayedDecision {
    std::vector<std::size_t>
        asked;  ///< models in this order; the last one's answer is told. Not empty
    std::string why;  ///< in a word, as the gateway notes it
    std::vector<ReplaySignals> signals;  ///< one for each model
};

/// A policy as the gateway's own stage carries it out. One thread at a time.
class ReplayedPolicy {
public:
    ReplayedPolicy() = default;
    ReplayedPolicy(const ReplayedPolicy&) = delete;
    ReplayedPolicy& operator=(const ReplayedPolicy&) = delete;
    virtual ~ReplayedPolicy() = default;
    /// The models that it may ask, as the gateway calls them.
    [[nodiscard]] virtual std::span<const std::string> models() const noexcept = 0;
    /// The one that would answer everything without it.
    [[nodiscard]] virtual std::size_t reference() const noexcept = 0;
    /// What a recording must have of requests, for whoever has one that tells of none what the policy decides by.
    [[nodiscard]] virtual std::string_view needs() const noexcept = 0;
    /// nullopt: the recording does not tell what it would decide by.
    [[nodiscard]] virtual std::optional<ReplayedDecision> decide(
        const RecordedRequest& request) const = 0;
};

struct ReplayPlan {
    std::size_t resamples = 2000;  ///< bootstrap draws for intervals
    std::uint64_t seed = 1;
    double confidence = 0.9;  ///< of the upper limit of the harm
};

/// How the mean of something over all replayed requests is known.
struct ReplayedMean {
    Estimate mean;
    std::size_t known = 0;  ///< requests that tell it
    std::size_t estimated = 0;  ///< and those that do not
};

struct ReplayedModel {
    std::string model;
    std::size_t asked = 0;  ///< requests that it was asked
    std::size_t answered = 0;  ///< requests whose caller has its answer
    std::optional<ReplayedMean>
        quality;  ///< of all requests, had it answered them; nullopt: too little is known
    std::optional<ReplayedMean> cost_usd;
};

/// What a policy would have made of recorded requests.
struct ReplayReport {
    std::size_t requests = 0;
    std::size_t undecided =
        0;  ///< of these nobody knows what it would do; they are in no other figure
    std::map<std::string, std::size_t> decisions;  ///< by word
    std::vector<ReplayedModel> models;
    std::size_t reference = 0;
    // Per request. nullopt: too little is known.
    std::optional<ReplayedMean> cost_usd;
    std::optional<Estimate> saving;  ///< share of the reference's cost
    std::optional<ReplayedMean> quality;
    std::optional<Estimate> quality_gain;  ///< over the reference
    /// The zero router: the best mix of the models by chance, whatever is asked, at the policy's cost.
    std::optional<Estimate> zero_quality;
    std::optional<Estimate> gain_at_cost;  ///< over it
    /// The models by chance, each as often as the policy tells its answer, whatever is asked.
    std::optional<Estimate> random_cost_usd;
    std::optional<Estimate> random_quality;
    std::optional<Estimate> gain_over_random;
    // Of requests on which both the model that answered and the reference have a known quality:
    std::size_t compared = 0;
    std::size_t harmed = 0;  ///< the told answer was wrong (below ½) and the reference's right
    double harm_limit = 1;  ///< of their share, at the plan's confidence (Clopper and Pearson)

    [[nodiscard]] std::size_t replayed() const noexcept { return requests - undecided; }
};

/// Runs the policy over all requests. What a recording does not tell of the answer that a request would have had is
/// estimated by a doubly robust mean (Robins, Rotnitzky and Zhao 1994; Dudík, Langford and Li 2011): a curve over the
/// decision's signals predicts it, and the known answers, weighted by the chance that they became known, correct the curve; both are made on
/// other requests than they are used for. A model with fewer than kLeastKnown known answers is not estimated. Errors
/// (kInvalidRequest): no request, or the recording tells for none what the policy would decide by.
[[nodiscard]] Result<ReplayReport> replay(const ReplayedPolicy& policy,
                                          std::span<const RecordedRequest> requests,
                                          const ReplayPlan& plan);
inline constexpr std::size_t kLeastKnown = 30;

}  // namespace leeway::lab
