#pragma once

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
    std::string disabled;  ///< why it cannot be used; empty: it can
    std::vector<const Model*> fallbacks;  ///< asked in this order when it gives no answer
    /// Where it runs, of the same name each, when that is more than one place; only those are asked.
    std::vector<const Model*> targets;
};

/// When the exact cache may answer and store.
enum class CacheMode : std::uint8_t { kOff, kAuto, kOn };

/// A named way to be answered: which model, measured against which, through which stages.
struct Route {
    std::string name;
    const Model* target = nullptr;  ///< null: the client names the model (route "default")
    const Model* baseline = nullptr;  ///< null: the model that the client named
    std::vector<Stage*> stages;  ///< in order; owned by the snapshot
    std::vector<const Model*> fallbacks;  ///< instead of the model's own; empty: those
    CacheMode exact_cache = CacheMode::kAuto;
    std::chrono::seconds cache_ttl{0};
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
};

}  // namespace leeway::pipeline
