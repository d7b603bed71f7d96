#include "ledger/wake.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>

namespace leeway::ledger {

// std::atomic::wait has no timeout, so this is the futex itself.
static_assert(sizeof(std::atomic<std::uint32_t>) == 4);

void Wake::wait(std::uint32_t expected, std::optional<Duration> timeout) noexcept {
    timespec relative{};
    if (timeout) {
        const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(*timeout).count();
        if (ns <= 0) return;
        relative.tv_sec = ns / 1'000'000'000;
        relative.tv_nsec = ns % 1'000'000'000;
    }
    // A spurious return is harmless: the consumer looks at its work after each.
    ::syscall(SYS_futex, &state_, FUTEX_WAIT_PRIVATE, expected, timeout ? &relative : nullptr,
              nullptr, 0);
}

void Wake::wake() noexcept {
    ::syscall(SYS_futex, &state_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

void Wake::awake() noexcept {
    state_.store(kAwake, std::memory_order_seq_cst);
    urged_.store(false, std::memory_order_seq_cst);
}

void Wake::notify() noexcept {
    if (state_.load(std::memory_order_seq_cst) != kSleeping) return;
    std::uint32_t expected = kSleeping;
    if (state_.compare_exchange_strong(expected, kAwake)) wake();
}

void Wake::urge() noexcept {
    urged_.store(true, std::memory_order_seq_cst);
    if (state_.exchange(kAwake, std::memory_order_seq_cst) != kAwake) wake();
}

void Wake::nap(Duration time) noexcept {
    state_.store(kNapping, std::memory_order_seq_cst);
    if (!urged_.load(std::memory_order_seq_cst)) wait(kNapping, time);
    awake();
}

}  // namespace leeway::ledger
