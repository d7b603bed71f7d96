#pragma once

#include "base/clock.hpp"
#include "guard/budget/book.hpp"

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace leeway::budget {

struct LeaseStats {
    std::uint64_t rounds = 0;  ///< questions to the pool
    std::uint64_t failures = 0;
    bool failing = false;
    std::string last_error;  ///< kept after it recovered
};

/// Asks the pool on a thread of its own, one question at a time for all requests that wait, and gives back what
/// is not needed.
class LeaseKeeper {
public:
    /// `book` outlives the keeper.
    LeaseKeeper(Book& book, std::unique_ptr<LeaseSource> source);
    LeaseKeeper(const LeaseKeeper&) = delete;
    LeaseKeeper& operator=(const LeaseKeeper&) = delete;
    /// Gives all free slices back; what was asked and not answered is answered with false.
    ~LeaseKeeper();

    /// Any thread. Calls `done` from the keeper's thread when the pool has answered a question that was asked
    /// after this call; false: it could not be asked.
    void ask(std::function<void(bool)> done);
    /// Any thread.
    [[nodiscard]] LeaseStats stats() const;

private:
    void run() noexcept;
    [[nodiscard]] bool exchange();
    void note(const Result<void>& done);

    Book& book_;
    const std::unique_ptr<LeaseSource> source_;
    std::vector<LeaseReturn> debts_;  // thread only: told again until they are heard
    mutable std::mutex mutex_;  // of the rest
    std::condition_variable wake_;
    std::vector<std::function<void(bool)>> waiting_;
    LeaseStats stats_;
    bool stop_ = false;
    std::thread thread_;
};

}  // namespace leeway::budget
