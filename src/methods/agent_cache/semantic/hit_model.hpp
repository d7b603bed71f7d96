#pragma once

#include "base/result.hpp"
#include "methods/agent_cache/semantic/pair_features.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace leeway::agent_cache::semantic {

/// How an entry's answer fared with questions other than its own, as far as that was verified. Kept with the
/// entry; whoever holds the entry guards it.
struct EntryRecord {
    float right = 0;
    float wrong = 0;
    float expected = 0;  ///< times it would have been right by the probabilities at hand

    /// `probability`: of the decision whose verdict this is.
    void learn(bool was_right, double probability) noexcept {
        (was_right ? right : wrong) += 1;
        expected += static_cast<float>(probability);
    }
    /// Log-odds by which it does better or worse than other entries: observed against expected outcomes, both
    /// shrunk by kPooling, so that it is 0 for a new entry and grows with evidence.
    [[nodiscard]] double shift() const noexcept;
    static constexpr double kPooling = 2;
};

/// A kept question near the one asked. An entry is one kept answer; it may have several questions: its own, and
/// those for which the answer was verified right (RiskController::record says when to add one).
struct Neighbour {
    const Question* question = nullptr;  ///< never null
    std::uint64_t entry = 0;  ///< the same for all questions of one answer
    float cosine = 0;
    EntryRecord record;  ///< the entry's
};

/// Neighbours that `HitModel::judge` looks at; asking the index for more is of no use.
inline constexpr std::size_t kNeighbours = 8;

/// The inputs of the logistic, as numbers of order one; the first is the constant 1.
inline constexpr std::size_t kInputs = 15;
using Inputs = std::array<float, kInputs>;

/// What the cache may answer with, and how sure it is.
struct Candidate {
    std::size_t neighbour = 0;  ///< index into the neighbours given
    std::uint64_t entry = 0;
    float cosine = 0;
    float margin =
        0;  ///< to the best neighbour of another entry; its cosine to 0 where there is none
    Veto veto = Veto::kNone;  ///< probability is 0 unless kNone
    double probability = 0;  ///< that the kept answer is right for the question asked
    Inputs inputs{};  ///< for RiskController, which learns from them
};

/// The two-level model: a logistic on features of the pair, fitted once on labelled questions
/// (docs/formats/evaluate.md, "cache"), in which the entry's own record is one input. Immutable: any thread may
/// use one at the same time.
class HitModel {
public:
    using Weights = std::array<double, kInputs>;

    /// The weights that were fitted by tools/fit/cache_prior.py.
    [[nodiscard]] static const HitModel& built_in() noexcept;
    constexpr explicit HitModel(const Weights& weights) noexcept : weights_(weights) {}

    /// The neighbour to answer with: of those without a veto the most probable one; when all have one, the
    /// nearest with its veto. nullopt: there are none, or the nearest is too far to bother (below kFar).
    /// `neighbours` in falling order of cosine; those beyond kNeighbours are passed over.
    [[nodiscard]] std::optional<Candidate> judge(const Question& asked,
                                                 std::span<const Neighbour> neighbours) const;

    /// Below this cosine of the nearest a candidate is not even worth a verdict.
    static constexpr float kFar = 0.4F;

    [[nodiscard]] const Weights& weights() const noexcept { return weights_; }

private:
    Weights weights_;
};

}  // namespace leeway::agent_cache::semantic
