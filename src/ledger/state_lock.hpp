#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"

#include <string>
#include <utility>

namespace leeway::ledger {

/// Ownership of a state folder by one process, as a locked file `leeway.lock` in it. The kernel
/// lets go of it when the process ends, however it ends.
class StateLock {
public:
    /// Takes the lock, trying for `patience`. The error's `reason` is "in_use" when another process
    /// holds it (the message names its pid) and "io_error" otherwise.
    [[nodiscard]] static Result<StateLock> acquire(const std::string& state_dir, Duration patience);

    StateLock(StateLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    StateLock& operator=(StateLock&&) = delete;
    StateLock(const StateLock&) = delete;
    StateLock& operator=(const StateLock&) = delete;
    ~StateLock();

private:
    explicit StateLock(int fd) : fd_(fd) {}
    int fd_;
};

}  // namespace leeway::ledger
