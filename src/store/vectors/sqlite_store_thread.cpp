// What runs on thread "vectors": all that touches the file.

#include "store/sqlite/cache_file.hpp"
#include "store/vectors/encoding.hpp"
#include "store/vectors/sqlite_store.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <set>
#include <system_error>
#include <utility>

namespace leeway::store::vectors {
namespace {

constexpr std::size_t kBatchRows = 256;
constexpr std::uint64_t kBatchBytes = 8 << 20;
constexpr Duration kGather = std::chrono::milliseconds(40);
constexpr Duration kBoundEvery = std::chrono::seconds(1);

std::string graph_folder(const std::string& path) { return path + ".graphs"; }

}  // namespace

// ---------------------------------------------------------------- the file

Result<void> SqliteVectorStore::start() {
    Result<void> opened;
    if (!options_.path.empty()) opened = open_or_set_aside();
    thread_ = std::thread([this] { run(); });
    return opened;
}

Result<void> SqliteVectorStore::open_file() {
    auto file = VectorFile::open(options_.path, options_.precision);
    if (!file) return fail(std::move(file.error()));
    const auto count = (*file)->count();
    if (!count) return fail(count.error());
    const auto stamp = (*file)->next_stamp();
    if (!stamp) return fail(stamp.error());
    const auto number = (*file)->next_partition();
    if (!number) return fail(number.error());
    auto left_behind = (*file)->left_behind();
    if (!left_behind) return fail(std::move(left_behind.error()));
    std::vector<StatePtr> states;
    auto read = (*file)->each_partition([&](std::int64_t of, const Partition& partition) {
        auto state = std::make_shared<State>();
        state->partition = partition;
        state->number = of;
        states.push_back(std::move(state));
    });
    if (!read) return read;
    {
        const std::scoped_lock lock(mutex_);
        next_stamp_ = std::max(next_stamp_, *stamp);
        next_number_ = std::max(next_number_, *number);
        for (StatePtr& state : states) {
            by_number_[state->number] = state;
            const Partition& partition = state->partition;
            states_[name_of(partition)] = std::move(state);
        }
    }
    left_behind_ = std::move(*left_behind);
    entries_ = *count;
    identity_ = (*file)->identity();
    file_ = std::move(*file);
    on_disk_ = true;
    sweep_graphs();
    return {};
}

Result<void> SqliteVectorStore::open_or_set_aside() {
    auto opened = open_file();
    if (opened || !sqlite::is_of_the_file(opened.error())) return opened;
    if (!sqlite::set_aside(options_.path)) return opened;
    spdlog::warn(
        "the store of vectors starts empty: its file was moved to {}.set-aside, because {}",
        options_.path, opened.error().message);
    return open_file();
}

/// Makes the folder of graphs, and deletes in it what belongs to no partition.
void SqliteVectorStore::sweep_graphs() {
    namespace fs = std::filesystem;
    std::error_code error;
    const std::string folder = graph_folder(options_.path);
    if (fs::create_directory(folder, error)) {
        fs::permissions(folder, fs::perms::owner_all, error);
    }
    std::set<std::string> wanted;
    {
        const std::scoped_lock lock(mutex_);
        for (const auto& [number, state] : by_number_) {
            wanted.insert(graph_path(number));
        }
    }
    for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
        if (!wanted.contains(at->path().string())) {
            std::error_code ignored;
            fs::remove(at->path(), ignored);
        }
    }
}

std::string SqliteVectorStore::graph_path(std::int64_t number) const {
    return fmt::format("{}/{}.graph", graph_folder(options_.path), number);
}

std::shared_ptr<LoadedPartition> SqliteVectorStore::make_loaded(const State& state) const {
    VectorIndex::Options options;
    options.dimension = state.partition.dimension;
    options.precision = options_.precision;
    auto loaded = std::make_shared<LoadedPartition>(options);
    if (on_disk_) {
        loaded->graph_path = graph_path(state.number);
        loaded->graph_identity =
            fmt::format("{} {} {}", identity_.load(), state.number, name_of(state.partition));
    }
    return loaded;
}

void SqliteVectorStore::note(const Result<void>& done) {
    if (done) return;
    if (!failing_.exchange(true)) {
        spdlog::warn("the file of vectors fails, new ones stay in memory: {}", done.error().text());
    }
    if (file_ && sqlite::is_of_the_file(done.error()) && done.error().reason != "constraint") {
        lose_file();
    }
}

void SqliteVectorStore::lose_file() {
    file_.reset();
    on_disk_ = false;
    entries_ = 0;
    left_behind_.clear();
    more_to_evict_ = false;
    {
        // What was on disk only is gone; the rest goes on in memory.
        const std::scoped_lock lock(mutex_);
        for (const auto& [name, state] : states_) {
            if (!state->loaded && !state->is_loading) state->loaded = make_loaded(*state);
        }
    }
    if (resets_left_-- <= 0 || !sqlite::set_aside(options_.path)) {
        spdlog::warn("vectors are kept in memory only from now on");
        return;
    }
    if (const auto opened = open_file(); !opened) {
        spdlog::warn("vectors are kept in memory only from now on: {}", opened.error().text());
        return;
    }
    spdlog::warn("the file of vectors was damaged and moved to {}.set-aside; a new one is in use",
                 options_.path);
}

// ---------------------------------------------------------------- the thread

void SqliteVectorStore::run() noexcept {
    pthread_setname_np(pthread_self(), "vectors");
    tend_at_ = monotonic_now();  // what expired while nothing ran
    for (;;) {
        Round round;
        bool last = false;
        {
            std::unique_lock lock(mutex_);
            wait(lock);
            take(round);
            last = stop_ && round.all_taken;
        }
        serve(round);
        {
            const std::scoped_lock lock(mutex_);
            if (round.all_taken && left_behind_.empty()) flush_done_ = round.flush;
        }
        flushed_.notify_all();
        if (last) return;
    }
}

void SqliteVectorStore::wait(std::unique_lock<std::mutex>& lock) {
    const auto urgent = [&] {
        return stop_ || !to_load_.empty() || flush_asked_ > flush_done_ ||
               ops_.size() >= kBatchRows || op_bytes_ >= kBatchBytes;
    };
    // While the file fails it is not tried without end.
    if (failing_ && !stop_ && to_load_.empty()) {
        napping_ = true;
        changed_.wait_for(lock, kGather, [&] { return stop_ || !to_load_.empty(); });
        napping_ = false;
    }
    if ((more_to_evict_ || !left_behind_.empty()) && !failing_) return;
    if (!urgent() && ops_.empty()) {
        asleep_ = true;
        changed_.wait_until(lock, tend_at_, [&] { return urgent() || !ops_.empty(); });
        asleep_ = false;
    }
    if (!urgent() && !ops_.empty()) {
        napping_ = true;
        changed_.wait_for(lock, kGather, urgent);
        napping_ = false;
    }
}

void SqliteVectorStore::take(Round& round) {
    round.flush = flush_asked_;
    std::uint64_t bytes = 0;
    while (!ops_.empty() && round.ops.size() < kBatchRows && bytes < kBatchBytes) {
        Op op = std::move(ops_.front());
        ops_.pop_front();
        bytes += op_bytes(op);
        // What was cleared since is not written any more: its partition goes next.
        if (op.what == Change::kClear || !op.state->is_cleared) round.ops.push_back(std::move(op));
    }
    op_bytes_ -= std::min(op_bytes_, bytes);
    round.all_taken = ops_.empty();
    if (!stop_ && !to_load_.empty()) {
        round.load = std::move(to_load_.front());
        to_load_.pop_front();
    }
}

void SqliteVectorStore::serve(Round& round) {
    if (!round.ops.empty()) {
        const auto done = write(round.ops);
        note(done);
        if (!done && file_ && requeue(round.ops)) round.all_taken = false;
        std::set<StatePtr> grown;
        for (const Op& op : round.ops) {
            if (op.what == Change::kPut && op.state) grown.insert(op.state);
            if (op.what == Change::kRemove && op.state) shrunk_.push_back(op.state->number);
        }
        for (const StatePtr& state : grown) bound_partition(state);
    }
    if (round.load) load(round.load);
    note(erase_left_behind());
    note(evict());
    const TimePoint now = monotonic_now();
    if (round.load || now >= bound_at_) {
        bound_at_ = now + kBoundEvery;
        bound_memory();
    }
    if (now >= tend_at_) {
        tend_at_ = now + options_.tend_every;
        note(tend());
    }
    note(drop_empty());
}

// ---------------------------------------------------------------- writing

bool SqliteVectorStore::requeue(std::vector<Op>& ops) {
    constexpr std::size_t kMostRemovals = 65536;
    const std::scoped_lock lock(mutex_);
    bool any = false;
    for (std::size_t i = ops.size(); i-- > 0;) {
        Op& op = ops[i];
        const bool again = op.what == Change::kClear ||
                           (op.what == Change::kRemove && ops_.size() < kMostRemovals);
        if (!again) continue;
        op_bytes_ += op_bytes(op);
        ops_.push_front(std::move(op));
        any = true;
    }
    return any;
}

Result<void> SqliteVectorStore::write(const std::vector<Op>& ops) {
    const auto puts = static_cast<std::uint64_t>(std::count_if(
        ops.begin(), ops.end(), [](const Op& op) { return op.what == Change::kPut; }));
    if (!file_) {
        if (!options_.path.empty()) dropped_ += puts;
        for (const Op& op : ops) {
            if (op.what != Change::kPut || op.entry.expires_unix_s == 0) continue;
            expiring_.insert({op.entry.expires_unix_s, {op.state->number, op.entry.id, op.stamp}});
        }
        return {};
    }
    Written written;
    auto done = write(ops, written);
    if (!done) {
        dropped_ += puts;
        return done;
    }
    entries_ += written.added;
    less_entries(written.removed);
    written_ += written.added;
    for (const std::int64_t number : written.cleared) {
        left_behind_.push_back(number);
        (void)std::remove(graph_path(number).c_str());
    }
    if (failing_.exchange(false)) spdlog::info("the file of vectors takes new ones again");
    return {};
}

Result<void> SqliteVectorStore::write(const std::vector<Op>& ops, Written& written) {
    auto transaction = file_->begin();
    if (!transaction) return fail(std::move(transaction.error()));
    for (const Op& op : ops) {
        if (auto done = apply(op, written); !done) return done;
    }
    return transaction->commit();
}

Result<void> SqliteVectorStore::apply(const Op& op, Written& written) {
    const std::int64_t number = op.state->number;
    if (op.what == Change::kClear) {
        written.cleared.push_back(number);
        return file_->forget_partition(number);
    }
    if (op.what == Change::kRemove) {
        const auto erased = file_->erase(number, op.entry.id);
        if (!erased) return fail(erased.error());
        written.removed += *erased ? 1 : 0;
        return {};
    }
    const Partition& partition = op.state->partition;
    auto vector = to_row(*op.entry.vector, partition.dimension);
    if (!vector) {
        ++refused_;
        return {};
    }
    vector->resize(partition.dimension);
    if (auto done = file_->add_partition(number, partition); !done) return done;
    const auto replaced = file_->write({.partition = number,
                                        .id = op.entry.id,
                                        .stamp = op.stamp,
                                        .used_unix_s = static_cast<std::uint32_t>(unix_now_s()),
                                        .expires_unix_s = op.entry.expires_unix_s,
                                        .vector = std::move(*vector),
                                        .payload = op.entry.payload});
    if (!replaced) return fail(replaced.error());
    ++written.added;
    written.removed += *replaced ? 1 : 0;
    return {};
}

void SqliteVectorStore::less_entries(std::uint64_t count) noexcept {
    entries_ -= std::min<std::uint64_t>(count, entries_);
}

// ---------------------------------------------------------------- loading

void SqliteVectorStore::load(const StatePtr& state) {
    auto loaded = make_loaded(*state);
    std::vector<VectorFile::Erased> damaged;
    Result<void> done;
    const auto on_row = [&](VectorFile::Row&& row) {
        if (loaded->index.add(row.id, row.vector, std::move(row.payload), row.stamp)) {
            (void)loaded->index.touch(row.id, row.used_unix_s);
        } else {
            damaged.push_back({row.partition, row.id, row.stamp});
        }
    };
    if (file_) {
        done = file_->load(state->number, state->partition.dimension, on_row,
                           [&](const VectorFile::Erased& one) { damaged.push_back(one); });
    }
    if (!done) {
        note(done);
        std::vector<Waiting> waiting;
        {
            const std::scoped_lock lock(mutex_);
            state->is_loading = false;
            waiting = std::exchange(state->waiting, {});
            if (file_ == nullptr || !on_disk_) state->loaded = make_loaded(*state);
        }
        answer(waiting, nullptr, &done.error());
        return;
    }
    loads_ += 1;
    for (const VectorFile::Erased& one : damaged) {
        ++damaged_;
        if (const auto erased = file_->erase_stamp(one.stamp); !erased) {
            note(fail(erased.error()));
            break;
        }
        less_entries(1);
    }
    if (!loaded->graph_path.empty()) read_graph(*loaded);
    std::vector<Waiting> waiting;
    {
        const std::scoped_lock lock(mutex_);
        // What came while it was read, and what is still to be written.
        for (const Op& op : ops_) {
            if (op.state != state) continue;
            if (op.what == Change::kPut) {
                (void)loaded->index.add(op.entry.id, *op.entry.vector, op.entry.payload, op.stamp);
            } else if (op.what == Change::kRemove) {
                (void)loaded->index.remove(op.entry.id);
            }
        }
        state->is_loading = false;
        if (state->is_cleared) {
            loaded = nullptr;
        } else {
            state->loaded = loaded;
        }
        waiting = std::exchange(state->waiting, {});
    }
    answer(waiting, loaded, nullptr);
    if (!loaded) return;
    bound_partition(state);
    builder_.consider(loaded);
}

void SqliteVectorStore::read_graph(LoadedPartition& partition) const {
    const auto read = partition.index.load_graph(partition.graph_path, partition.graph_identity);
    if (read) {
        partition.graph_saved = partition.index.stats().in_graph;
    } else if (read.error().code != ErrorCode::kNotFound) {
        spdlog::warn("the graph of vectors in {} is built anew: {}", partition.graph_path,
                     read.error().message);
        (void)std::remove(partition.graph_path.c_str());
    }
}

void SqliteVectorStore::answer(const std::vector<Waiting>& waiting,
                               const std::shared_ptr<LoadedPartition>& loaded, const Error* error) {
    for (const Waiting& one : waiting) {
        searches_ += 1;
        if (error != nullptr) {
            one.done(fail(*error));
        } else if (!loaded) {
            one.done(std::vector<Match>{});
        } else {
            one.done(loaded->index.search(*one.query.vector, one.query.k, one.query.filter));
        }
    }
}

}  // namespace leeway::store::vectors
