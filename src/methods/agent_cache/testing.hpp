#pragma once

// Only for tests: executors whose jobs run when the test says so or on a thread of their own, keys,
// answers, and a folder that goes away.

#include "base/clock.hpp"
#include "base/executor.hpp"
#include "base/hash.hpp"
#include "methods/agent_cache/cached_answer.hpp"
#include "support/temporary_folder.hpp"

#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace leeway::agent_cache::testing {

using support::TemporaryFolder;

/// Jobs run on the thread that calls `run_one` or `run_all`.
class ManualExecutor final : public Executor {
public:
    void post(std::function<void()> work) override {
        {
            const std::scoped_lock lock(mutex_);
            jobs_.push_back(std::move(work));
        }
        posted_.notify_all();
    }
    /// Runs the oldest job; waits for one up to `patience`. False: none came.
    bool run_one(Duration patience = std::chrono::seconds(10)) {
        std::function<void()> job;
        {
            std::unique_lock lock(mutex_);
            if (!posted_.wait_for(lock, patience, [this] { return !jobs_.empty(); })) return false;
            job = std::move(jobs_.front());
            jobs_.pop_front();
        }
        job();
        return true;
    }
    /// Runs what is there, and what that posts.
    void run_all() {
        while (run_one(Duration::zero())) {
        }
    }
    [[nodiscard]] std::size_t waiting() const {
        const std::scoped_lock lock(mutex_);
        return jobs_.size();
    }

private:
    mutable std::mutex mutex_;
    std::condition_variable posted_;
    std::deque<std::function<void()>> jobs_;
};

/// Jobs run on a thread of its own; those that are left run before it is destroyed.
class ThreadExecutor final : public Executor {
public:
    ThreadExecutor() : thread_([this] { run(); }) {}
    ThreadExecutor(const ThreadExecutor&) = delete;
    ThreadExecutor& operator=(const ThreadExecutor&) = delete;
    ~ThreadExecutor() override {
        post([this] { stop_ = true; });
        thread_.join();
        jobs_.run_all();
    }
    void post(std::function<void()> work) override { jobs_.post(std::move(work)); }

private:
    void run() {
        while (!stop_) jobs_.run_one();
    }
    ManualExecutor jobs_;
    bool stop_ = false;  // the thread's
    std::thread thread_;
};

inline Sha256 key_of(std::uint64_t number) {
    return sha256(std::string_view(reinterpret_cast<const char*>(&number), sizeof number));
}

inline std::int64_t now_ms() { return unix_now_us() / 1000; }

inline std::shared_ptr<CachedAnswer> answer_of(std::string body, std::int64_t ttl_ms = 3'600'000) {
    auto answer = std::make_shared<CachedAnswer>();
    answer->body = std::move(body);
    answer->model_reported = "model-2026";
    answer->finish_reason = "stop";
    std::int64_t count = 10;
    for (const auto& info : prices::kBuckets) answer->usage[info.bucket] = ++count;
    answer->usage_state = prices::UsageState::kFinal;
    answer->created_unix_ms = now_ms();
    answer->expires_unix_ms = answer->created_unix_ms + ttl_ms;
    return answer;
}

}  // namespace leeway::agent_cache::testing
