#pragma once

#include "lab/replay/replay.hpp"
#include "methods/cascade/cascade_file.hpp"
#include "methods/cascade/cascade_stage.hpp"
#include "pipeline/model.hpp"

#include <array>
#include <string>
#include <string_view>

namespace leeway::lab {

/// A cascade as the gateway's stage `cascade` carries it out: the stage itself is run, and shown the weak model's recorded
/// log-probability as an answer. Model 0 is the weak one, model 1 the strong one, which is the reference.
class ReplayedCascade final : public ReplayedPolicy {
public:
    explicit ReplayedCascade(const cascade::CascadeFile& file);

    [[nodiscard]] std::span<const std::string> models() const noexcept override { return names_; }
    [[nodiscard]] std::size_t reference() const noexcept override { return kStrong; }
    [[nodiscard]] std::string_view needs() const noexcept override {
        return "a cascade needs the cheap model's answers: their log-probabilities, or the ledger "
               "of a route that asked it";
    }
    [[nodiscard]] std::optional<ReplayedDecision> decide(
        const RecordedRequest& request) const override;

private:
    static constexpr std::size_t kWeak = 0;
    static constexpr std::size_t kStrong = 1;
    std::array<std::string, 2> names_;
    std::array<pipeline::Model, 2> models_;
    mutable cascade::CascadeStage stage_;  // its interface is not const, though it holds nothing
};

}  // namespace leeway::lab
