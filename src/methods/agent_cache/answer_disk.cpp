#include "methods/agent_cache/answer_disk.hpp"

#include "methods/agent_cache/answer_row.hpp"
#include "store/sqlite/cache_file.hpp"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace leeway::agent_cache {
namespace {

using store::sqlite::is_of_the_file;
using store::sqlite::set_aside;

constexpr std::uint64_t kMostQueuedBytes = 64 << 20;
constexpr std::size_t kMostQueuedLoads = 4096;
constexpr std::size_t kBatchRows = 256;
constexpr std::uint64_t kBatchBytes = 8 << 20;
constexpr int kEraseRows = 256;  // per transaction: a load waits no longer than that takes
constexpr std::size_t kMostUses = 65536;  // of loads, between two tends
constexpr std::uint64_t kMostRowBytes = 900'000'000;  // SQLite refuses 10⁹
constexpr Duration kGather = std::chrono::milliseconds(40);
constexpr Duration kTendEvery = std::chrono::seconds(30);

std::int64_t unix_now_ms() noexcept { return unix_now_us() / 1000; }

}  // namespace

Result<std::unique_ptr<AnswerDisk>> AnswerDisk::open(const std::string& path,
                                                     std::uint64_t most_bytes,
                                                     MemoryCache& memory) {
    std::unique_ptr<AnswerDisk> disk(new AnswerDisk(path, most_bytes, memory));
    auto opened = disk->open_or_set_aside();
    if (!opened) return fail(std::move(opened.error()));
    disk->thread_ = std::thread([raw = disk.get()] { raw->run(); });
    return disk;
}

AnswerDisk::~AnswerDisk() {
    {
        const std::scoped_lock lock(mutex_);
        stop_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

Result<void> AnswerDisk::open_file() {
    auto seal = load_seal_key(path_ + ".seal");
    if (!seal) return fail(std::move(seal.error()));
    auto file = AnswerFile::open(path_);
    if (!file) return fail(std::move(file.error()));
    index_.clear();
    std::uint64_t bytes = 0;
    const std::int64_t now = unix_now_ms();
    Result<void> done;
    if (seal->fresh) done = (*file)->clear();
    if (done) {
        done = (*file)->each([&](const Sha256& key, std::int64_t expires, std::uint64_t size) {
            bytes += size;
            if (expires > now) index_.set(key, expires);
        });
    }
    if (!done) {
        index_.clear();
        return done;
    }
    seal_ = std::move(seal->secret);
    file_ = std::move(*file);
    bytes_ = bytes;
    on_ = true;
    more_to_erase_ = bytes > most_bytes_;
    return {};
}

Result<void> AnswerDisk::open_or_set_aside() {
    auto opened = open_file();
    // kConfig without the word of a newer file: the seal key, which another file would not mend.
    const bool newer = !opened && opened.error().reason == "newer_state";
    if (opened || !is_of_the_file(opened.error()) ||
        (opened.error().code == ErrorCode::kConfig && !newer)) {
        return opened;
    }
    if (!set_aside(path_)) return opened;
    spdlog::warn("the cache starts empty: its file was moved to {}.set-aside, because {}", path_,
                 opened.error().message);
    return open_file();
}

// ---------------------------------------------------------------- any thread

void AnswerDisk::wake(bool urgent) {
    // Nobody to wake is the usual case under load, and then no system call is made.
    if (asleep_ || (urgent && napping_)) {
        asleep_ = false;
        napping_ = false;
        changed_.notify_one();
    }
}

void AnswerDisk::load(const Sha256& key, Deliver deliver) {
    {
        const std::scoped_lock lock(mutex_);
        if (on_ && loads_.size() < kMostQueuedLoads) {
            loads_.push_back({key, std::move(deliver)});
            wake(true);
            return;
        }
    }
    misses_.fetch_add(1, std::memory_order_relaxed);
    deliver(nullptr);
}

void AnswerDisk::put(const Sha256& key, AnswerPtr answer) {
    const std::uint64_t bytes = MemoryCache::cost(*answer);
    {
        const std::scoped_lock lock(mutex_);
        if (on_ && write_bytes_ + bytes <= kMostQueuedBytes) {
            write_bytes_ += bytes;
            writes_.push_back({key, std::move(answer)});
            wake(writes_.size() >= kBatchRows || write_bytes_ >= kBatchBytes);
            return;
        }
    }
    dropped_.fetch_add(1, std::memory_order_relaxed);
    index_.erase(key);  // what is on disk under this key is older than what is in memory
}

void AnswerDisk::drop_writes_of(const Order& what) {
    const auto meant = [&](const Write& write) {
        switch (what.what) {
            case Erase::kKey: return write.key == what.key;
            case Erase::kTenant: return write.answer->tenant == what.tenant;
            case Erase::kAll: return true;
        }
        return false;
    };
    const auto gone = std::remove_if(writes_.begin(), writes_.end(), meant);
    writes_.erase(gone, writes_.end());
    write_bytes_ = 0;
    for (const Write& write : writes_) write_bytes_ += MemoryCache::cost(*write.answer);
}

void AnswerDisk::order(Order what) {
    const std::scoped_lock lock(mutex_);
    ++generation_;
    drop_writes_of(what);
    orders_.push_back(what);
    wake(true);
}

void AnswerDisk::erase(const Sha256& key) {
    order({Erase::kKey, key, 0});
    index_.erase(key);
}

void AnswerDisk::erase_tenant(std::uint64_t tenant) { order({Erase::kTenant, {}, tenant}); }

void AnswerDisk::clear() {
    order({Erase::kAll, {}, 0});
    index_.clear();
}

Result<void> AnswerDisk::flush(Duration timeout) {
    std::unique_lock lock(mutex_);
    const std::uint64_t wanted = ++flush_asked_;
    wake(true);
    if (!flushed_.wait_for(lock, timeout, [&] { return flush_done_ >= wanted; })) {
        return fail(ErrorCode::kUnavailable, "the cache's file is not up to date yet",
                    "the disk is slow; ask again later");
    }
    return {};
}

AnswerDisk::Stats AnswerDisk::stats() const {
    Stats stats;
    stats.entries = index_.size();
    stats.bytes = bytes_;
    stats.hits = hits_;
    stats.misses = misses_;
    stats.written = written_;
    stats.evicted = evicted_;
    stats.expired = expired_;
    stats.dropped = dropped_;
    stats.damaged = damaged_;
    stats.on = on_;
    stats.failing = failing_;
    return stats;
}

// ---------------------------------------------------------------- cache thread

void AnswerDisk::run() noexcept {
    pthread_setname_np(pthread_self(), "cache");
    tend_at_ = monotonic_now() + kTendEvery;
    Round round;
    for (;;) {
        bool last = false;
        bool all_taken = false;
        {
            std::unique_lock lock(mutex_);
            wait(lock);
            take(round);
            all_taken = writes_.empty();
            last = stop_ && all_taken;
        }
        serve(round);
        {
            const std::scoped_lock lock(mutex_);
            if (all_taken) flush_done_ = round.flush;
        }
        flushed_.notify_all();
        if (last) return;
    }
}

void AnswerDisk::wait(std::unique_lock<std::mutex>& lock) {
    const auto urgent = [&] {
        return stop_ || !orders_.empty() || !loads_.empty() || flush_asked_ > flush_done_ ||
               writes_.size() >= kBatchRows || write_bytes_ >= kBatchBytes;
    };
    if (more_to_erase_) return;
    if (!urgent() && writes_.empty()) {
        asleep_ = true;
        changed_.wait_until(lock, tend_at_, [&] { return urgent() || !writes_.empty(); });
        asleep_ = false;
    }
    if (!urgent() && !writes_.empty()) {
        napping_ = true;
        changed_.wait_for(lock, kGather, urgent);
        napping_ = false;
    }
}

void AnswerDisk::take(Round& round) {
    round.orders = std::exchange(orders_, {});
    round.loads = std::exchange(loads_, {});
    round.flush = flush_asked_;
    round.generation = generation_;
    round.writes.clear();
    std::uint64_t bytes = 0;
    while (!writes_.empty() && round.writes.size() < kBatchRows && bytes < kBatchBytes) {
        bytes += MemoryCache::cost(*writes_.front().answer);
        round.writes.push_back(std::move(writes_.front()));
        writes_.pop_front();
    }
    write_bytes_ -= std::min(write_bytes_, bytes);
}

void AnswerDisk::serve(Round& round) {
    // Orders first: no load may find what was to be forgotten before it was asked for.
    for (const Order& one : round.orders) note(obey(one));
    for (const Load& load : round.loads) serve_load(load, round.generation);
    round.loads.clear();
    if (!round.writes.empty()) {
        const auto done = write(round.writes);
        if (!done) dropped_ += round.writes.size();
        note(done);
        round.writes.clear();
    }
    note(evict());
    if (const TimePoint now = monotonic_now(); now >= tend_at_) {
        tend_at_ = now + kTendEvery;
        note(tend(unix_now_ms()));
    }
}

void AnswerDisk::serve_load(const Load& load, std::uint64_t generation) {
    bool stopping = false;
    {
        const std::scoped_lock lock(mutex_);
        stopping = stop_;
    }
    AnswerPtr answer = stopping ? nullptr : read(load.key);
    (answer ? hits_ : misses_) += 1;
    if (answer) {
        // Under the mutex: an order that comes now finds it in memory and erases it there.
        const std::scoped_lock lock(mutex_);
        if (generation_ == generation) memory_.put(load.key, answer);
        if (uses_.size() < kMostUses) uses_.push_back({load.key, unix_now_ms()});
    }
    load.deliver(std::move(answer));
}

AnswerPtr AnswerDisk::read(const Sha256& key) {
    if (!file_) return nullptr;
    const auto bytes = file_->read(key);
    if (!bytes) {
        note(fail(bytes.error()));
        return nullptr;
    }
    AnswerPtr answer;
    if (!bytes->empty()) {
        answer = decode_row(key, *bytes, seal_);
        if (answer && answer->expires_unix_ms > unix_now_ms()) return answer;
        if (!answer) ++damaged_;
        note(file_->erase(
            key, [this](const Sha256&, std::int64_t, std::uint64_t size) { forget_bytes(size); }));
    }
    index_.erase(key);
    return nullptr;
}

void AnswerDisk::forget_bytes(std::uint64_t size) noexcept {
    bytes_ -= std::min<std::uint64_t>(size, bytes_);
}

Result<void> AnswerDisk::obey(const Order& what) {
    if (!file_) return {};
    const auto erased = [this](const Sha256& key, std::int64_t, std::uint64_t size) {
        index_.erase(key);
        forget_bytes(size);
    };
    switch (what.what) {
        case Erase::kKey: index_.erase(what.key); return file_->erase(what.key, erased);
        case Erase::kTenant: return file_->erase_tenant(what.tenant, erased);
        case Erase::kAll: {
            auto done = file_->clear();
            index_.clear();
            if (done) bytes_ = 0;
            return done;
        }
    }
    return {};
}

Result<void> AnswerDisk::write(const std::vector<Write>& writes) {
    if (!file_) return fail(ErrorCode::kUnavailable, "the cache's file is not in use");
    auto transaction = file_->begin();
    if (!transaction) return fail(std::move(transaction.error()));
    const std::int64_t now = unix_now_ms();
    std::uint64_t added = 0;
    std::uint64_t replaced = 0;
    const auto on_replaced = [&](const Sha256&, std::int64_t, std::uint64_t size) {
        replaced += size;
    };
    for (const Write& one : writes) {
        const std::string bytes = encode_row(one.key, *one.answer, seal_);
        if (bytes.size() > kMostRowBytes) {
            ++dropped_;
            continue;
        }
        const AnswerFile::Row row{.key = one.key,
                                  .bytes = bytes,
                                  .tenant = one.answer->tenant,
                                  .expires_unix_ms = one.answer->expires_unix_ms,
                                  .used_unix_ms = now};
        const auto size = file_->write(row, on_replaced);
        if (!size) return fail(size.error());
        added += *size;
    }
    if (auto done = transaction->commit(); !done) return done;
    bytes_ += added;
    forget_bytes(replaced);
    written_ += writes.size();
    for (const Write& one : writes) index_.set(one.key, one.answer->expires_unix_ms);
    if (failing_.exchange(false)) spdlog::info("the cache's file takes answers again");
    return {};
}

Result<void> AnswerDisk::evict() {
    // Down to 95 %, a piece each round, so that loads get their turn.
    const std::uint64_t goal = most_bytes_ - most_bytes_ / 20;
    if (!file_ || (bytes_ <= most_bytes_ && (!more_to_erase_ || bytes_ <= goal))) {
        more_to_erase_ = false;
        return {};
    }
    more_to_erase_ = true;
    std::uint64_t count = 0;
    const double share = 1.0 - static_cast<double>(goal) / static_cast<double>(bytes_.load());
    const double rows = share * static_cast<double>(index_.size());
    const int limit = 1 + static_cast<int>(std::min<double>(rows, kEraseRows));
    auto done =
        file_->erase_oldest(limit, [&](const Sha256& key, std::int64_t, std::uint64_t size) {
            ++count;
            index_.erase(key);
            forget_bytes(size);
        });
    evicted_ += count;
    if (count == 0) {
        if (done) bytes_ = 0;  // nothing is there: the sum was of a damaged file
        more_to_erase_ = false;
    }
    if (done) done = file_->shrink();
    return done;
}

Result<void> AnswerDisk::tend(std::int64_t now_ms) {
    memory_.take_uses(uses_);
    const std::vector<MemoryCache::Use> uses = std::exchange(uses_, {});
    if (!file_) return {};
    if (!uses.empty()) {
        auto transaction = file_->begin();
        if (!transaction) return fail(std::move(transaction.error()));
        for (const MemoryCache::Use& use : uses) {
            if (auto done = file_->note_use(use.key, use.unix_ms); !done) return done;
        }
        if (auto done = transaction->commit(); !done) return done;
    }
    std::uint64_t count = 0;
    const auto erased = [&](const Sha256& key, std::int64_t, std::uint64_t size) {
        ++count;
        index_.erase(key);
        forget_bytes(size);
    };
    auto done = file_->erase_expired(now_ms, 4 * kEraseRows, erased);
    expired_ += count;
    if (count == 4 * kEraseRows) tend_at_ = monotonic_now();  // more of them: next round
    if (done && count > 0) done = file_->shrink();
    return done;
}

void AnswerDisk::note(const Result<void>& done) {
    if (done) return;
    const bool broken =
        file_ && is_of_the_file(done.error()) && done.error().reason != "constraint";
    if (!failing_.exchange(true)) {
        spdlog::warn("the cache's file fails, answers stay in memory: {}", done.error().text());
    }
    if (!broken) return;
    file_.reset();
    index_.clear();
    bytes_ = 0;
    on_ = false;
    more_to_erase_ = false;
    if (resets_left_-- <= 0 || !set_aside(path_)) {
        spdlog::warn("the cache goes on in memory only: {}", done.error().message);
        return;
    }
    if (const auto opened = open_file(); !opened) {
        spdlog::warn("the cache goes on in memory only: {}", opened.error().text());
        return;
    }
    spdlog::warn("the cache's file was damaged and moved to {}.set-aside; a new one is in use",
                 path_);
}

}  // namespace leeway::agent_cache
