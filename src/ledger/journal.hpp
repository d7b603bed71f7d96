#pragma once

#include "base/result.hpp"
#include "ledger/ring.hpp"
#include "ledger/sink.hpp"
#include "ledger/spill.hpp"
#include "ledger/wake.hpp"

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace leeway::ledger {

/// The way of one worker's records to the ledger thread: the ring, and the spill file while the ring
/// is full. Also reads what a worker of an earlier process left behind.
class Journal final : public Sink {
public:
    /// Opens `<folder>/worker-<number>.ring` and `.spill`. A file that is not ours is moved aside to
    /// `….damaged` and named in `note()`. `wake` must outlive the journal.
    [[nodiscard]] static Result<std::unique_ptr<Journal>> open(const std::string& folder,
                                                               unsigned number,
                                                               std::uint64_t ring_bytes,
                                                               Wake& wake);

    /// Worker only.
    [[nodiscard]] bool append(const RequestRecord& record) noexcept override;
    /// Worker only. An intent is read before its outcome, also when the ring was full in between.
    [[nodiscard]] bool append(const Intent& intent) noexcept override;
    /// Any thread.
    [[nodiscard]] bool healthy() const noexcept override;

    // Ledger thread only, like Ring and SpillQueue:
    /// The next record in its binary form; valid until the next call.
    [[nodiscard]] std::optional<std::string_view> next() noexcept;
    [[nodiscard]] bool has_unread() const noexcept;
    void release() noexcept;
    void rewind() noexcept;
    void trim() noexcept { ring_->trim(); }
    /// Finds out whether records can still be kept while the database takes none, and whether they
    /// can be kept again after an append failed.
    void check_room() noexcept;
    void sync_spill() noexcept { spill_->sync(); }
    /// Deletes both files; they must have been read and released.
    void remove_files() noexcept;

    /// Any thread.
    [[nodiscard]] std::uint64_t pending_bytes() const noexcept {
        return ring_->used() + spill_->used();
    }
    [[nodiscard]] std::uint64_t spilled_bytes() const noexcept { return spill_->appended_bytes(); }
    /// Ledger thread only.
    [[nodiscard]] std::uint64_t damaged_bytes() const noexcept { return ring_->damaged_bytes(); }
    /// What was odd when it was opened; empty: nothing.
    [[nodiscard]] const std::string& note() const noexcept { return note_; }

private:
    Journal(std::string base, Wake& wake) : base_(std::move(base)), wake_(wake) {}

    const std::string base_;  // path without the ending
    Wake& wake_;
    std::unique_ptr<Ring> ring_;
    std::unique_ptr<SpillQueue> spill_;
    [[nodiscard]] bool keep(std::string_view bytes, bool is_intent) noexcept;
    std::string buffer_;  // worker's encoding buffer
    std::string intent_buffer_;
    bool keep_spilling_ = false;  // worker's: an intent lies in the spill file
    std::string note_;
    std::atomic<bool> append_failed_{false};
    std::atomic<bool> spill_refuses_{false};
};

}  // namespace leeway::ledger
