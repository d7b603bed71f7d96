#include "guard/budget/lease_keeper.hpp"

#include <pthread.h>

#include <csignal>

namespace leeway::budget {
namespace {

constexpr Duration kTick = std::chrono::seconds(1);

}  // namespace

LeaseKeeper::LeaseKeeper(Book& book, std::unique_ptr<LeaseSource> source)
    : book_(book), source_(std::move(source)), thread_([this] { run(); }) {}

LeaseKeeper::~LeaseKeeper() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

void LeaseKeeper::ask(std::function<void(bool)> done) {
    {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(std::move(done));
    }
    wake_.notify_one();
}

LeaseStats LeaseKeeper::stats() const {
    const std::lock_guard lock(mutex_);
    return stats_;
}

void LeaseKeeper::run() noexcept {
    ::pthread_setname_np(::pthread_self(), "leases");
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);  // signals are for the main thread
    TimePoint next_tick = monotonic_now() + kTick;
    while (true) {
        std::vector<std::function<void(bool)>> asked;
        bool stop = false;
        {
            std::unique_lock lock(mutex_);
            wake_.wait_until(lock, next_tick, [&] { return stop_ || !waiting_.empty(); });
            asked.swap(waiting_);
            stop = stop_;
        }
        if (!asked.empty()) {
            const bool answered = !stop && exchange();
            for (const auto& done : asked) done(answered);
        }
        if (!stop && monotonic_now() < next_tick) continue;
        next_tick = monotonic_now() + kTick;
        // A return that may have been heard must not be said again, or more would be spent than there is. A
        // debt must be.
        auto returns = book_.take_returns(stop);
        returns.insert(returns.end(), debts_.begin(), debts_.end());
        debts_.clear();
        // Who fails asks again by itself: a gateway that is not ready gets no requests that would.
        if (!returns.empty() || (!stop && stats().failing)) {
            const auto heard = source_->give_back(returns);
            note(heard);
            if (!heard) {
                std::erase_if(returns, [](const LeaseReturn& one) { return one.amount > 0; });
                debts_ = std::move(returns);
            }
        }
        if (stop) return;
    }
}

bool LeaseKeeper::exchange() {
    const auto wants = book_.take_wants();
    if (wants.empty()) return true;  // another question brought enough
    auto grants = source_->take(wants);
    if (!grants) {
        note(fail(std::move(grants.error())));
        return false;
    }
    for (const LeaseGrant& grant : *grants) book_.grant(grant);
    note({});
    return true;
}

void LeaseKeeper::note(const Result<void>& done) {
    const std::lock_guard lock(mutex_);
    ++stats_.rounds;
    stats_.failing = !done;
    if (done) return;
    ++stats_.failures;
    stats_.last_error = done.error().text();
}

}  // namespace leeway::budget
