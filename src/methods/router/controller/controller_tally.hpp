#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace leeway::router {

/// How often controllers came to what, over reloads. Thread-safe.
class ControllerTally {
public:
    struct Counted {
        std::string route;
        std::string verdict;
        std::uint64_t count = 0;
    };

    void add(const std::string& route, const std::string& verdict) {
        const std::lock_guard lock(mutex_);
        ++counts_[{route, verdict}];
    }
    [[nodiscard]] std::vector<Counted> counted() const {
        const std::lock_guard lock(mutex_);
        std::vector<Counted> out;
        out.reserve(counts_.size());
        for (const auto& [of, count] : counts_) out.push_back({of.first, of.second, count});
        return out;
    }

private:
    mutable std::mutex mutex_;
    std::map<std::pair<std::string, std::string>, std::uint64_t> counts_;  // guarded by mutex_
};

}  // namespace leeway::router
