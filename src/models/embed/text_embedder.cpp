#include "models/embed/text_embedder.hpp"

#include "base/file_hash.hpp"
#include "base/hash.hpp"
#include "models/embed/fingerprint.hpp"
#include "models/embed/vector_file.hpp"
#include "models/host/engine.hpp"
#include "models/host/gguf_check.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>

namespace leeway::models {
namespace {

// Texts of one job. Large enough that the engine never waits for us, small enough that a killed run loses little of
// the cache and the progress moves.
constexpr std::size_t kJobTexts = 64;
constexpr std::size_t kJobsInFlight = 3;

/// A text whose vector must be computed, and the rows that want it.
struct Wanted {
    Sha256 key;
    std::string_view text;
    std::vector<std::size_t> rows;
};

/// What the engine's thread gives back.
class JobBox {
public:
    void put(Result<Embeddings> made) {
        const std::scoped_lock lock(mutex_);
        result_.emplace(std::move(made));
        changed_.notify_one();
    }
    Result<Embeddings> take() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return result_.has_value(); });
        return std::move(*result_);
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::optional<Result<Embeddings>> result_;
};

class EngineEmbedder final : public TextEmbedder {
public:
    EngineEmbedder(TextEmbedderOptions options, EmbeddingModel model,
                   std::optional<VectorFile> cache)
        : options_(std::move(options)), model_(std::move(model)), cache_(std::move(cache)) {}

    [[nodiscard]] const EmbeddingModel& model() const noexcept override { return model_; }
    Result<VectorTable> embed(std::span<const std::string> texts,
                              const std::function<void(std::size_t)>& progress) override;

private:
    struct Job {
        std::shared_ptr<JobBox> box;
        std::span<const Wanted> texts;
    };

    Result<void> load();
    Result<Job> submit(std::span<const Wanted> texts);
    Result<void> finish(const Job& job, VectorTable& out);
    Result<void> compute(std::span<const Wanted> wanted, VectorTable& out,
                         const std::function<void(std::size_t)>& done);

    TextEmbedderOptions options_;
    EmbeddingModel model_;
    std::optional<VectorFile> cache_;
    std::unique_ptr<Engine> engine_;  // loaded when it is needed
};

Result<VectorTable> EngineEmbedder::embed(std::span<const std::string> texts,
                                          const std::function<void(std::size_t)>& progress) {
    VectorTable out;
    out.dimension = model_.dimension;
    out.values.resize(texts.size() * model_.dimension);
    if (cache_) cache_->refresh();
    std::vector<Wanted> wanted;
    std::unordered_map<Sha256, std::size_t, Sha256Hasher> places;  // in `wanted`
    std::size_t ready = 0;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        if (texts[i].empty()) {
            ++ready;
            continue;
        }
        const std::string_view text = cut_for_embedding(texts[i], options_.most_tokens);
        const Sha256 key = sha256(text);
        if (cache_) {
            if (const auto known = cache_->find(key); !known.empty()) {
                std::ranges::copy(
                    known, out.values.begin() + static_cast<std::ptrdiff_t>(i * model_.dimension));
                ++ready;
                continue;
            }
        }
        const auto [place, fresh] = places.try_emplace(key, wanted.size());
        if (fresh) wanted.push_back({key, text, {}});
        wanted[place->second].rows.push_back(i);
    }
    if (progress) progress(ready);
    // Texts of one batch are best of one length, since each attends over the whole batch.
    std::ranges::sort(wanted, [](const Wanted& a, const Wanted& b) {
        return a.text.size() != b.text.size() ? a.text.size() < b.text.size() : a.key < b.key;
    });
    const auto done = [&](std::size_t rows) {
        ready += rows;
        if (progress) progress(ready);
    };
    if (auto made = compute(wanted, out, done); !made) return fail(std::move(made.error()));
    return out;
}

Result<void> EngineEmbedder::load() {
    if (engine_) return {};
    EngineOptions options;
    options.file = options_.file;
    options.name = model_.name;
    options.kind = EngineKind::kEmbedding;
    options.threads = options_.threads;
    options.context_tokens = options_.most_tokens;
    auto engine = Engine::load(std::move(options));
    if (!engine) return fail(std::move(engine.error()));
    engine_ = std::move(*engine);
    if (engine_->info().dimension != model_.dimension) {
        return fail(
            ErrorCode::kConfig,
            fmt::format("{} says that its vectors have {} values, but they have {}",
                        options_.file.string(), model_.dimension, engine_->info().dimension));
    }
    return {};
}

Result<EngineEmbedder::Job> EngineEmbedder::submit(std::span<const Wanted> texts) {
    Job out{std::make_shared<JobBox>(), texts};
    EmbedJob job;
    job.truncate_tokens = options_.most_tokens;
    job.texts.reserve(texts.size());
    for (const Wanted& one : texts) job.texts.emplace_back(one.text);
    job.done = [box = out.box](Result<Embeddings> made) {
        box->put(std::move(made));
    };
    if (auto id = engine_->submit_embeddings(std::move(job)); !id) {
        return fail(std::move(id.error()));
    }
    return out;
}

Result<void> EngineEmbedder::finish(const Job& job, VectorTable& out) {
    const Result<Embeddings> made = job.box->take();
    if (!made) return fail(made.error());
    const std::size_t width = model_.dimension;
    std::vector<Sha256> keys;
    keys.reserve(job.texts.size());
    for (std::size_t i = 0; i < job.texts.size(); ++i) {
        const auto vector = std::span(made->values).subspan(i * width, width);
        for (const std::size_t row : job.texts[i].rows) {
            std::ranges::copy(vector,
                              out.values.begin() + static_cast<std::ptrdiff_t>(row * width));
        }
        keys.push_back(job.texts[i].key);
    }
    if (!cache_) return {};
    if (auto kept = cache_->append(keys, made->values); !kept) {
        spdlog::warn("vectors are not kept: {}", kept.error().text());
        cache_.reset();
    }
    return {};
}

Result<void> EngineEmbedder::compute(std::span<const Wanted> wanted, VectorTable& out,
                                     const std::function<void(std::size_t)>& done) {
    if (wanted.empty()) return {};
    if (auto loaded = load(); !loaded) return loaded;
    std::deque<Job> flying;
    while (!wanted.empty() || !flying.empty()) {
        if (!wanted.empty() && flying.size() < kJobsInFlight) {
            const std::size_t count = std::min(kJobTexts, wanted.size());
            auto job = submit(wanted.first(count));
            if (!job) return fail(std::move(job.error()));
            flying.push_back(std::move(*job));
            wanted = wanted.subspan(count);
            continue;
        }
        const Job job = std::move(flying.front());
        flying.pop_front();
        if (auto finished = finish(job, out); !finished) return finished;
        std::size_t rows = 0;
        for (const Wanted& one : job.texts) rows += one.rows.size();
        done(rows);
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<TextEmbedder>> open_text_embedder(TextEmbedderOptions options) {
    const auto info = check_gguf(options.file);
    if (!info) return fail(info.error());
    if (!info->is_embedding_model() || info->embedding_length == 0) {
        return fail(ErrorCode::kConfig,
                    fmt::format("{} chats and gives no vectors", options.file.string()),
                    "name an embedding model, like minilm");
    }
    const auto hash = sha256_of_file(options.file);
    if (!hash) return fail(hash.error());
    if (options.name.empty()) options.name = options.file.filename().string();
    if (options.threads == 0)
        options.threads = std::max(1U, std::thread::hardware_concurrency() / 2);
    if (options.most_tokens == 0 || options.most_tokens > info->context_length) {
        options.most_tokens = std::max(1U, info->context_length);
    }
    EmbeddingModel model{options.name,
                         file_fingerprint(*hash, info->embedding_length, options.most_tokens),
                         info->embedding_length};
    std::optional<VectorFile> cache;
    if (!options.cache_folder.empty()) {
        auto file = VectorFile::open(options.cache_folder, model.fingerprint, model.dimension);
        if (file) {
            cache.emplace(std::move(*file));
        } else {
            spdlog::warn("vectors are not kept: {}", file.error().text());
        }
    }
    return std::make_unique<EngineEmbedder>(std::move(options), std::move(model), std::move(cache));
}

}  // namespace leeway::models
