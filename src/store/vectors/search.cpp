#include "store/vectors/search.hpp"

#include "store/vectors/encoding.hpp"
#include "store/vectors/kernel.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_set>

namespace leeway::store::vectors {
namespace {

bool worse_in_front(const Candidate& a, const Candidate& b) noexcept { return a.is_better_than(b); }

double row_cost(std::size_t length, Precision precision) noexcept {
    const auto n = static_cast<double>(length);
    return precision == Precision::kFloat32 ? 5 + n / 5 : 5 + n / 20;
}

}  // namespace

Best::Best(std::size_t most) : most_(most) { heap_.reserve(std::min<std::size_t>(most, 1024)); }

void Best::push(const Candidate& one) {
    heap_.push_back(one);
    std::push_heap(heap_.begin(), heap_.end(), worse_in_front);
}

void Best::replace(const Candidate& one) {
    std::pop_heap(heap_.begin(), heap_.end(), worse_in_front);
    heap_.back() = one;
    std::push_heap(heap_.begin(), heap_.end(), worse_in_front);
}

std::vector<Candidate> Best::take() {
    std::sort_heap(heap_.begin(), heap_.end(), worse_in_front);
    return std::move(heap_);
}

std::size_t compared_in_full(std::size_t k) noexcept {
    constexpr std::size_t kLeast = 32;
    return std::max(4 * k, kLeast);
}

std::size_t width_of(std::size_t least, std::size_t k, std::size_t elements) noexcept {
    constexpr double kSmall = 65536;
    const double growth = std::max(1.0, std::sqrt(static_cast<double>(elements) / kSmall));
    const auto grown = static_cast<std::size_t>(static_cast<double>(least) * growth);
    return std::max(grown, compared_in_full(k));
}

void scan(const Rows& rows, std::uint32_t from, std::uint32_t to, std::uint32_t count,
          const Sought& sought, const Filter& filter, Best& best) {
    const Kernel& use = kernel();
    const std::size_t n = rows.length();
    const float scale = code_scale(sought.code.data(), n);
    const std::int8_t* const query = code_elements(sought.code.data());
    for (std::uint32_t row = from; row < to;) {
        const Rows::Block block = rows.block(row, to);
        for (std::uint32_t i = 0; i < block.count; ++i) {
            if (block.ends[i].load(std::memory_order_relaxed) < count) continue;
            if (filter.accepts && !filter.accepts(block.ids[i])) continue;
            float cosine = 0;
            if (block.full != nullptr) {
                cosine = use.dot_f32(sought.row.data(), block.full + i * n, n);
            } else {
                const std::uint8_t* const code = block.codes + i * code_bytes(n);
                const std::int32_t dot =
                    use.dot_i8(query, code_elements(code), n, code_sum(code, n));
                cosine = static_cast<float>(dot) * scale * code_scale(code, n);
            }
            best.offer({cosine, row + i, block.ids[i]});
        }
        row += block.count;
    }
}

void look_up(const Rows& rows, const Sought& sought, const Filter& filter, Best& best) {
    std::unordered_set<std::uint32_t> seen;
    for (const std::uint64_t id : filter.only) {
        const std::uint32_t row = rows.find(id);
        if (row == Rows::kNone) continue;  // one that dies from now on was there when we asked
        if (filter.accepts && !filter.accepts(id)) continue;
        if (!seen.insert(row).second) continue;
        best.offer({rows.cosine(row, sought.row.data()), row, id});
    }
}

Costs costs_of(const Work& work) noexcept {
    constexpr double kAsk = 15;
    constexpr double kFind = 250;  // of an id: its place in the table, then its row, both far away
    constexpr double kVisitsOfWidth = 18;  // elements whose distance is looked at, by width
    const double visit = 40 + static_cast<double>(work.length) / 6;
    const double ask = work.asks ? kAsk : 0;
    const double row = row_cost(work.length, work.precision);
    const double accepted = std::max(work.accepted, 1e-9);

    Costs costs;
    costs.scan = work.rows * (ask + accepted * row);
    costs.list = static_cast<double>(work.listed) * (kFind + ask);
    const double covered = work.rows - work.tail;
    const double visits =
        std::min(covered, static_cast<double>(work.width) * kVisitsOfWidth / accepted);
    costs.graph = visits * (visit + ask) + work.tail * (ask + accepted * row);
    return costs;
}

std::uint32_t rows_within(double ns, std::size_t length, Precision precision) noexcept {
    return static_cast<std::uint32_t>(ns / row_cost(length, precision));
}

double share_accepted(const Rows& rows, std::uint32_t count, const Filter& filter) {
    constexpr std::uint32_t kSample = 128;
    std::uint32_t asked = 0;
    std::uint32_t accepted = 0;
    const std::uint32_t step = std::max<std::uint32_t>(1, count / kSample);
    for (std::uint32_t row = 0; row < count; row += step) {
        if (rows.is_dead(row, count)) continue;
        ++asked;
        if (!filter.accepts || filter.accepts(rows.id(row))) ++accepted;
    }
    // Half an acceptance more: none in the sample does not mean none at all.
    return (accepted + 0.5) / (asked + 1.0);
}

}  // namespace leeway::store::vectors
