#pragma once

#include "base/clock.hpp"
#include "base/hash.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/task.hpp"
#include "methods/agent_cache/asked_question.hpp"
#include "methods/agent_cache/cached_answer.hpp"
#include "methods/agent_cache/semantic/risk_controller.hpp"
#include "methods/agent_cache/semantic_file.hpp"
#include "pipeline/context.hpp"
#include "store/vectors/vector_store.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace leeway::agent_cache {

class ExactStore;

/// Where questions lie that may meet: whose they are, and which vectors.
struct SemanticPlace {
    std::string tenant;  ///< name of the key; empty: of callers without one; kShared: everybody's
    std::string route;
    store::vectors::Partition partition;
    Sha256 evidence{};

    static constexpr std::string_view kShared = "all keys";  // names have no spaces
    [[nodiscard]] static SemanticPlace of(const AskedQuestion& question,
                                          const pipeline::RequestContext& context,
                                          std::string_view fingerprint, std::size_t dimension);
};

/// A kept question near the one asked.
struct NearQuestion {
    std::uint64_t id = 0;
    std::uint64_t entry = 0;  ///< of the answer
    float cosine = 0;
    std::string text;
    semantic::EntryRecord record;
};

using VectorPtr = std::shared_ptr<const std::vector<float>>;

/// What the semantic cache remembers: kept questions with their vectors, answers (in the store of the exact cache, under
/// keys of their own), what was verified of them, what its controllers learned, and why requests were decided as they
/// were. Thread-safe; outlives every configuration.
class SemanticStore {
public:
    struct Options {
        std::string path;  ///< of the SemanticFile; empty: in memory only
        store::vectors::VectorStore* vectors = nullptr;  ///< outlives this
        ExactStore* answers = nullptr;  ///< likewise
    };
    /// A file that cannot be used is told in the log, and what it knew begins anew.
    [[nodiscard]] static std::unique_ptr<SemanticStore> open(const Options& options);
    SemanticStore(const SemanticStore&) = delete;
    SemanticStore& operator=(const SemanticStore&) = delete;
    ~SemanticStore();  ///< writes what is pending

    /// The nearest, best first, for a coroutine on the context's executor. Empty as well where the request is
    /// interrupted.
    [[nodiscard]] Task<Result<std::vector<NearQuestion>>> near(const SemanticPlace& place,
                                                               const VectorPtr& vector,
                                                               pipeline::RequestContext& context);
    /// The answer of an entry; null: it is gone.
    [[nodiscard]] Task<AnswerPtr> answer(const SemanticPlace& place, std::uint64_t entry,
                                         pipeline::RequestContext& context);

    /// Keeps an answer for a question.
    void keep(const SemanticPlace& place, const VectorPtr& vector, std::string_view question,
              const AnswerPtr& answer);
    /// The answer of this entry is right for this question, too.
    void add_question(const SemanticPlace& place, const VectorPtr& vector,
                      std::string_view question, std::uint64_t entry, std::int64_t expires_unix_ms);
    /// A verdict on an entry; `probability`: of the decision that it is about.
    void learn(const SemanticPlace& place, std::uint64_t entry, bool right, double probability);
    void used(const SemanticPlace& place, std::uint64_t question);
    void forget(const SemanticPlace& place, std::uint64_t question);

    /// What decides for requests with this place's evidence, judged like that and promised so much. Made when it is first
    /// asked for, with what it had learned before.
    [[nodiscard]] std::shared_ptr<semantic::RiskController> controller(
        const SemanticPlace& place, std::string_view judge, const semantic::RiskSettings& settings);
    /// For `leeway cache explain`; `detail` is a JSON object.
    void note_decision(const RequestId& id, const SemanticPlace& place, std::string detail);

    /// Forgets at once for whoever looks from now on. An answer that nothing points to any more goes with its time or
    /// its tenant.
    void erase(const Erasure& what);
    /// Obeys what other processes ordered and writes what changed. Now and then, one thread at a time.
    void tend();

    /// A snapshot; counters since the start.
    struct Stats {
        std::uint64_t kept = 0;  ///< new answers
        std::uint64_t joined = 0;  ///< questions that an answer was verified right for
        std::uint64_t verified_right = 0;
        std::uint64_t verified_wrong = 0;
        std::uint64_t controllers = 0;
        std::uint64_t serving = 0;  ///< of them
        std::uint64_t stopped = 0;  ///< of them, by too many wrong answers
        store::vectors::VectorStoreStats vectors;
    };
    [[nodiscard]] Stats stats() const;

private:
    struct Controller {
        std::shared_ptr<semantic::RiskController> live;  // null: not asked for since the start
        ControllerRow row;
        std::string judge;
        double max_error = 0;
        std::uint64_t seen = 0;  // verdicts and decisions when it was saved
    };
    struct DecisionRow {
        RequestId id;
        std::string tenant;
        std::string route;
        std::string detail;
    };

    explicit SemanticStore(const Options& options) : options_(options) {}
    void load();
    void put(const SemanticPlace& place, const VectorPtr& vector, std::string_view question,
             std::uint64_t entry, std::int64_t expires_unix_ms);
    [[nodiscard]] std::vector<ControllerRow> changed_controllers();
    [[nodiscard]] Result<void> obey();
    [[nodiscard]] Result<void> write();

    const Options options_;
    std::optional<SemanticFile> file_;  // of who calls `tend`
    bool failing_ = false;  // likewise, as far as the log has said it

    mutable std::mutex mutex_;  // of the rest
    std::unordered_map<std::uint64_t, RecordRow> records_;
    std::unordered_map<Sha256, Controller, Sha256Hasher> controllers_;
    std::vector<std::uint64_t> changed_records_;
    std::deque<DecisionRow> decisions_;
    std::vector<Erasure> erasures_;
    Stats counters_;
};

}  // namespace leeway::agent_cache
