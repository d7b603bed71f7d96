#pragma once

#include "pipeline/abilities.hpp"
#include "prices/rates.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace leeway::pipeline {

class Stage;

/// A model of the repository, as the data plane sees it. Immutable; owned by a snapshot.
struct Model {
    std::string name;           ///< what clients and routes call it
    std::string upstream_name;  ///< what its provider calls it
    std::uint32_t provider = 0;  ///< index into the snapshot's providers
    std::string provider_name;
    std::shared_ptr<const prices::ModelPrices> price;  ///< never null in a snapshot
    /// The class of service that is asked for where neither the caller nor the route names one.
    prices::Tier tier = prices::Tier::kStandard;
    /// Requests whose caller can wait that long are asked at flex where nobody names a class; 0: none are.
    std::chrono::milliseconds flex_wait{0};
    bool local = false;  ///< runs on this machine, in the model host
    std::string disabled;  ///< why it cannot be used; empty: it can
    std::vector<const Model*> fallbacks;  ///< asked in this order when it gives no answer
    /// Where it runs, of the same name each, when that is more than one place; only those are asked.
    std::vector<const Model*> targets;
    Abilities abilities;
};

/// When the exact cache may answer and store.
enum class CacheMode : std::uint8_t { kOff, kAuto, kOn };

/// Whether facts about answered requests are kept, so that feedback can name them (docs/formats/outcomes.md).
enum class OutcomeKeeping : std::uint8_t {
    kOff,
    kOn,
    kEmbed,  ///< with the vector of what was asked, which is made where no stage did
};

/// What a route lets the semantic cache do.
struct SemanticCache {
    /// Of the answers that it serves, the share that may be wrong, as the judge sees it; 0: the cache is off.
    double max_error = 0;
    /// How an answer is judged right where comparing the texts does not tell.
    enum class Judge : std::uint8_t {
        kNone,  ///< it is not: nothing is served, what would have been is told
        kExact,  ///< answers that differ are different
        kModel,
    };
    Judge judge = Judge::kNone;
    const Model* judge_model = nullptr;  ///< of kModel
    std::chrono::seconds ttl{0};
    bool shared = false;  ///< among all callers but for what is personal; else each has its own
};

/// A named way to be answered: which model, measured against which, through which stages.
struct Route {
    std::string name;
    const Model* target = nullptr;  ///< null: the client names the model (route "default")
    const Model* baseline = nullptr;  ///< null: the model that the client named
    std::vector<Stage*> stages;  ///< in order; owned by the snapshot
    std::vector<const Model*> fallbacks;  ///< instead of the model's own; empty: those
    CacheMode exact_cache = CacheMode::kAuto;
    std::chrono::seconds cache_ttl{0};
    SemanticCache semantic;
    /// Of a million requests, so many are answered without the stages and by the baseline's model.
    std::uint32_t holdout_ppm = 0;
    /// The class of service that is asked for where the caller names none; standard: the model's.
    prices::Tier tier = prices::Tier::kStandard;
    std::chrono::milliseconds flex_wait{0};  ///< as of a model, and before its own; 0: the model's
    // Of tier batch: requests whose caller can wait that long are gathered, so many at most and so long.
    std::chrono::milliseconds gather_wait{0};
    std::chrono::milliseconds gather_window{0};
    std::uint32_t gather_requests = 0;
    /// Without a first byte by then the next in line is asked as well; 0: never.
    std::chrono::milliseconds hedge_after{0};
    bool hedge_at_p95 = false;  ///< "by then" is when nineteen of twenty have it
    const Model* shadow = nullptr;  ///< gets a copy of some requests, for nobody; null: none
    std::uint32_t shadow_ppm = 0;  ///< of the answered requests, per million
    OutcomeKeeping outcomes = OutcomeKeeping::kOff;
};

}  // namespace leeway::pipeline
