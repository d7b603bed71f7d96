#pragma once

#include "base/result.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::store::vectors {

class Graph;
class Rows;

/// How vectors are kept, in memory and on disk.
enum class Precision : std::uint8_t {
    kFloat32 = 0,  ///< as they came
    kInt8 =
        1,  ///< compared as int8, the best of them again as float16: cosines are right to 0.0005
};

/// One that was found.
struct Match {
    std::uint64_t id = 0;
    float cosine = 0;  ///< to the query, −1 to 1
    std::string payload;  ///< what was added with it
};

/// Which ids may be found. As it stands: all.
struct Filter {
    bool is_list = false;  ///< only those of `only`, which may be none
    std::span<const std::uint64_t> only;  ///< must live as long as the search
    /// Asked on the searching thread, for each vector that is looked at; it must be quick and must always say the
    /// same of an id. Empty: all.
    std::function<bool(std::uint64_t)> accepts;

    /// Only these ids.
    [[nodiscard]] static Filter of(std::span<const std::uint64_t> ids) {
        return {.is_list = true, .only = ids, .accepts = {}};
    }
};

/// The vectors of one partition: those of one model, for those who may see each other's. Exact where that is the
/// cheaper way or where a filter leaves few; else an HNSW graph (arXiv 1603.09320) over int8 codes, whose best are
/// compared again with what is kept. What was added since the graph was built is scanned beside it.
///
/// Any thread may search, add, update and remove. A search takes no lock but for copying a pointer: it never waits for
/// a writer, and sees each add and removal whole or not at all. Graphs are built by `maintain` only.
class VectorIndex {
public:
    struct Options {
        std::uint32_t dimension = 0;
        Precision precision = Precision::kInt8;
        std::uint32_t links = 16;  ///< HNSW's M
        std::uint32_t build_width = 160;  ///< HNSW's ef while building
        std::uint32_t search_width = 128;  ///< HNSW's ef while searching, at least: see width_of
        std::uint32_t scan_us = 100;  ///< what a scan may take before there is a graph, about
    };
    struct Stats {
        std::uint64_t entries = 0;
        std::uint64_t dead = 0;  ///< removed or replaced, still taking room
        std::uint64_t in_graph = 0;  ///< of the entries, those that the graph knows
        std::uint64_t bytes = 0;  ///< of memory, payloads included
        std::uint64_t exact = 0;  ///< searches that looked at every vector that the filter accepts
        std::uint64_t by_graph = 0;
        std::uint64_t fell_back =
            0;  ///< of those by graph, found too few and were done again exactly
    };

    explicit VectorIndex(const Options& options);
    VectorIndex(const VectorIndex&) = delete;
    VectorIndex& operator=(const VectorIndex&) = delete;
    ~VectorIndex();

    /// Adds, or replaces what has this id. `stamp` is the caller's: see `Graph` in a snapshot. Errors:
    /// kInvalidRequest (wrong length, not finite). A vector that is not of unit length is brought to it; zeros stay.
    [[nodiscard]] Result<void> add(std::uint64_t id, std::span<const float> vector,
                                   std::string payload = {}, std::uint64_t stamp = 0);
    /// False: it was not there. With `stamp`: only if it is the one that was added with it.
    bool remove(std::uint64_t id);
    bool remove(std::uint64_t id, std::uint64_t stamp);
    /// Notes a use at `unix_s`, for `oldest`. Adding is a use, too. Returns its stamp; 0: it is not there.
    std::uint64_t touch(std::uint64_t id, std::uint32_t unix_s);

    /// The `k` with the greatest cosines, best first, equal ones by id. Exact searches of equal contents have equal
    /// results on one machine. Errors as `add`.
    [[nodiscard]] Result<std::vector<Match>> search(std::span<const float> query, std::size_t k,
                                                    const Filter& filter = {}) const;
    /// The same, always exact.
    [[nodiscard]] Result<std::vector<Match>> search_exact(std::span<const float> query,
                                                          std::size_t k,
                                                          const Filter& filter = {}) const;

    [[nodiscard]] std::size_t size() const noexcept;
    [[nodiscard]] Stats stats() const;
    /// Up to `count` entries whose last use is the longest ago, as ids with stamps.
    struct Used {
        std::uint64_t id = 0;
        std::uint64_t stamp = 0;
    };
    [[nodiscard]] std::vector<Used> oldest(std::size_t count) const;

    /// Whether `maintain` has something to do.
    [[nodiscard]] bool wants_maintenance() const;
    /// Builds or extends the graph, and gets rid of the dead when they are more than a fifth. Takes long (see
    /// bench/results.md) and twice the memory for a while; searches, adds and removals go on beside it. One thread at a
    /// time. Gives up soon after `stop` is set. True: the graph is another one now.
    bool maintain(const std::atomic<bool>& stop);

    /// The graph as a file for `load_graph`: written beside `path` and moved there. `identity` names whose it is. Errors:
    /// kUnavailable. Nothing is written where there is no graph.
    [[nodiscard]] Result<void> save_graph(const std::string& path, std::string_view identity) const;
    /// For an index that has been filled with stamps in ascending order and has no graph yet: takes the graph over that
    /// `save_graph` wrote, as far as it still fits: elements whose stamp is gone are dead, entries with later stamps are
    /// not in it. Errors (kNotFound: no file; else what is wrong with it) leave the index as it was.
    [[nodiscard]] Result<void> load_graph(const std::string& path, std::string_view identity);

private:
    /// What a search works on: never changes but for rows that come and die.
    struct State {
        std::shared_ptr<Rows> rows;
        std::shared_ptr<const Graph> graph;  ///< null: none
        std::uint32_t covered = 0;  ///< rows before this one are in the graph, or dead
    };

    [[nodiscard]] State state() const;
    void publish(State next);
    [[nodiscard]] Result<std::vector<Match>> run(std::span<const float> vector, std::size_t k,
                                                 const Filter& filter, bool exact) const;
    [[nodiscard]] bool wants_rebuild(const State& now) const;
    [[nodiscard]] bool wants_graph(const State& now) const;
    bool rebuild(const State& now, const std::atomic<bool>& stop);
    bool extend(const State& now, const std::atomic<bool>& stop);

    const Options options_;
    mutable std::mutex state_mutex_;  // held to copy or replace state_
    State state_;
    std::mutex writer_mutex_;  // of those who change rows: one at a time
    mutable std::atomic<std::uint64_t> exact_{0};
    mutable std::atomic<std::uint64_t> by_graph_{0};
    mutable std::atomic<std::uint64_t> fell_back_{0};
};

}  // namespace leeway::store::vectors
