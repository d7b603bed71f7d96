#include "store/vectors/encoding.hpp"
#include "store/vectors/graph.hpp"
#include "store/vectors/graph_file.hpp"
#include "store/vectors/rows.hpp"
#include "store/vectors/search.hpp"
#include "store/vectors/vector_index.hpp"

#include <algorithm>
#include <utility>

namespace leeway::store::vectors {
namespace {

constexpr std::uint32_t kFewDead = 64;  // not worth a rebuild, whatever their share
constexpr std::uint32_t kStopEvery = 64;
// A graph is useful before all rows are in it, so the first build comes out in steps that double.
constexpr std::uint32_t kFirstStep = 16384;

/// Adds the living rows of [from, to). False: `stop` was set, or there was no memory.
bool grow(Graph& graph, const Rows& rows, std::uint32_t from, std::uint32_t to,
          const std::atomic<bool>& stop) {
    const std::uint32_t count = rows.count();
    std::vector<std::uint8_t> scratch;
    for (std::uint32_t row = from; row < to; ++row) {
        if (row % kStopEvery == 0 && stop.load(std::memory_order_relaxed)) return false;
        if (!rows.is_dead(row, count) && !graph.add(row, rows.code(row, scratch))) return false;
    }
    graph.finish();
    return true;
}

GraphShape shape_of(const VectorIndex::Options& options) {
    return {.length = padded(options.dimension),
            .links = options.links,
            .build_width = options.build_width};
}

}  // namespace

bool VectorIndex::wants_rebuild(const State& now) const {
    const std::uint32_t count = now.rows->count();
    const std::uint32_t live = std::min(now.rows->live(), count);
    std::uint64_t dead = count - live;
    std::uint64_t all = count;
    if (now.graph) {
        dead += now.graph->nowhere();
        all += now.graph->nowhere();
    }
    return dead > kFewDead && dead * 5 > all;
}

bool VectorIndex::wants_graph(const State& now) const {
    const std::uint32_t few =
        rows_within(1000.0 * options_.scan_us, now.rows->length(), options_.precision);
    // A search by graph takes about as long as a short scan: beside that the tail should not count.
    return now.graph ? now.rows->count() - now.covered > few / 2 : now.rows->live() > few;
}

bool VectorIndex::wants_maintenance() const {
    const State now = state();
    return wants_rebuild(now) || wants_graph(now);
}

bool VectorIndex::maintain(const std::atomic<bool>& stop) {
    const State now = state();
    if (wants_rebuild(now)) return rebuild(now, stop);
    return wants_graph(now) && extend(now, stop);
}

bool VectorIndex::extend(const State& now, const std::atomic<bool>& stop) {
    const std::uint32_t step = std::max(kFirstStep, now.covered);
    const std::uint32_t to = std::min(now.rows->count(), now.covered + step);
    auto graph = now.graph ? now.graph->copy(to - now.covered)
                           : Graph::make(shape_of(options_), to - now.covered);
    if (!graph || !grow(*graph, *now.rows, now.covered, to, stop)) return false;
    publish({now.rows, std::move(graph), to});
    return true;
}

bool VectorIndex::rebuild(const State& now, const std::atomic<bool>& stop) {
    const Rows& old = *now.rows;
    const std::uint32_t count = old.count();
    auto rows = std::make_shared<Rows>(options_.dimension, options_.precision);
    std::vector<std::uint32_t> origin;  // of each new row
    origin.reserve(old.live());
    for (std::uint32_t row = 0; row < count; ++row) {
        if (old.is_dead(row, count)) continue;
        if (!rows->append_from(old, row)) return false;
        origin.push_back(row);
    }
    State next{rows, nullptr, 0};
    if (wants_graph(next)) {
        auto graph = Graph::make(shape_of(options_), rows->count());
        next.covered = rows->count();
        if (!graph || !grow(*graph, *rows, 0, next.covered, stop)) return false;
        next.graph = std::move(graph);
    }
    for (std::uint32_t row = 0; row < origin.size(); ++row) {
        rows->note_use(row, old.used(origin[row]));
    }
    // What happened meanwhile. Rows that were replaced die by the coming of their successors, too.
    const std::scoped_lock lock(writer_mutex_);
    const std::uint32_t end = old.count();
    for (std::uint32_t row = 0; row < origin.size(); ++row) {
        if (old.is_dead(origin[row], end)) rows->kill(row);
    }
    for (std::uint32_t row = count; row < end; ++row) {
        if (!old.is_dead(row, end) && !rows->append_from(old, row)) return false;
    }
    publish(std::move(next));
    return true;
}

Result<void> VectorIndex::save_graph(const std::string& path, std::string_view identity) const {
    const State now = state();
    if (!now.graph) return {};
    GraphFile file{.image = now.graph->image(), .stamps = {}, .elements = {}};
    for (const Graph::Member& one : now.graph->members()) {
        file.stamps.push_back(now.rows->stamp(one.row));
        file.elements.push_back(one.element);
    }
    return write_graph_file(path, identity, file);
}

Result<void> VectorIndex::load_graph(const std::string& path, std::string_view identity) {
    auto file = read_graph_file(path, identity);
    if (!file) return fail(std::move(file.error()));
    auto made = Graph::from_image(shape_of(options_), file->image);
    if (!made) return fail(std::move(made.error()));
    const std::shared_ptr<Graph>& graph = *made;
    const State now = state();
    const Rows& rows = *now.rows;
    const std::uint32_t count = rows.count();
    std::vector<std::uint8_t> scratch;
    const std::size_t length = code_bytes(rows.length());
    std::vector<Graph::Member> members;
    std::uint32_t row = 0;  // both are in the order of their stamps
    for (std::size_t i = 0; i < file->stamps.size() && row < count; ++i) {
        const std::uint64_t stamp = file->stamps[i];
        const std::uint32_t element = file->elements[i];
        if (rows.stamp(row) > stamp) continue;  // what was it is gone
        if (rows.stamp(row) != stamp || element >= graph->size() ||
            !std::equal(graph->code(element), graph->code(element) + length,
                        rows.code(row, scratch))) {
            return fail(ErrorCode::kInternal, "it is of other vectors");
        }
        members.push_back({element, row++});
    }
    graph->set_members(members);
    graph->finish();
    const std::scoped_lock lock(writer_mutex_);
    if (state().rows != now.rows || state().graph) {
        return fail(ErrorCode::kInternal, "the index has a graph already");
    }
    publish({now.rows, graph, row});
    return {};
}

}  // namespace leeway::store::vectors
