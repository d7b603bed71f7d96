#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace bench {

/// Counts of nanoseconds in buckets of at most 1.6 % width (64 for each power of two).
class Histogram {
public:
    void add(std::int64_t ns) {
        const auto value = static_cast<std::uint64_t>(ns < 0 ? 0 : ns);
        ++counts_[index(value)];
        ++total_;
        if (value > max_) max_ = value;
    }
    /// Microseconds below which the share `q` (0 … 1) of the values lies; 0 when empty.
    [[nodiscard]] double quantile_us(double q) const;
    [[nodiscard]] double max_us() const { return static_cast<double>(max_) / 1e3; }
    [[nodiscard]] std::uint64_t count() const { return total_; }

private:
    static constexpr int kBits = 6;
    static std::size_t index(std::uint64_t value) {
        const int shift = static_cast<int>(std::bit_width(value)) - kBits - 1;
        if (shift <= 0) return value;
        return (static_cast<std::size_t>(shift) << kBits) + (value >> shift);
    }
    static double middle(std::size_t index);

    std::array<std::uint32_t, (64 - kBits + 1) << kBits> counts_{};
    std::uint64_t total_ = 0;
    std::uint64_t max_ = 0;
};

/// What a load run saw.
struct Report {
    std::string mode;
    int connections = 0;
    std::uint64_t sent = 0;
    std::uint64_t answered = 0;  // complete, checked and right
    std::uint64_t reconnects = 0;
    std::uint64_t events = 0;  // marked content events of right streams
    std::uint64_t late = 0;    // open loop: started later than intended
    double seconds = 0;
    std::map<std::string, std::uint64_t> failures;
    std::string first_failure;
    Histogram latency;      // from the intended start to the last byte
    Histogram first_event;  // streams: from the intended start to the first event
    Histogram hold;         // streams: from the provider's write of an event to our read

    [[nodiscard]] std::uint64_t failed() const;
    [[nodiscard]] std::string json() const;
    [[nodiscard]] std::string text() const;
};

}  // namespace bench
