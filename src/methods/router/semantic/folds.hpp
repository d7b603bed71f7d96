#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace leeway::router {

/// Splits rows into `folds` parts of nearly equal size, each with about its share of every label. `labels`: any number
/// per row. Returns the part of each row. The same for equal arguments on every machine.
[[nodiscard]] std::vector<std::size_t> stratified_folds(std::span<const std::int32_t> labels,
                                                        std::size_t folds, std::uint64_t seed);

}  // namespace leeway::router
