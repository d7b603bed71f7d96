#pragma once

#include "models/embedding.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace leeway::lab {

struct Near {
    std::uint32_t text = 0;
    float cosine = 0;
};

/// For each of many texts the others near it, computed once, so that a cache can be played over them in
/// many orders. Immutable.
class NeighbourLists {
public:
    /// At most `most` others of a cosine of `floor` or more, nearest first. Keeps a reference to `vectors`.
    /// `progress` is told how many texts are done; it may be empty.
    NeighbourLists(const models::VectorTable& vectors, std::size_t most, float floor,
                   const std::function<void(std::size_t)>& progress = {});

    /// Appends to `out` the nearest texts, at most `wanted`, of those for which `stored` holds: from the list, or
    /// by comparing with all of `all_stored` where the list is cut too early.
    void nearest(std::uint32_t text, std::size_t wanted,
                 const std::function<bool(std::uint32_t)>& stored,
                 std::span<const std::uint32_t> all_stored, std::vector<Near>& out) const;

    [[nodiscard]] std::span<const Near> of(std::uint32_t text) const noexcept {
        return std::span(nears_).subspan(starts_[text], starts_[text + 1] - starts_[text]);
    }
    /// The list of `text` lacks others above the floor.
    [[nodiscard]] bool cut(std::uint32_t text) const noexcept {
        return starts_[text + 1] - starts_[text] == most_;
    }
    [[nodiscard]] std::size_t texts() const noexcept { return starts_.size() - 1; }

private:
    const models::VectorTable& vectors_;
    std::size_t most_;
    float floor_;
    std::vector<std::size_t> starts_;
    std::vector<Near> nears_;
};

}  // namespace leeway::lab
