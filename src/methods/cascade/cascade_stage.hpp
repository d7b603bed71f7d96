#pragma once

#include "methods/cascade/certificate_book.hpp"
#include "methods/cascade/confidence.hpp"
#include "pipeline/stage.hpp"
#include "pipeline/trial.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace leeway::cascade {

/// What a route's cascade does.
struct CascadeUse {
    const pipeline::Model* weak = nullptr;  ///< not null; its provider tells log-probabilities
    const pipeline::Model* strong = nullptr;  ///< not null
    /// The weak model's answer is taken from this score on; nullopt: there is not enough evidence for any, so the strong
    /// model answers.
    std::optional<Score> cut;
    /// Of `cut`, where it is certified and audited: as long as it serves. Null: `cut` stands.
    std::shared_ptr<CertificateInUse> certificate;
    const pipeline::Model* judge = nullptr;  ///< of audits; null: answers that differ are harm
    bool tools = false;  ///< also requests that offer tools
    bool weak_if_strong_fails = false;
    pipeline::EarlyTrial early;
};

/// Asks the weak model first where its answer can be judged (FrugalGPT's cascade with two models, Chen et al. 2023).
/// Holds nothing; one for each route that has the stage.
class CascadeStage final : public pipeline::Stage, public pipeline::AnswerCheck {
public:
    static constexpr pipeline::StageInfo kInfo{.name = "cascade",
                                               .on_error = pipeline::OnError::kSkip};
    explicit CascadeStage(const CascadeUse& use) : use_(use) {}

    [[nodiscard]] const pipeline::StageInfo& info() const noexcept override { return kInfo; }
    [[nodiscard]] Task<pipeline::Verdict> on_request(pipeline::RequestContext& context) override;
    [[nodiscard]] pipeline::TrialVerdict judge(const wire::ChatAnswer& answer,
                                               pipeline::RequestContext& context) const override;
    [[nodiscard]] pipeline::TrialVerdict judge_beginning(
        const pipeline::AnswerBeginning& beginning) const override;
    [[nodiscard]] const pipeline::EarlyTrial& early() const noexcept override { return use_.early; }

private:
    /// Why the strong model answers without a trial; empty: there is one.
    [[nodiscard]] std::string_view obstacle(const pipeline::RequestContext& context) const;
    void audit(std::string text, const Score& score, const OnlineDecision& decision,
               pipeline::RequestContext& context) const;

    const CascadeUse use_;
};

/// Of the rows of audits in the ledger, and of those that judge them.
inline constexpr std::string_view kCascadeAuditTag = "cascade_audit";
inline constexpr std::string_view kCascadeJudgeTag = "cascade_judge";

/// The score of an answer by its tokens' log-probabilities: their mean and, where that is equal, the shortness of what was
/// asked, as outcome tables have it (lab/evaluate/cascade_data.hpp).
[[nodiscard]] std::optional<Score> score_of(const wire::ChatAnswer& answer);

}  // namespace leeway::cascade
