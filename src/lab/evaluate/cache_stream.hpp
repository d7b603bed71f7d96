#pragma once

#include "base/chances.hpp"
#include "lab/evaluate/neighbour_lists.hpp"
#include "methods/agent_cache/semantic/question.hpp"
#include "methods/agent_cache/semantic/risk_controller.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace leeway::lab {

/// Questions, each asked once, and which of them have the same answer. A cached answer is right for a question
/// when it equals the question's own.
struct CacheQuestions {
    std::vector<std::string> texts;  ///< distinct
    std::vector<std::uint32_t> answers;  ///< of each, as a number
    std::vector<agent_cache::semantic::Question> questions;
    models::VectorTable vectors;
};

/// What became of one stream of requests.
struct StreamOutcome {
    std::uint64_t requests = 0;
    std::uint64_t hits = 0;  ///< answers served from the cache, audited ones too
    std::uint64_t wrong = 0;  ///< of the hits
    std::uint64_t late_hits = 0;  ///< hits among the second half of the requests
    std::uint64_t late_wrong = 0;
    std::uint64_t audited = 0;  ///< hits that were served and called upstream nevertheless
    std::uint64_t verdicts = 0;  ///< comparisons of a fresh answer with a kept one
    std::uint64_t far = 0;  ///< misses without a kept question near enough
    std::uint64_t vetoed = 0;  ///< misses because all that were near had a veto
    std::uint64_t vetoed_right = 0;  ///< of these, those that would have been right
    /// Counts a hit of the request that was counted last, in a stream of `length` requests.
    void hit(bool right, std::size_t length) noexcept {
        ++hits;
        wrong += right ? 0 : 1;
        if (2 * requests <= length) return;
        ++late_hits;
        late_wrong += right ? 0 : 1;
    }
    [[nodiscard]] double error_of_hits() const noexcept {
        return hits == 0 ? 0 : static_cast<double>(wrong) / static_cast<double>(hits);
    }
    [[nodiscard]] double error_of_requests() const noexcept {
        return requests == 0 ? 0 : static_cast<double>(wrong) / static_cast<double>(requests);
    }
};

/// One verdict, for fitting.
struct LabelledInputs {
    agent_cache::semantic::Inputs inputs{};
    bool right = false;
};

/// Plays the cache over the questions in `order` as a gateway would: it learns from verdicts on explored misses
/// and audited hits, never from other hits. With `samples` nothing is served and each verdict is appended.
/// Deterministic for one `seed`.
[[nodiscard]] StreamOutcome play_cache(const CacheQuestions& data, const NeighbourLists& lists,
                                       std::span<const std::uint32_t> order,
                                       const agent_cache::semantic::HitModel& model,
                                       const agent_cache::semantic::RiskSettings& settings,
                                       std::uint64_t seed,
                                       agent_cache::semantic::RiskState* state = nullptr,
                                       std::vector<LabelledInputs>* samples = nullptr);

/// vCache (arXiv 2502.03771), from its paper: see cache_rivals.cpp. `max_error` is its δ.
[[nodiscard]] StreamOutcome play_vcache(const CacheQuestions& data, const NeighbourLists& lists,
                                        std::span<const std::uint32_t> order, double max_error,
                                        std::uint64_t seed);

/// A hit whenever the nearest kept question has this cosine or more; misses are kept. GPTCache's default is 0.6.
[[nodiscard]] StreamOutcome play_fixed(const CacheQuestions& data, const NeighbourLists& lists,
                                       std::span<const std::uint32_t> order, float threshold);

/// 0 to n − 1, shuffled.
[[nodiscard]] std::vector<std::uint32_t> shuffled(std::uint32_t n, std::uint64_t seed);

}  // namespace leeway::lab
