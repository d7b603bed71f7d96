#include "ledger/ledger.hpp"

#include "base/strings.hpp"
#include "ledger/codec.hpp"
#include "ledger/frame.hpp"
#include "ledger/schema.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <set>

namespace leeway::ledger {
namespace {

constexpr std::size_t kMaxBatch = 4096;
constexpr Duration kFirstBackOff = std::chrono::milliseconds(50);
constexpr Duration kLastBackOff = std::chrono::seconds(2);
constexpr Duration kIdleAfter = std::chrono::seconds(2);
constexpr Duration kUnhealthyPoll = std::chrono::milliseconds(200);
// An orphan's ring is made only when there is a spill file without one; nothing is pushed into it.
constexpr std::uint64_t kOrphanRing = 4096;

/// The N of "worker-N.ring" and "worker-N.spill".
std::optional<unsigned> worker_number(std::string_view name) {
    constexpr std::string_view kPrefix = "worker-";
    if (!name.starts_with(kPrefix)) return std::nullopt;
    name.remove_prefix(kPrefix.size());
    const std::size_t dot = name.find('.');
    if (dot == std::string_view::npos) return std::nullopt;
    if (name.substr(dot) != ".ring" && name.substr(dot) != ".spill") return std::nullopt;
    const auto number = parse_u64(name.substr(0, dot));
    if (!number || *number > 100'000) return std::nullopt;
    return static_cast<unsigned>(*number);
}

/// The name that this state folder has in a database which others write as well; made on first use.
Result<std::string> gateway_id(const std::string& state_dir) {
    const std::string path = state_dir + "/gateway_id";
    const auto unusable = [&](const char* doing) {
        return fail(ErrorCode::kConfig,
                    fmt::format("cannot {} {}: {}", doing, path, std::strerror(errno)),
                    "check the state folder and its permissions");
    };
    std::string id(26, '\0');
    const int old = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (old >= 0) {
        const ssize_t n = ::read(old, id.data(), id.size());
        ::close(old);
        if (n == static_cast<ssize_t>(id.size())) return id;
    }
    id = RequestId::make(unix_now_us() / 1000).text();
    const std::string fresh = path + ".tmp";
    const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return unusable("write");
    const bool written =
        ::write(fd, id.data(), id.size()) == static_cast<ssize_t>(id.size()) && ::fsync(fd) == 0;
    ::close(fd);
    if (!written || ::rename(fresh.c_str(), path.c_str()) != 0) return unusable("write");
    return id;
}

Result<void> make_folder(const std::string& path) {
    std::error_code code;
    const bool made = std::filesystem::create_directories(path, code);
    if (made) {
        // Rows name keys and models.
        std::filesystem::permissions(path, std::filesystem::perms::owner_all, code);
    }
    if (!std::filesystem::is_directory(path, code)) {
        return fail(ErrorCode::kConfig, fmt::format("cannot make the folder {}", path),
                    "check the state folder and its permissions");
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<Ledger>> Ledger::open(const LedgerOptions& options) {
    for (const std::string& folder : {options.state_dir, ledger_folder(options.state_dir)}) {
        if (auto made = make_folder(folder); !made) return fail(std::move(made.error()));
    }
    auto lock = StateLock::acquire(options.state_dir, options.lock_patience);
    if (!lock) return fail(std::move(lock.error()));
    std::unique_ptr<Ledger> ledger(new Ledger(options, std::move(*lock)));
    ledger->batch_limit_ = kMaxBatch;
    if (!options.database.empty()) {
        auto gateway = gateway_id(options.state_dir);
        if (!gateway) return fail(std::move(gateway.error()));
        ledger->gateway_ = std::move(*gateway);
    }
    // The database first: a folder of a newer version must not be touched at all.
    if (auto opened = ledger->open_writer(); !opened) {
        if (opened.error().reason != "unreachable") return fail(std::move(opened.error()));
        ledger->stats_.failing = true;
        ledger->stats_.last_error = opened.error().text();
    }
    if (auto done = ledger->open_journals(); !done) return fail(std::move(done.error()));
    if (options.own_thread) ledger->thread_ = std::thread([raw = ledger.get()] { raw->run(); });
    return ledger;
}

Result<void> Ledger::open_journals() {
    const std::string folder = ledger_folder(options_.state_dir);
    std::set<unsigned> left;
    std::error_code code;
    for (const auto& entry : std::filesystem::directory_iterator(folder, code)) {
        const std::string name = entry.path().filename().string();
        if (name.ends_with(".ring.tmp")) std::filesystem::remove(entry.path(), code);
        if (const auto number = worker_number(name); number && *number >= options_.workers) {
            left.insert(*number);
        }
    }
    const auto open_into = [&](std::vector<std::unique_ptr<Journal>>& list, unsigned number,
                               std::uint64_t ring_bytes) -> Result<void> {
        auto journal = Journal::open(folder, number, ring_bytes, wake_);
        if (!journal) return fail(std::move(journal.error()));
        if (!(*journal)->note().empty()) notes_.push_back((*journal)->note());
        list.push_back(std::move(*journal));
        return {};
    };
    for (unsigned number = 0; number < options_.workers; ++number) {
        auto done = open_into(journals_, number, options_.ring_bytes);
        if (!done) return done;
    }
    for (const unsigned number : left) {
        auto done = open_into(orphans_, number, kOrphanRing);
        if (!done) return done;
    }
    return {};
}

Ledger::~Ledger() {
    if (!thread_.joinable()) return;
    stop_.store(true, std::memory_order_seq_cst);
    wake_.urge();
    thread_.join();
}

void Ledger::run() noexcept {
    ::pthread_setname_np(::pthread_self(), "ledger");
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);  // signals are for the main thread
    while (const auto pause = turn()) rest(*pause);
}

std::optional<Ledger::Pause> Ledger::turn() noexcept {
    using enum Pause::Until;
    const bool stopping = stop_.load(std::memory_order_seq_cst);
    if (write_pending()) return Pause{};
    const bool failing = back_off_ > Duration::zero();
    if (stopping) return std::nullopt;
    bool unhealthy = false;
    for (const auto& journal : journals_) {
        if (failing || !journal->healthy()) journal->check_room();
        unhealthy |= !journal->healthy();
    }
    if (failing) return Pause{kRetry, back_off_};
    // Here all that earlier processes left is written: a record of theirs that is in the database
    // already must be found there, not be counted again because its row was taken away.
    if (!recovered_) {
        if (auto done = recover_intents(); !done) {
            retry_later(done.error());
            return Pause{kUrged, back_off_};
        }
    }
    const bool expired = expire_some();
    if (has_unread()) return Pause{kUrged, options_.batch_time};
    if (expired) return Pause{};
    return Pause{kWork, unhealthy ? kUnhealthyPoll : Duration::zero()};
}

void Ledger::rest(Pause pause) noexcept {
    switch (pause.until) {
        case Pause::Until::kNow: return;
        case Pause::Until::kUrged: return wake_.nap(pause.time);
        case Pause::Until::kRetry: {
            // Appends to the spill file and flushes urge, but must not hammer a sick database.
            const TimePoint retry = monotonic_now() + pause.time;
            while (!stop_.load(std::memory_order_seq_cst) && monotonic_now() < retry) {
                wake_.nap(retry - monotonic_now());
            }
            return;
        }
        case Pause::Until::kWork: break;
    }
    wait_for_work(pause.time);
    bool wanted_now = stop_.load(std::memory_order_seq_cst);
    {
        const std::lock_guard lock(mutex_);
        wanted_now |= flush_asked_ != flush_done_;
    }
    if (!wanted_now) wake_.nap(options_.batch_time);
}

/// Sleeps until there is work, or `most` (not 0) has passed. After a while without any it gives memory back and
/// sleeps on.
void Ledger::wait_for_work(Duration most) noexcept {
    const auto has_work = [this] {
        return stop_.load() || has_unread();
    };
    if (most > Duration::zero()) {
        wake_.sleep(most, has_work);
        return;
    }
    if (!memory_given_back_) {
        const TimePoint start = monotonic_now();
        wake_.sleep(kIdleAfter, has_work);
        if (has_work() || monotonic_now() - start < kIdleAfter) return;
        for (const auto& journal : journals_) journal->trim();
        if (writer_) writer_->database().release_memory();
        memory_given_back_ = true;
    }
    wake_.sleep(retention_.patience(), has_work);
}

Result<void> Ledger::open_writer() {
    if (writer_) return {};
    auto writer = RowWriter::open(database_target(options_.state_dir, options_.database),
                                  options_.durability, gateway_);
    if (!writer) return fail(std::move(writer.error()));
    writer_ = std::move(*writer);
    return {};
}

/// What earlier processes left open gets its row: in one transaction, so a kill in between changes nothing.
Result<void> Ledger::recover_intents() {
    std::uint64_t count = 0;
    if (auto opened = open_writer(); !opened) return opened;
    if (writer_->intents().count() > 0) {
        if (auto begun = writer_->begin(); !begun) return begun;
        for (const RequestRecord& record : writer_->intents().unknown_outcomes()) {
            const auto added = writer_->add(record);
            if (!added) return fail(added.error());
            ++count;
        }
        if (auto committed = writer_->commit(); !committed) {
            return fail(std::move(committed.error()));
        }
    }
    const std::lock_guard lock(mutex_);
    stats_.unknown += count;
    stats_.rows_written += count;
    recovered_ = true;
    flushed_.notify_all();
    return {};
}

Result<void> Ledger::wait_recovered(Duration timeout) {
    std::unique_lock lock(mutex_);
    wake_.urge();
    if (flushed_.wait_for(lock, timeout, [&] { return recovered_; })) return {};
    return fail(ErrorCode::kUnavailable,
                "the ledger could not yet book what an earlier process left open" +
                    (stats_.failing ? ": " + stats_.last_error : std::string()),
                "budgets need it; look at the disk and at who holds the ledger's database");
}

/// Takes a few rows away that are too old. True: there may be more.
bool Ledger::expire_some() noexcept {
    if (!writer_ || !retention_.due()) return false;
    memory_given_back_ = false;
    const auto taken = retention_.prune(writer_->database());
    const std::lock_guard lock(mutex_);
    if (!taken) {
        stats_.last_error = "old rows cannot be taken away: " + taken.error().text();
        return false;
    }
    stats_.expired += static_cast<std::uint64_t>(*taken);
    return *taken > 0;
}

bool Ledger::has_unread() const noexcept {
    const auto unread = [](const auto& journal) {
        return journal->has_unread();
    };
    return std::any_of(journals_.begin(), journals_.end(), unread) ||
           std::any_of(orphans_.begin(), orphans_.end(), unread);
}

/// Writes one batch. True: there may be more at once.
bool Ledger::write_pending() noexcept {
    std::uint64_t asked = 0;
    {
        const std::lock_guard lock(mutex_);
        asked = flush_asked_;
    }
    const auto written = write_batch();
    if (!written) {
        retry_later(written.error());
        return false;
    }
    back_off_ = Duration::zero();
    const bool more = *written >= batch_limit_;
    batch_limit_ = std::min(batch_limit_ * 2, kMaxBatch);
    if (!more) drop_finished_orphans();
    const std::lock_guard lock(mutex_);
    stats_.failing = false;
    stats_.batches += *written > 0 ? 1 : 0;
    if (!more && flush_done_ != asked) {
        flush_done_ = asked;
        flushed_.notify_all();
    }
    return more;
}

void Ledger::retry_later(const Error& error) {
    for (const auto& journal : journals_) journal->rewind();
    for (const auto& journal : orphans_) journal->rewind();
    writer_.reset();  // rolls back
    back_off_ = std::clamp(back_off_ * 2, kFirstBackOff, kLastBackOff);
    const std::lock_guard lock(mutex_);
    stats_.failing = true;
    stats_.last_error = error.text();
}

/// Moves up to `batch_limit_` records from the journals into the database, in one transaction.
/// After an error nothing was released.
Result<std::size_t> Ledger::write_batch() {
    // A database that never answered is not well, even while there is nothing to write.
    if (!recovered_) {
        if (auto opened = open_writer(); !opened) return fail(std::move(opened.error()));
    }
    sources_.clear();
    for (const auto& journal : journals_) sources_.push_back(journal.get());
    for (const auto& journal : orphans_) sources_.push_back(journal.get());
    if (sources_.empty()) return 0;
    // Another one comes first each time, so that a busy one cannot keep the others waiting.
    std::rotate(sources_.begin(),
                sources_.begin() + static_cast<std::ptrdiff_t>(turn_++ % sources_.size()),
                sources_.end());
    std::size_t taken = 0;
    std::uint64_t fresh = 0;
    std::uint64_t repeated = 0;
    std::string last;  // of a batch of one, see below
    for (Journal* source : sources_) {
        while (taken < batch_limit_) {
            const auto bytes = source->next();
            if (!bytes) break;
            if (taken == 0) {
                if (auto opened = open_writer(); !opened) return fail(std::move(opened.error()));
                if (auto begun = writer_->begin(); !begun) return fail(std::move(begun.error()));
            }
            ++taken;
            if (batch_limit_ == 1) last = *bytes;
            const auto added = write_one(*bytes);
            if (!added) return fail(added.error());
            const bool row = !is_intent(*bytes);
            fresh += *added && row ? 1 : 0;
            repeated += *added || !row ? 0 : 1;
        }
    }
    if (taken == 0) return taken;
    memory_given_back_ = false;
    if (writer_) {
        auto committed = writer_->commit();
        if (committed) {
            fresh -= *committed;
            repeated += *committed;
        } else if (committed.error().reason != "constraint") {
            return fail(std::move(committed.error()));
        } else if (auto aside = set_aside(last, committed.error()); !aside) {
            return fail(std::move(aside.error()));
        } else {
            fresh = 0;
        }
    }
    if (options_.durability == store::sqlite::Durability::kFull) {
        for (Journal* source : sources_) source->sync_spill();
    }
    for (Journal* source : sources_) source->release();
    const std::lock_guard lock(mutex_);
    stats_.rows_written += fresh;
    stats_.replayed += repeated;
    stats_.open_intents = writer_ ? writer_->intents().count() : 0;
    return taken;
}

/// True: a new row. False: it was there already, or it was put into quarantine.
Result<bool> Ledger::write_one(std::string_view bytes) {
    if (is_intent(bytes)) {
        auto intent = decode(bytes, intent_);
        if (intent) {
            make_storable(intent_);
            writer_->add(intent_);
            return false;
        }
        auto kept = quarantine(bytes, intent.error().message);
        if (!kept) return fail(std::move(kept.error()));
        return false;
    }
    auto decoded = decode(bytes, record_);
    if (!decoded) {
        auto kept = quarantine(bytes, decoded.error().message);
        if (!kept) return fail(std::move(kept.error()));
        return false;
    }
    make_storable(record_);
    auto added = writer_->add(record_);
    if (added || added.error().reason != "constraint") return added;
    auto aside = set_aside(bytes, added.error());
    if (!aside) return fail(std::move(aside.error()));
    return false;
}

/// One record that the tables do not take must not hold up all others: find it by writing one at a time, then
/// set it aside.
Result<void> Ledger::set_aside(std::string_view bytes, const Error& why) {
    if (batch_limit_ > 1) {
        batch_limit_ = 1;
        return fail(why);
    }
    writer_.reset();
    return quarantine(bytes, why.message);
}

Result<void> Ledger::quarantine(std::string_view bytes, const std::string& why) {
    const std::string path = ledger_folder(options_.state_dir) + "/quarantine";
    std::string frame(frame_size(bytes.size()), '\0');
    write_frame(frame.data(), FrameKind::kRecord, 0, bytes);
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    const ssize_t n = fd < 0 ? -1 : ::write(fd, frame.data(), frame.size());
    if (fd >= 0) ::close(fd);
    if (n != static_cast<ssize_t>(frame.size())) {
        return fail(ErrorCode::kUnavailable, fmt::format("cannot write {}", path));
    }
    const std::lock_guard lock(mutex_);
    ++stats_.quarantined;
    stats_.last_error = fmt::format("a record was set aside in {}: {}", path, why);
    return {};
}

void Ledger::drop_finished_orphans() noexcept {
    std::uint64_t pending = 0;
    std::erase_if(orphans_, [&](const std::unique_ptr<Journal>& orphan) {
        pending += orphan->pending_bytes();
        if (orphan->pending_bytes() != 0) return false;
        orphan->remove_files();
        return true;
    });
    orphan_bytes_.store(pending, std::memory_order_relaxed);
}

Result<void> Ledger::flush(Duration timeout) {
    std::unique_lock lock(mutex_);
    const std::uint64_t ticket = ++flush_asked_;
    wake_.urge();
    if (flushed_.wait_for(lock, timeout, [&] { return flush_done_ >= ticket; })) return {};
    return fail(ErrorCode::kUnavailable,
                "the ledger's database did not take all records in time" +
                    (stats_.failing ? ": " + stats_.last_error : std::string()),
                "they are kept in the journal and will be written later");
}

LedgerStats Ledger::stats() const {
    LedgerStats out;
    {
        const std::lock_guard lock(mutex_);
        out = stats_;
    }
    out.pending_bytes = orphan_bytes_.load(std::memory_order_relaxed);
    for (const auto& journal : journals_) {
        out.pending_bytes += journal->pending_bytes();
        out.spilled_bytes += journal->spilled_bytes();
    }
    return out;
}

bool Ledger::healthy() const noexcept {
    return std::all_of(journals_.begin(), journals_.end(),
                       [](const auto& journal) { return journal->healthy(); });
}

std::vector<std::string> Ledger::notes() const {
    const std::lock_guard lock(mutex_);
    return notes_;
}

}  // namespace leeway::ledger
