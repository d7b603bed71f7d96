#include "store/vectors/vector_index.hpp"

#include "base/clock.hpp"
#include "store/vectors/encoding.hpp"
#include "store/vectors/graph.hpp"
#include "store/vectors/rows.hpp"
#include "store/vectors/search.hpp"

#include <algorithm>
#include <utility>

namespace leeway::store::vectors {
namespace {

/// Rows of the filter's list, one bit each.
std::vector<bool> rows_of_list(const Rows& rows, std::uint32_t count, const Filter& filter) {
    std::vector<bool> listed(count);
    for (const std::uint64_t id : filter.only) {
        const std::uint32_t row = rows.find(id);
        if (row < count) listed[row] = true;
    }
    return listed;
}

void compare_in_full(const Rows& rows, const Sought& sought, std::vector<Candidate> candidates,
                     Best& best) {
    for (Candidate& one : candidates) {
        one.cosine = rows.cosine(one.row, sought.row.data());
        best.offer(one);
    }
}

/// Offers the best rows of [from, to).
void scan_in_full(const Rows& rows, std::uint32_t from, std::uint32_t to, std::uint32_t count,
                  const Sought& sought, const Filter& filter, Best& best) {
    if (rows.precision() == Precision::kFloat32) {
        scan(rows, from, to, count, sought, filter, best);
        return;
    }
    Best by_code(compared_in_full(sought.k));
    scan(rows, from, to, count, sought, filter, by_code);
    compare_in_full(rows, sought, by_code.take(), best);
}

}  // namespace

VectorIndex::VectorIndex(const Options& options) : options_(options) {
    state_.rows = std::make_shared<Rows>(options.dimension, options.precision);
}

VectorIndex::~VectorIndex() = default;

VectorIndex::State VectorIndex::state() const {
    const std::scoped_lock lock(state_mutex_);
    return state_;
}

void VectorIndex::publish(State next) {
    const std::scoped_lock lock(state_mutex_);
    std::swap(state_, next);
    // What was there is freed by whoever uses it last, not under the lock.
}

Result<void> VectorIndex::add(std::uint64_t id, std::span<const float> vector, std::string payload,
                              std::uint64_t stamp) {
    auto row = to_row(vector, options_.dimension);
    if (!row) return fail(std::move(row.error()));
    Rows::New entry{
        .id = id, .stamp = stamp, .used_unix_s = static_cast<std::uint32_t>(unix_now_s())};
    entry.payload = std::move(payload);
    const std::scoped_lock lock(writer_mutex_);
    if (!state().rows->append(std::move(entry), *row)) {
        return fail(ErrorCode::kUnavailable, "there is no room for another vector");
    }
    return {};
}

bool VectorIndex::remove(std::uint64_t id) {
    const std::scoped_lock lock(writer_mutex_);
    const auto rows = state().rows;
    const std::uint32_t row = rows->find(id);
    if (row == Rows::kNone) return false;
    rows->kill(row);
    return true;
}

bool VectorIndex::remove(std::uint64_t id, std::uint64_t stamp) {
    const std::scoped_lock lock(writer_mutex_);
    const auto rows = state().rows;
    const std::uint32_t row = rows->find(id);
    if (row == Rows::kNone || rows->stamp(row) != stamp) return false;
    rows->kill(row);
    return true;
}

std::uint64_t VectorIndex::touch(std::uint64_t id, std::uint32_t unix_s) {
    const auto rows = state().rows;
    const std::uint32_t row = rows->find(id);
    if (row == Rows::kNone) return 0;
    rows->note_use(row, unix_s);
    return rows->stamp(row);
}

std::size_t VectorIndex::size() const noexcept { return state().rows->live(); }

VectorIndex::Stats VectorIndex::stats() const {
    const State now = state();
    Stats stats;
    stats.entries = now.rows->live();
    stats.dead = now.rows->count() - std::min(now.rows->live(), now.rows->count());
    stats.bytes = now.rows->bytes();
    if (now.graph) {
        stats.bytes += now.graph->bytes();
        stats.dead = std::max<std::uint64_t>(stats.dead, now.graph->nowhere());
        stats.in_graph = std::min<std::uint64_t>(now.graph->rows(), stats.entries);
    }
    stats.exact = exact_.load(std::memory_order_relaxed);
    stats.by_graph = by_graph_.load(std::memory_order_relaxed);
    stats.fell_back = fell_back_.load(std::memory_order_relaxed);
    return stats;
}

std::vector<VectorIndex::Used> VectorIndex::oldest(std::size_t count) const {
    struct Row {
        std::uint32_t used;
        std::uint32_t row;
    };
    const auto rows = state().rows;
    const std::uint32_t end = rows->count();
    std::vector<Row> all;
    all.reserve(rows->live());
    for (std::uint32_t row = 0; row < end; ++row) {
        if (!rows->is_dead(row, end)) all.push_back({rows->used(row), row});
    }
    const auto older = [](const Row& a, const Row& b) {
        return a.used != b.used ? a.used < b.used : a.row < b.row;
    };
    if (count < all.size()) {
        std::nth_element(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count), all.end(),
                         older);
        all.resize(count);
    }
    std::sort(all.begin(), all.end(), older);
    std::vector<Used> out;
    out.reserve(all.size());
    for (const Row& one : all) out.push_back({rows->id(one.row), rows->stamp(one.row)});
    return out;
}

Result<std::vector<Match>> VectorIndex::search(std::span<const float> query, std::size_t k,
                                               const Filter& filter) const {
    return run(query, k, filter, false);
}

Result<std::vector<Match>> VectorIndex::search_exact(std::span<const float> query, std::size_t k,
                                                     const Filter& filter) const {
    return run(query, k, filter, true);
}

Result<std::vector<Match>> VectorIndex::run(std::span<const float> vector, std::size_t k,
                                            const Filter& filter, bool exact) const {
    auto row = to_row(vector, options_.dimension);
    if (!row) return fail(std::move(row.error()));
    const State now = state();
    const Rows& rows = *now.rows;
    const std::uint32_t count = rows.count();
    Sought sought{.row = std::move(*row), .code = {}, .k = std::min<std::size_t>(k, count)};
    if (sought.k == 0) return std::vector<Match>{};
    sought.code.resize(code_bytes(rows.length()));
    encode(sought.row, sought.code.data());

    Work work{.rows = count, .tail = count - now.covered, .listed = filter.only.size()};
    work.asks = static_cast<bool>(filter.accepts);
    work.length = rows.length();
    work.precision = options_.precision;
    // Wider under a filter: what it rejects takes the places of better ways through the graph.
    const bool filtered = filter.is_list || work.asks;
    work.width = width_of(options_.search_width, sought.k, now.covered) * (filtered ? 2 : 1);
    if (work.asks) work.accepted = share_accepted(rows, count, filter);
    if (filter.is_list) {
        work.accepted *= std::min(1.0, static_cast<double>(work.listed) / count);
    }
    const Costs costs = costs_of(work);
    const double exactly = filter.is_list ? costs.list : costs.scan;

    Best best(sought.k);
    bool found = false;
    if (!exact && now.graph && costs.graph < exactly) {
        by_graph_.fetch_add(1, std::memory_order_relaxed);
        std::vector<bool> listed;
        if (filter.is_list) listed = rows_of_list(rows, count, filter);
        const auto accepts = [&](std::uint32_t one) {
            return !rows.is_dead(one, count) && (!filter.is_list || listed[one]) &&
                   (!filter.accepts || filter.accepts(rows.id(one)));
        };
        const bool all = !filtered && rows.live() == count;
        const auto near =
            now.graph->search(sought.code.data(), compared_in_full(sought.k), work.width,
                              all ? std::function<bool(std::uint32_t)>()
                                  : std::function<bool(std::uint32_t)>(accepts));
        std::vector<Candidate> candidates;
        candidates.reserve(near.size());
        for (const std::uint32_t one : near) candidates.push_back({0, one, rows.id(one)});
        compare_in_full(rows, sought, std::move(candidates), best);
        if (filter.is_list) {
            Filter in_tail{.is_list = false, .only = {}, .accepts = {}};
            in_tail.accepts = [&](std::uint64_t id) {
                const std::uint32_t one = rows.find(id);
                return one < count && listed[one] && (!filter.accepts || filter.accepts(id));
            };
            scan_in_full(rows, now.covered, count, count, sought, in_tail, best);
        } else {
            scan_in_full(rows, now.covered, count, count, sought, filter, best);
        }
        found = best.size() == sought.k || best.size() == rows.live();
        if (!found) {
            fell_back_.fetch_add(1, std::memory_order_relaxed);
            best = Best(sought.k);
        }
    } else {
        exact_.fetch_add(1, std::memory_order_relaxed);
    }
    if (!found) {
        if (filter.is_list) {
            look_up(rows, sought, filter, best);
        } else {
            scan_in_full(rows, 0, count, count, sought, filter, best);
        }
    }

    std::vector<Match> matches;
    for (const Candidate& one : best.take()) {
        matches.push_back({one.id, one.cosine, rows.payload(one.row)});
    }
    return matches;
}

}  // namespace leeway::store::vectors
