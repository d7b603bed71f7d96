#pragma once

#include "base/clock.hpp"
#include "base/executor.hpp"
#include "base/result.hpp"
#include "base/task.hpp"
#include "models/embed/embed_queue.hpp"
#include "models/embedding.hpp"
#include "net/event_loop.hpp"

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace leeway::models {

/// Who turns texts into vectors: a model host or a provider. On the service's loop only.
class EmbedSource {
public:
    /// A row for each text, of any length but zero.
    struct Vectors {
        std::string fingerprint;
        std::uint32_t dimension = 0;
        std::vector<float> values;  ///< texts × dimension
    };
    virtual ~EmbedSource() = default;
    /// Errors: kInvalidRequest (one of the texts is to blame), or any other (none is).
    [[nodiscard]] virtual Task<Result<Vectors>> compute(std::span<const std::string> texts) = 0;
    /// Calls under way end soon, with an error.
    virtual void stop() noexcept = 0;
};

/// The data plane's embedder: a memo, one computation per distinct text however many want it, and batches of what waits
/// while the one before is computed. No text waits for others to come: at rest it is sent at once. Thread-safe; what
/// is done for it happens on `loop`'s thread.
class EmbedService final : public Embedder {
public:
    /// What may change while it runs.
    struct Settings {
        std::string identity;  ///< of the model: another one drops the memo
        std::string name;  ///< of the model, as the configuration calls it
        /// Of a request, whatever its stage would allow. A limit of more than a second is that of work in the background,
        /// which this does not bound.
        Duration timeout = std::chrono::milliseconds(50);
        std::uint64_t memo_bytes = std::uint64_t{32} << 20U;
        std::size_t batch = 16;  ///< texts of one call
        std::size_t calls = 1;  ///< at a time
        bool local = true;  ///< computed on this machine
        std::size_t most_bytes = std::size_t{256}
                                 << 10U;  ///< of one text; what is beyond is cut off
    };

    /// `loop` outlives it, and runs until `stop` has returned.
    EmbedService(net::EventLoop& loop, const EmbedQueue::Limits& limits);
    ~EmbedService() override = default;
    EmbedService(const EmbedService&) = delete;
    EmbedService& operator=(const EmbedService&) = delete;

    [[nodiscard]] Task<Result<Embedded>> embed(std::string text, Executor& executor,
                                               Duration limit) override {
        return embed_within({}, std::move(text), executor, limit);
    }
    [[nodiscard]] Task<Result<Embedded>> embed_within(std::string scope, std::string text,
                                                      Executor& executor, Duration limit) override;

    [[nodiscard]] bool is_local() const override { return use_now().settings.local; }

    /// From now on batches are computed by `source`. `warm`: a first one at once, of a text of ours, so that the first
    /// request does not wait for a model to load. Any thread.
    void use(std::shared_ptr<EmbedSource> source, Settings settings, bool warm);
    /// Why the last batch came to nothing; nullopt: it did not, or there was none.
    [[nodiscard]] std::optional<std::string> trouble() const;
    [[nodiscard]] EmbedStats stats() const { return queue_.stats(); }
    [[nodiscard]] std::shared_ptr<const EmbeddingModel> model() const { return queue_.model(); }
    /// Ends what is under way, answers who waits, and waits until nothing of it is left on the loop. Not on the loop's
    /// thread; once.
    void stop();

private:
    using Batch = std::vector<EmbedQueue::Taken>;
    struct Use {
        std::shared_ptr<EmbedSource> source;  // null: none yet
        Settings settings;
        std::uint64_t generation = 0;
    };

    [[nodiscard]] Use use_now() const;
    void wake();
    void pump();
    Task<void> run(Batch batch, Use with);
    Task<void> watch();
    Task<bool> compute(const Batch& batch, const Use& with);
    void settle(const Batch& batch, const Use& with, const EmbedSource::Vectors& vectors);
    void note_trouble(std::optional<std::string> why);
    void ended();

    net::EventLoop& loop_;
    EmbedQueue queue_;
    mutable std::mutex mutex_;
    std::condition_variable idle_;
    Use use_;  // guarded by mutex_
    std::optional<std::string> trouble_;  // guarded by mutex_
    int tasks_ = 0;  // on the loop; guarded by mutex_
    bool closed_ = false;  // guarded by mutex_
    // On the loop's thread only:
    std::size_t calls_ = 0;
    bool watching_ = false;
    bool stopping_ = false;
};

}  // namespace leeway::models
