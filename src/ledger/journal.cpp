#include "ledger/journal.hpp"

#include "base/clock.hpp"
#include "ledger/codec.hpp"
#include "ledger/intent.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <new>

namespace leeway::ledger {

Result<std::unique_ptr<Journal>> Journal::open(const std::string& folder, unsigned number,
                                               std::uint64_t ring_bytes, Wake& wake) {
    std::unique_ptr<Journal> journal(
        new Journal(fmt::format("{}/worker-{}", folder, number), wake));
    const std::string ring_path = journal->base_ + ".ring";
    auto ring = Ring::open(ring_path, ring_bytes);
    if (!ring && ring.error().reason == "damaged") {
        const std::string aside = fmt::format("{}.{}.damaged", ring_path, unix_now_us());
        if (::rename(ring_path.c_str(), aside.c_str()) == 0) {
            journal->note_ =
                fmt::format("{} is no journal of leeway; it was moved to {}", ring_path, aside);
            ring = Ring::open(ring_path, ring_bytes);
        }
    }
    if (!ring) return fail(std::move(ring.error()));
    auto spill = SpillQueue::open(journal->base_ + ".spill");
    if (!spill) return fail(std::move(spill.error()));
    if ((*ring)->damaged_bytes() > 0) {
        journal->note_ = fmt::format("{} bytes of {} were damaged and could not be read",
                                     (*ring)->damaged_bytes(), ring_path);
    }
    journal->ring_ = std::move(*ring);
    journal->spill_ = std::move(*spill);
    return journal;
}

bool Journal::append(const RequestRecord& record) noexcept {
    try {
        if (keep(encode(record, buffer_), false)) return true;
    } catch (const std::bad_alloc&) {
        buffer_.clear();  // The same answer as for a full disk: nothing was kept.
    }
    append_failed_.store(true, std::memory_order_release);
    wake_.urge();
    return false;
}

bool Journal::append(const Intent& intent) noexcept {
    try {
        if (keep(encode(intent, intent_buffer_), true)) return true;
    } catch (const std::bad_alloc&) {
        intent_buffer_.clear();
    }
    append_failed_.store(true, std::memory_order_release);
    wake_.urge();
    return false;
}

bool Journal::keep(std::string_view bytes, bool is_intent) noexcept {
    // What lies in the ring is read first, so while an intent is spilled its outcome must not overtake it.
    keep_spilling_ = keep_spilling_ && spill_->used() > 0;
    if (!keep_spilling_ && ring_->push(bytes)) {
        wake_.notify();
        return true;
    }
    // The consumer is behind: no time for a nap.
    if (!spill_->append(bytes)) return false;
    keep_spilling_ = keep_spilling_ || is_intent;
    wake_.urge();
    return true;
}

bool Journal::healthy() const noexcept {
    if (append_failed_.load(std::memory_order_acquire)) return false;
    if (!spill_refuses_.load(std::memory_order_acquire)) return true;
    // The disk is full but the ring is not: keep a quarter of it for what is on its way.
    return ring_->used() < ring_->capacity() / 4 * 3;
}

void Journal::check_room() noexcept {
    const bool takes = spill_->probe();
    spill_refuses_.store(!takes, std::memory_order_release);
    if (takes || ring_->used() < ring_->capacity() / 2) {
        append_failed_.store(false, std::memory_order_release);
    }
}

std::optional<std::string_view> Journal::next() noexcept {
    // Looked at first: what is in the spill file now has its intent in the ring by now, or behind it.
    const bool spilled = spill_->has_unread();
    if (auto record = ring_->next()) return record;
    return spilled ? spill_->next() : std::nullopt;
}

bool Journal::has_unread() const noexcept { return ring_->has_unread() || spill_->has_unread(); }

void Journal::release() noexcept {
    ring_->release();
    spill_->release();
}

void Journal::rewind() noexcept {
    ring_->rewind();
    spill_->rewind();
}

void Journal::remove_files() noexcept {
    ::unlink((base_ + ".ring").c_str());
    ::unlink((base_ + ".spill").c_str());
}

}  // namespace leeway::ledger
