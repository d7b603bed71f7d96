#include "models/embed/embed_queue.hpp"

#include <algorithm>

namespace leeway::models {
namespace {

Error too_late() {
    return {ErrorCode::kUpstreamTimeout,
            "the vector of the text was not there in time",
            "allow more time (embeddings.timeout), or more threads (local.threads)",
            {},
            "embedding_late"};
}

}  // namespace

std::optional<Embedded> EmbedQueue::find(const Hash128& key) {
    const std::scoped_lock lock(mutex_);
    ++stats_.texts;
    auto vector = memo_.find(key);
    if (!vector) return std::nullopt;
    ++stats_.memo_hits;
    return Embedded{std::move(vector), model_, true};
}

EmbedQueue::Entered EmbedQueue::enter(const Hash128& key, std::string text, Waiter waiter) {
    const std::scoped_lock lock(mutex_);
    if (auto vector = memo_.find(key)) {
        ++stats_.memo_hits;
        waiter.sender.send(Embedded{std::move(vector), model_, true});
        return Entered::kKnown;
    }
    if (const auto job = jobs_.find(key); job != jobs_.end()) {
        ++stats_.joined;
        job->second.waiters.push_back(std::move(waiter));
        return Entered::kJoined;
    }
    if (closed_ || order_.size() >= limits_.texts || bytes_ + text.size() > limits_.bytes) {
        ++stats_.refused;
        return Entered::kFull;
    }
    bytes_ += text.size();
    Job& job = jobs_[key];
    job.text = std::move(text);
    job.waiters.push_back(std::move(waiter));
    order_.push_back(key);
    return Entered::kQueued;
}

std::vector<EmbedQueue::Taken> EmbedQueue::take(std::size_t most) {
    const std::scoped_lock lock(mutex_);
    std::vector<Taken> out;
    while (!order_.empty() && out.size() < most) {
        const Hash128 key = order_.front();
        order_.pop_front();
        Job& job = jobs_.at(key);
        bytes_ -= job.text.size();
        out.push_back({key, std::exchange(job.text, {})});
    }
    return out;
}

void EmbedQueue::finish(const std::vector<Taken>& texts, std::vector<VectorMemo::Vector> vectors,
                        const std::shared_ptr<const EmbeddingModel>& model,
                        std::uint64_t generation) {
    const std::scoped_lock lock(mutex_);
    const bool kept = generation == generation_;
    if (kept && (!model_ || model_->fingerprint != model->fingerprint)) {
        if (model_) ++stats_.model_changes;
        memo_.clear();
        model_ = model;
    }
    const TimePoint now = monotonic_now();
    for (std::size_t i = 0; i < texts.size(); ++i) {
        if (kept) memo_.put(texts[i].key, vectors[i]);
        const auto job = jobs_.find(texts[i].key);
        if (job == jobs_.end() || !job->second.text.empty()) continue;
        bool known = false;  // for the one who asked first it is news
        for (Waiter& waiter : job->second.waiters) {
            stats_.waits.record(now - waiter.since);
            waiter.sender.send(Embedded{vectors[i], model, std::exchange(known, true)});
        }
        jobs_.erase(job);
    }
}

void EmbedQueue::fail_all(const std::vector<Taken>& texts, const Error& error) {
    const std::scoped_lock lock(mutex_);
    for (const Taken& text : texts) {
        const auto job = jobs_.find(text.key);
        if (job == jobs_.end() || !job->second.text.empty()) continue;
        stats_.failed += job->second.waiters.size();
        for (const Waiter& waiter : job->second.waiters) waiter.sender.send(fail(error));
        jobs_.erase(job);
    }
}

bool EmbedQueue::expire(TimePoint now) {
    const std::scoped_lock lock(mutex_);
    for (auto job = jobs_.begin(); job != jobs_.end();) {
        std::erase_if(job->second.waiters, [&](const Waiter& waiter) {
            if (waiter.until > now) return false;
            ++stats_.late;
            waiter.sender.send(fail(too_late()));
            return true;
        });
        // What no batch has yet and nobody waits for makes room; a batch goes on for the memo.
        const bool idle = job->second.waiters.empty() && !job->second.text.empty();
        if (idle) bytes_ -= job->second.text.size();
        job = idle ? jobs_.erase(job) : std::next(job);
    }
    std::erase_if(order_, [this](const Hash128& key) { return !jobs_.contains(key); });
    return !jobs_.empty();
}

void EmbedQueue::close(const Error& error) {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
    for (const auto& [key, job] : jobs_) {
        for (const Waiter& waiter : job.waiters) waiter.sender.send(fail(error));
    }
    jobs_.clear();
    order_.clear();
    bytes_ = 0;
}

void EmbedQueue::forget() {
    const std::scoped_lock lock(mutex_);
    ++generation_;
    memo_.clear();
    model_.reset();
}

void EmbedQueue::limit_memo(std::uint64_t bytes) {
    const std::scoped_lock lock(mutex_);
    memo_.limit(bytes);
}

std::uint64_t EmbedQueue::generation() const {
    const std::scoped_lock lock(mutex_);
    return generation_;
}

std::shared_ptr<const EmbeddingModel> EmbedQueue::model() const {
    const std::scoped_lock lock(mutex_);
    return model_;
}

EmbedStats EmbedQueue::stats() const {
    const std::scoped_lock lock(mutex_);
    EmbedStats out = stats_;
    out.memo_bytes = memo_.bytes();
    out.memo_entries = memo_.size();
    out.waiting = order_.size();
    return out;
}

void EmbedQueue::count_batch(std::size_t texts, bool ok) {
    const std::scoped_lock lock(mutex_);
    ++stats_.batches;
    stats_.batched_texts += texts;
    if (!ok) ++stats_.failed_batches;
}

void EmbedQueue::count_late() {
    const std::scoped_lock lock(mutex_);
    ++stats_.late;
}

}  // namespace leeway::models
