#pragma once

#include "base/result.hpp"
#include "tokens/calibration.hpp"
#include "tokens/model_map.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::tokens {

/// What is known of the models that count alike. One thread writes, any may read: a reader copies some
/// words and begins again when a write came between, so it never waits for a lock (a seqlock).
class CalibrationSlot {
public:
    CalibrationSlot(std::string key, ModelFamily family);
    CalibrationSlot(const CalibrationSlot&) = delete;
    CalibrationSlot& operator=(const CalibrationSlot&) = delete;

    /// Any thread.
    [[nodiscard]] Calibration read() const noexcept;
    /// The same once there are reports enough, before that the family's prior: a first report may be an odd
    /// one, and nothing should be priced by it.
    [[nodiscard]] Calibration read_or_prior() const noexcept {
        const Calibration learned = read();
        return learned.reports() < Calibration::kEnoughReports ? Calibration(family_) : learned;
    }
    /// One thread at a time.
    void write(const Calibration& learned) noexcept;

    [[nodiscard]] const std::string& key() const noexcept { return key_; }
    [[nodiscard]] ModelFamily family() const noexcept { return family_; }

    /// How often its tokenizer seemed to have changed. Any thread.
    [[nodiscard]] std::uint64_t drifts() const noexcept { return drifts_.load(); }
    void note_drift() noexcept { drifts_.fetch_add(1); }

    /// Whether a report that comes now is worth the work of counting its request: the first ones all are,
    /// then a few a second tell as much as thousands. Any thread; true takes the turn.
    [[nodiscard]] bool take_turn(std::int64_t now_us) noexcept;

private:
    static constexpr std::size_t kWords = sizeof(Calibration) / sizeof(std::uint64_t);
    static_assert(sizeof(Calibration) % sizeof(std::uint64_t) == 0);

    const std::string key_;
    const ModelFamily family_;
    std::atomic<std::uint64_t> version_{0};  // odd while a write is under way
    std::array<std::atomic<std::uint64_t>, kWords> words_;
    std::atomic<std::uint64_t> turns_{0};
    std::atomic<std::int64_t> next_turn_us_{0};
    std::atomic<std::uint64_t> drifts_{0};
};

/// Which slot of the book a model uses: Claude's and Gemini's models share one per family, others have
/// their own, as nothing says that they count alike. Empty for models that are counted exactly.
[[nodiscard]] std::string calibration_key(const ModelTokens& rule, std::string_view model);

/// All that the process has learned of tokenizers that are not public.
class CalibrationBook {
public:
    /// The slot of `key`, made with the family's prior where there is none. Stays as long as the book.
    /// Any thread.
    CalibrationSlot& slot(const std::string& key, ModelFamily family);
    /// What the tokens of a model are estimated with: its slot's `read_or_prior`, else the prior. Any thread.
    [[nodiscard]] Calibration calibration(const ModelTokens& rule, std::string_view model) const;
    /// In the order of their making. Any thread.
    [[nodiscard]] std::vector<CalibrationSlot*> slots() const;

    /// As JSON (docs/formats/calibration.md); slots without a report are left out. Any thread.
    [[nodiscard]] std::string text() const;
    /// Takes in what `text` gave. Fails with `kInvalidRequest`, and takes nothing, on what is damaged.
    [[nodiscard]] Result<void> restore(std::string_view text);

private:
    mutable std::mutex mutex_;  // of the list; what a slot holds has no lock
    std::vector<std::unique_ptr<CalibrationSlot>> slots_;
};

}  // namespace leeway::tokens
