#include "lab/evaluate/neighbour_lists.hpp"

#include "store/vectors/kernel.hpp"

#include <algorithm>

namespace leeway::lab {
namespace {

using store::vectors::dot;

constexpr std::size_t kTile = 64;   // rows that stay in the first cache
constexpr std::size_t kBatch = 64;  // texts that are compared with a tile at a time

bool nearer(const Near& a, const Near& b) noexcept {
    return a.cosine != b.cosine ? a.cosine > b.cosine : a.text < b.text;
}

void shorten(std::vector<Near>& list, std::size_t most) {
    if (list.size() <= most) return;
    std::nth_element(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(most), list.end(),
                     nearer);
    list.resize(most);
}

}  // namespace

NeighbourLists::NeighbourLists(const models::VectorTable& vectors, std::size_t most, float floor,
                               const std::function<void(std::size_t)>& progress)
    : vectors_(vectors), most_(most), floor_(floor) {
    const std::size_t rows = vectors.rows();
    starts_.reserve(rows + 1);
    starts_.push_back(0);
    std::vector<std::vector<Near>> lists(kBatch);
    for (std::size_t begin = 0; begin < rows; begin += kBatch) {
        const std::size_t end = std::min(rows, begin + kBatch);
        for (std::size_t tile = 0; tile < rows; tile += kTile) {
            const std::size_t tile_end = std::min(rows, tile + kTile);
            for (std::size_t i = begin; i < end; ++i) {
                std::vector<Near>& list = lists[i - begin];
                const std::span<const float> row = vectors.row(i);
                for (std::size_t j = tile; j < tile_end; ++j) {
                    const float cosine = dot(row, vectors.row(j));
                    if (cosine >= floor && j != i) {
                        list.push_back({static_cast<std::uint32_t>(j), cosine});
                    }
                }
                if (list.size() > 4 * most) shorten(list, most);
            }
        }
        for (std::size_t i = begin; i < end; ++i) {
            std::vector<Near>& list = lists[i - begin];
            shorten(list, most);
            std::sort(list.begin(), list.end(), nearer);
            nears_.insert(nears_.end(), list.begin(), list.end());
            starts_.push_back(nears_.size());
            list.clear();
        }
        if (progress) progress(end);
    }
}

void NeighbourLists::nearest(std::uint32_t text, std::size_t wanted,
                             const std::function<bool(std::uint32_t)>& stored,
                             std::span<const std::uint32_t> all_stored,
                             std::vector<Near>& out) const {
    const std::size_t before = out.size();
    for (const Near& near : of(text)) {
        if (!stored(near.text)) continue;
        out.push_back(near);
        if (out.size() - before == wanted) return;
    }
    if (!cut(text) || out.size() - before == all_stored.size()) return;
    out.resize(before);
    const std::span<const float> row = vectors_.row(text);
    for (const std::uint32_t other : all_stored) {
        const float cosine = dot(row, vectors_.row(other));
        if (cosine >= floor_ && other != text) out.push_back({other, cosine});
    }
    const auto begin = out.begin() + static_cast<std::ptrdiff_t>(before);
    const auto middle = begin + static_cast<std::ptrdiff_t>(std::min(wanted, out.size() - before));
    std::partial_sort(begin, middle, out.end(), nearer);
    out.erase(middle, out.end());
}

}  // namespace leeway::lab
