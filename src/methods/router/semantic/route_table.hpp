#pragma once

#include "methods/router/semantic/semantic_router.hpp"

#include <memory>
#include <mutex>
#include <utility>

namespace leeway::router {

/// A routes file in use: its rules at once, its scores as soon as its utterances are embedded. Outlives snapshots that
/// use it. Any thread.
class RouteTable {
public:
    /// `rules`: made by `SemanticRouter::rules_of`.
    explicit RouteTable(SemanticRouter rules) : rules_(std::move(rules)) {}

    [[nodiscard]] const RouteSet& set() const noexcept { return rules_.set(); }
    /// For `without_vector` only.
    [[nodiscard]] const SemanticRouter& rules() const noexcept { return rules_; }
    struct Ready {
        std::shared_ptr<const SemanticRouter> router;  ///< null: not embedded yet
        std::string fingerprint;  ///< of the model that it was embedded by
    };
    [[nodiscard]] Ready ready() const {
        const std::scoped_lock lock(mutex_);
        return ready_;
    }
    void set_ready(Ready ready) {
        const std::scoped_lock lock(mutex_);
        ready_ = std::move(ready);
    }
    /// Vectors of this model are of no use any more: not ready until they are made anew.
    void forget(const std::string& fingerprint) const {
        const std::scoped_lock lock(mutex_);
        if (ready_.fingerprint == fingerprint) ready_ = {};
    }

private:
    const SemanticRouter rules_;
    mutable std::mutex mutex_;  // held to copy or replace ready_
    mutable Ready ready_;
};

}  // namespace leeway::router
