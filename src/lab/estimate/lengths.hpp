#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace leeway::lab {

/// A call of which both lengths are known, in tokens.
struct Observed {
    std::int64_t input = 0;
    std::int64_t output = 0;
};

/// Where lengths of answers start from when nothing was recorded: fitted by tools/fit/output_lengths.py.
struct Prior {
    std::string_view kind;
    std::int64_t median = 0;  ///< tokens of o200k_base
    std::int64_t level_permille =
        0;  ///< standard deviation of the logarithm of a group's median, × 1000
    std::int64_t shape_permille[21] =
        {};  ///< quantiles 0, 5, …, 100 % over the group's median, × 1000
    std::int64_t groups = 0;
    std::int64_t answers = 0;
    std::int64_t held_out_permille = 0;  ///< answers of a group left out within P10 to P90, × 1000
    std::string_view data_sets;
};
[[nodiscard]] std::span<const Prior> priors() noexcept;
/// nullptr: there is none of this name.
[[nodiscard]] const Prior* find_prior(std::string_view kind) noexcept;

/// A distribution of lengths, perhaps given the length of the input. Immutable, cheap to copy when small.
///
/// A length is level × shape: the level is what is not known of this use as a whole (all its answers are
/// longer or shorter together), the shape how its answers differ among themselves. With recorded answers
/// the level is known but for the error of a mean.
class Lengths {
public:
    /// Fewer recorded answers than this are not believed.
    static constexpr std::size_t kLeast = 50;
    /// Inputs of similar size (the same power of two) have a distribution of their own from here on.
    static constexpr std::size_t kLeastOfSize = 100;

    /// Always `tokens`.
    [[nodiscard]] static Lengths constant(std::int64_t tokens);
    [[nodiscard]] static Lengths of(const Prior& prior);
    /// Log-normal with these two quantiles; 0 < p50 ≤ p90.
    [[nodiscard]] static Lengths between(std::int64_t p50, std::int64_t p90);
    /// The recorded answers themselves; not empty.
    [[nodiscard]] static Lengths fitted(std::span<const Observed> rows);

    /// The value that `share` (0 to 1) of the answers to an input of this size do not pass, the level at
    /// `level` standard deviations. Not negative.
    [[nodiscard]] std::int64_t at(std::int64_t input, double share, double level = 0) const;
    /// Of recorded answers, a bound for the next one: at least (of `share` ≥ ½: at most) this share of next answers lie
    /// beneath it if they are exchangeable with the recorded ones. The rank is that of split conformal
    /// prediction, ⌈share·(n+1)⌉ from above and ⌊share·(n+1)⌋ from below (Vovk et al. 2005; Romano et al. 2019).
    [[nodiscard]] std::int64_t bound(std::int64_t input, double share) const;
    /// Standard deviation of the level's logarithm.
    [[nodiscard]] double level_spread() const noexcept { return level_spread_; }

private:
    [[nodiscard]] const std::vector<std::int64_t>& shape_for(std::int64_t input) const;

    std::vector<std::int64_t> all_;  // ascending
    std::map<int, std::vector<std::int64_t>> by_size_;  // by ⌊log2 of the input⌋
    double level_spread_ = 0;
};

/// The quantile of the standard normal distribution (Acklam's rational approximation, error below 1.2e-9
/// of the result); `share` strictly between 0 and 1.
[[nodiscard]] double normal_quantile(double share) noexcept;

}  // namespace leeway::lab
