#pragma once

#include "app/config.hpp"
#include "base/executor.hpp"
#include "base/hash.hpp"
#include "base/posted_value.hpp"
#include "lab/outcomes/outcome_store.hpp"
#include "pipeline/context.hpp"

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

namespace leeway::app {

/// A request that was answered, as it comes from its worker. Its text is not kept.
struct AnsweredCall {
    std::string tenant;  ///< name of the key; empty: none
    std::string route;
    std::string text;  ///< what its user said last
    /// SHA-256 of all messages, where the text alone does not tell what was asked.
    std::optional<Sha256> conversation;
    lab::StoredAnswer answer;
    pipeline::AskedVector vector;
};

/// What is told of an answer that was recorded before.
struct AnswerVector {
    RequestId id;
    std::string tenant;
    pipeline::AskedVector vector;
};
struct AnswerOutcomes {
    RequestId id;
    std::string tenant;
    std::vector<lab::StoredOutcome> outcomes;
};

/// Writes what live traffic tells of models into `<state>/outcomes.db`, on a thread of its own (docs/formats/outcomes.md).
/// Thread-safe. What is offered first is written first, so feedback that comes when the answer was told finds it.
class OutcomeRecorder {
public:
    /// Errors: those of OutcomeStore::open.
    [[nodiscard]] static Result<std::unique_ptr<OutcomeRecorder>> start(
        const std::string& state_folder, const OutcomesConfig& config);
    /// Stops.
    ~OutcomeRecorder();
    OutcomeRecorder(const OutcomeRecorder&) = delete;
    OutcomeRecorder& operator=(const OutcomeRecorder&) = delete;

    /// From now on.
    void configure(const OutcomesConfig& config);

    /// Never waits. Dropped, and counted, when too much waits already.
    void offer(AnsweredCall call);
    void offer(AnswerVector vector);
    void offer(AnswerOutcomes outcomes);

    /// Whether there is such an answer; an error: nothing is known of it.
    using Taken = Result<bool>;
    /// What a caller says of an answer of `tenant`. The value comes to `executor`, which must live until `stop`, when it is
    /// in the database. Errors: kUnavailable, too much waits or the database takes nothing.
    [[nodiscard]] PostedValue<Taken> tell(Executor& executor, const RequestId& id,
                                          std::string tenant, lab::StoredFeedback feedback);

    /// Writes what waits, and takes nothing any more.
    void stop();

    struct Counters {
        std::uint64_t answers = 0;  ///< recorded
        std::uint64_t outcomes = 0;  ///< of feedback and shadows
        std::uint64_t dropped = 0;  ///< too much waited
        std::uint64_t failed = 0;  ///< the database did not take them
        std::uint64_t unknown = 0;  ///< feedback for an answer that is not there
    };
    [[nodiscard]] Counters counters() const noexcept;

    /// The most that waits: notes, and bytes of their texts and vectors.
    static constexpr std::size_t kMostWaiting = 4096;
    static constexpr std::size_t kMostBytes = 16UL * 1024 * 1024;

private:
    struct Said {
        RequestId id;
        std::string tenant;
        lab::StoredFeedback feedback;
        PostedValue<Taken>::Sender sender;
    };
    using Note = std::variant<AnsweredCall, AnswerVector, AnswerOutcomes, Said>;

    OutcomeRecorder(lab::OutcomeStore store, const OutcomesConfig& config)
        : store_(std::move(store)), config_(config) {}
    bool push(Note note);
    void run() noexcept;
    void write(std::vector<Note>& notes);
    Result<bool> apply(const Note& note);
    Result<bool> put(const AnsweredCall& call);
    Result<bool> put(const AnswerVector& vector);
    Result<bool> put(const AnswerOutcomes& outcomes);
    Result<bool> put(const Said& said);
    void sweep();

    lab::OutcomeStore store_;  // the thread's, like the next one
    TimePoint sweep_at_{};
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    OutcomesConfig config_;
    std::deque<Note> waiting_;
    std::size_t bytes_ = 0;
    bool stopping_ = false;
    std::atomic<std::uint64_t> answers_{0};
    std::atomic<std::uint64_t> outcomes_{0};
    std::atomic<std::uint64_t> dropped_{0};
    std::atomic<std::uint64_t> failed_{0};
    std::atomic<std::uint64_t> unknown_{0};
    bool failing_ = false;  // as far as the log has said it
    std::thread thread_;
};

}  // namespace leeway::app
