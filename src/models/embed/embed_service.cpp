#include "models/embed/embed_service.hpp"

#include "base/hash.hpp"
#include "models/embed/fingerprint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace leeway::models {
namespace {

// How often waiters are looked through while there are any; two ticks of the loop's timers.
constexpr auto kLook = std::chrono::milliseconds(16);
// Who allows more is no request that waits, but prepares something.
constexpr auto kRequest = std::chrono::seconds(1);
constexpr const char* kWarmUp = "warm up";

Error unavailable(std::string message, std::string reason) {
    return {ErrorCode::kUnavailable, std::move(message), {}, {}, std::move(reason)};
}

/// With the length first, so that no scope and text look like another scope and text.
Hash128 key_of(std::string_view scope, std::string_view text) {
    std::string bytes = fmt::format("{}:", scope.size());
    bytes.append(scope).append(text);
    return process_hash128(bytes);
}

/// Row by row of unit length. False: one of them has no length, or a number that is none.
bool normalise(EmbedSource::Vectors& vectors, std::size_t rows) {
    const std::size_t width = vectors.dimension;
    if (width == 0 || vectors.values.size() != rows * width) return false;
    for (std::size_t row = 0; row < rows; ++row) {
        const auto values = std::span(vectors.values).subspan(row * width, width);
        double square = 0;
        for (const float value : values) square += static_cast<double>(value) * value;
        if (!(square > 0) || !std::isfinite(square)) return false;
        const auto scale = static_cast<float>(1 / std::sqrt(square));
        for (float& value : values) value *= scale;
    }
    return true;
}

}  // namespace

EmbedService::EmbedService(net::EventLoop& loop, const EmbedQueue::Limits& limits)
    : loop_(loop), queue_(limits) {}

Task<Result<Embedded>> EmbedService::embed_within(std::string scope, std::string text,
                                                  Executor& executor, Duration limit) {
    if (text.empty()) {
        co_return fail(Error{
            ErrorCode::kInvalidRequest, "an empty text has no vector", {}, {}, "embedding_empty"});
    }
    const Settings settings = use_now().settings;
    text.resize(cut_to_bytes(text, settings.most_bytes).size());
    const Hash128 key = key_of(scope, text);
    if (auto known = queue_.find(key)) co_return std::move(*known);
    const TimePoint now = monotonic_now();
    const Duration patience = limit > kRequest ? limit : std::min(limit, settings.timeout);
    if (patience <= Duration::zero()) {
        queue_.count_late();
        co_return fail(Error{ErrorCode::kUpstreamTimeout,
                             "no time is left for the vector of the text",
                             {},
                             {},
                             "embedding_late"});
    }
    PostedValue<Result<Embedded>> value(executor);
    EmbedQueue::Waiter waiter{value.sender(), now, now + patience};
    const auto entered = queue_.enter(key, std::move(text), std::move(waiter));
    if (entered == EmbedQueue::Entered::kFull) {
        co_return fail(unavailable("too many texts wait for their vectors", "embedding_busy"));
    }
    if (entered == EmbedQueue::Entered::kQueued) wake();
    Result<Embedded> out = co_await value.receive();
    co_return out;
}

void EmbedService::use(std::shared_ptr<EmbedSource> source, Settings settings, bool warm) {
    std::shared_ptr<EmbedSource> before;  // destroyed without the lock
    {
        const std::scoped_lock lock(mutex_);
        queue_.limit_memo(settings.memo_bytes);
        if (use_.source && use_.settings.identity != settings.identity) {
            queue_.forget();
            trouble_.reset();
        }
        before = std::exchange(use_.source, std::move(source));
        use_.settings = std::move(settings);
        use_.generation = queue_.generation();
    }
    if (!warm) return;
    loop_.post([this] {
        if (stopping_) return;
        ++calls_;
        Batch batch{{key_of({}, kWarmUp), kWarmUp}};
        loop_.spawn(run(std::move(batch), use_now()));
    });
}

EmbedService::Use EmbedService::use_now() const {
    const std::scoped_lock lock(mutex_);
    return use_;
}

std::optional<std::string> EmbedService::trouble() const {
    const std::scoped_lock lock(mutex_);
    return trouble_;
}

void EmbedService::wake() {
    loop_.post([this] {
        if (stopping_) return;
        pump();
        if (!watching_) loop_.spawn(watch());
    });
}

/// Sends what waits, as far as calls are free.
void EmbedService::pump() {
    while (!stopping_) {
        Use with = use_now();
        if (calls_ >= with.settings.calls) return;
        Batch batch = queue_.take(with.settings.batch);
        if (batch.empty()) return;
        ++calls_;
        loop_.spawn(run(std::move(batch), std::move(with)));
    }
}

Task<void> EmbedService::run(Batch batch, Use with) {
    {
        const std::scoped_lock lock(mutex_);
        ++tasks_;
    }
    const bool good = co_await compute(batch, with);
    if (!good && batch.size() > 1) {
        // One of the texts is to blame; the others shall not suffer for it.
        for (EmbedQueue::Taken& text : batch) {
            Batch alone;
            alone.push_back(std::move(text));
            (void)co_await compute(alone, with);
        }
    }
    --calls_;
    pump();
    ended();
}

/// False: nothing came of it, and those who wait know unless there is more than one text: then each is to be tried alone.
Task<bool> EmbedService::compute(const Batch& batch, const Use& with) {
    std::vector<std::string> texts;
    texts.reserve(batch.size());
    for (const EmbedQueue::Taken& one : batch) texts.push_back(one.text);
    Result<EmbedSource::Vectors> vectors =
        fail(unavailable("no model makes embeddings", "embedding_unavailable"));
    if (with.source && !stopping_) vectors = co_await with.source->compute(texts);
    if (vectors && !normalise(*vectors, batch.size())) {
        vectors = fail(Error{ErrorCode::kUpstreamInvalid,
                             "the model's answer holds no usable vectors",
                             {},
                             {},
                             "embedding_invalid"});
    }
    queue_.count_batch(batch.size(), vectors.has_value());
    if (vectors) {
        settle(batch, with, *vectors);
        co_return true;
    }
    const Error& error = vectors.error();
    if (error.code == ErrorCode::kInvalidRequest) {
        if (batch.size() == 1) queue_.fail_all(batch, error);
        co_return false;
    }
    note_trouble(error.text());
    queue_.fail_all(batch, unavailable(error.text(), "embedding_unavailable"));
    co_return true;
}

void EmbedService::settle(const Batch& batch, const Use& with,
                          const EmbedSource::Vectors& vectors) {
    auto model = queue_.model();
    if (!model || model->fingerprint != vectors.fingerprint) {
        model = std::make_shared<const EmbeddingModel>(
            EmbeddingModel{with.settings.name, vectors.fingerprint, vectors.dimension});
    }
    std::vector<VectorMemo::Vector> rows;
    rows.reserve(batch.size());
    for (std::size_t i = 0; i < batch.size(); ++i) {
        const auto row =
            std::span(vectors.values).subspan(i * vectors.dimension, vectors.dimension);
        rows.push_back(std::make_shared<const std::vector<float>>(row.begin(), row.end()));
    }
    note_trouble(std::nullopt);  // before anybody who asks then can have heard of the vectors
    queue_.finish(batch, std::move(rows), model, with.generation);
}

/// Tells those who waited too long, until nobody waits.
Task<void> EmbedService::watch() {
    watching_ = true;
    {
        const std::scoped_lock lock(mutex_);
        ++tasks_;
    }
    while (queue_.expire(monotonic_now()) && !stopping_) {
        auto pause = loop_.sleep_for(kLook);
        co_await pause;
    }
    watching_ = false;
    ended();
}

void EmbedService::note_trouble(std::optional<std::string> why) {
    const std::scoped_lock lock(mutex_);
    trouble_ = std::move(why);
}

void EmbedService::ended() {
    const std::scoped_lock lock(mutex_);
    if (--tasks_ == 0) idle_.notify_all();
}

void EmbedService::stop() {
    loop_.post([this] {
        stopping_ = true;
        queue_.close(unavailable("the gateway is shutting down", "shutting_down"));
        if (const auto source = use_now().source) source->stop();
        const std::scoped_lock lock(mutex_);
        closed_ = true;
        idle_.notify_all();
    });
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return closed_ && tasks_ == 0; });
}

}  // namespace leeway::models
