#pragma once

#include "lab/evaluate/cache_data.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace leeway::lab {

/// A mean over streams, and where the middle 95 % of the streams lie.
struct SeedSpread {
    double mean = 0;
    double low = 0;
    double high = 0;
};

/// How one rule fared on all streams.
struct CacheFigures {
    std::string rule;
    std::size_t streams_within = 0;  ///< of the hits at most max_error were wrong
    std::size_t streams_within_requests =
        0;  ///< of all requests at most max_error were answered wrongly
    SeedSpread hit_rate;       ///< hits of all requests
    SeedSpread late_hit_rate;  ///< in the second half of each stream
    SeedSpread error_rate;     ///< wrong ones of the hits
    double error_per_request = 0;
    double audited = 0;         ///< of the hits
    double upstream_calls = 0;  ///< per request: misses and audits
    double verdicts = 0;        ///< comparisons of answers per request
    double vetoed = 0;          ///< of the requests: near a kept question, but with a veto
};

/// What becomes of pairs with different answers when one is kept and the other asked, each pair by itself.
struct NearPairs {
    std::size_t pairs = 0;
    std::size_t vetoed = 0;
    std::size_t wrong_hits = 0;  ///< the pooled model alone would serve them at the bound
};
[[nodiscard]] NearPairs judge_pairs(const CacheFile& file,
                                    const agent_cache::semantic::HitModel& model, double max_error);

struct CacheEvaluation {
    double max_error = 0;
    std::size_t streams = 0;
    std::size_t requests = 0;  ///< of each stream
    CacheFigures ours;
    std::vector<CacheFigures> rivals;
    NearPairs different;  ///< the lines of the file that say "same": false
    agent_cache::semantic::RiskState last;  ///< how the last stream ended
};

struct CachePlan {
    agent_cache::semantic::RiskSettings settings;
    std::size_t seeds = 40;
    std::size_t length = 0;  ///< requests of a stream; 0: all texts
    bool rivals = false;
};

/// Plays `plan.seeds` streams, each the questions in another order (seed 1 …). `progress` is told the share that
/// is done; it may be empty.
[[nodiscard]] CacheEvaluation evaluate_cache(const CacheFile& file, const NeighbourLists& lists,
                                             const agent_cache::semantic::HitModel& model,
                                             const CachePlan& plan,
                                             const std::function<void(double)>& progress = {});

}  // namespace leeway::lab
