#pragma once

#include "base/money.hpp"

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::prices {

/// How long a commitment runs before it begins anew.
enum class CommitmentPer : std::uint8_t {
    kMonth = 0,  ///< months of the calendar (UTC)
    kYear,       ///< years from its first day on; without one, years of the calendar
    kTerm,       ///< once, from its first day to its last
};
inline constexpr std::array<std::string_view, 3> kCommitmentPerNames{"month", "year", "term"};
[[nodiscard]] constexpr std::string_view to_string(CommitmentPer per) noexcept {
    return kCommitmentPerNames[static_cast<std::size_t>(per)];
}

/// What was promised to a provider to be spent in each window. Days count from 1970-01-01 UTC.
struct Commitment {
    static constexpr std::int64_t kOpen = std::numeric_limits<std::int32_t>::max();

    std::string name;
    std::string provider;
    PicoUsd amount;
    CommitmentPer per = CommitmentPer::kMonth;
    std::int64_t from_day = -kOpen;
    std::int64_t to_day = kOpen;  ///< exclusive
    std::vector<std::string>
        models;  ///< our names, `*` for any characters; empty: all of the provider
};

struct CommitmentWindow {
    enum class State : std::uint8_t { kRunning = 0, kUpcoming, kEnded };
    std::int64_t first_day = 0;
    std::int64_t end_day = 0;  ///< exclusive
    State state = State::kRunning;

    friend bool operator==(const CommitmentWindow&, const CommitmentWindow&) = default;
};
inline constexpr std::array<std::string_view, 3> kCommitmentStateNames{"running", "upcoming",
                                                                       "ended"};

/// The window that `day` lies in; the first one before the commitment begins, the last one after it ended.
/// A window that the commitment's days cut is shorter; the amount stays.
[[nodiscard]] CommitmentWindow window_of(const Commitment& commitment, std::int64_t day) noexcept;

}  // namespace leeway::prices
