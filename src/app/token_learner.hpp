#pragma once

#include "app/vocabularies.hpp"
#include "tokens/calibration_book.hpp"
#include "tokens/model_map.hpp"
#include "tokens/vocabulary.hpp"

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace leeway::app {

/// A request whose input tokens its provider reported.
struct Lesson {
    tokens::ModelTokens model;
    std::shared_ptr<const tokens::Vocabulary> vocabulary;
    tokens::CalibrationSlot* slot = nullptr;
    std::string name;  ///< of the model, at its provider
    std::string body;  ///< in OpenAI's chat form, as it was sent
    std::int64_t tokens = 0;
};

/// Lessons on their way from the workers to the learner. Thread-safe; the lock is held to move one.
class LessonQueue {
public:
    /// False: too many wait already, or it was closed.
    bool push(Lesson lesson);
    /// Waits for lessons, up to `patience`. Empty and closed: there will be no more.
    [[nodiscard]] std::vector<Lesson> take(std::chrono::milliseconds patience);
    void close();
    [[nodiscard]] bool closed() const;

private:
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::vector<Lesson> waiting_;
    bool closed_ = false;
};

/// Learns from what providers report how models count whose tokenizer is not public, on a thread of its own
/// (docs/formats/calibration.md). What was learned is kept in STATE/calibration.json.
class TokenLearner {
public:
    /// Larger requests teach nothing that smaller ones do not.
    static constexpr std::size_t kMostBytes = 256UL * 1024;

    /// With what was learned before. A file that cannot be read is told in the log and begun anew.
    [[nodiscard]] static std::unique_ptr<TokenLearner> start(std::string state_folder);
    /// Learns what still waits and keeps it.
    ~TokenLearner();
    TokenLearner(const TokenLearner&) = delete;
    TokenLearner& operator=(const TokenLearner&) = delete;

    [[nodiscard]] tokens::CalibrationBook& book() noexcept { return book_; }
    /// Any thread. Dropped when too many wait: there are always more.
    void offer(Lesson lesson);
    /// Lessons that were dropped, or whose content has parts that we cannot count. Any thread.
    [[nodiscard]] std::uint64_t passed_over() const noexcept { return passed_over_.load(); }

private:
    explicit TokenLearner(std::string state_folder) : state_folder_(std::move(state_folder)) {}
    void run() noexcept;
    void learn(const Lesson& lesson);
    void save();

    const std::string state_folder_;
    tokens::CalibrationBook book_;
    LessonQueue queue_;
    std::atomic<std::uint64_t> passed_over_{0};
    WorkerTokenizers tokenizers_;  // the thread's, like the next ones
    bool changed_ = false;
    bool save_failed_ = false;  // as far as the log has said it
    std::thread thread_;
};

}  // namespace leeway::app
