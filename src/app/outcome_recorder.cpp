#include "app/outcome_recorder.hpp"

#include "base/clock.hpp"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

namespace leeway::app {
namespace {

// One transaction takes so many: others wait for it.
constexpr std::size_t kBatch = 256;
constexpr std::chrono::seconds kSweepEvery{60};
constexpr std::int64_t kSweepRows = 2000;
// A file that another process writes to is waited for so often, each time as long as the database does.
constexpr int kTries = 3;

std::size_t size_of(const pipeline::AskedVector& vector) {
    return vector.vector ? vector.vector->size() * sizeof(float) : 0;
}
std::size_t size_of(const AnsweredCall& call) { return call.text.size() + size_of(call.vector); }
std::size_t size_of(const AnswerVector& one) { return size_of(one.vector); }
std::size_t size_of(const AnswerOutcomes& one) {
    return one.outcomes.size() * sizeof(lab::StoredOutcome);
}
std::size_t size_of(const lab::StoredFeedback& feedback) {
    return feedback.comment.value_or("").size() + feedback.correction.value_or("").size();
}

Result<lab::OutcomeStore::Transaction> begin_patiently(lab::OutcomeStore& store) {
    for (int i = 1;; ++i) {
        auto out = store.begin();
        if (out || out.error().reason != "busy" || i == kTries) return out;
    }
}

Error unavailable(std::string why) {
    return Error{ErrorCode::kUnavailable,
                 "Feedback cannot be taken now: " + std::move(why) + ".",
                 "send it again later",
                 {},
                 "outcomes_unavailable"};
}

}  // namespace

Result<std::unique_ptr<OutcomeRecorder>> OutcomeRecorder::start(const std::string& state_folder,
                                                                const OutcomesConfig& config) {
    auto store = lab::OutcomeStore::open(lab::outcome_store_path(state_folder));
    if (!store) return fail(std::move(store.error()));
    std::unique_ptr<OutcomeRecorder> out(new OutcomeRecorder(std::move(*store), config));
    out->thread_ = std::thread([recorder = out.get()] {
        ::pthread_setname_np(::pthread_self(), "outcomes");
        recorder->run();
    });
    return out;
}

OutcomeRecorder::~OutcomeRecorder() { stop(); }

void OutcomeRecorder::stop() {
    {
        const std::scoped_lock lock(mutex_);
        stopping_ = true;
        wake_.notify_one();
    }
    if (thread_.joinable()) thread_.join();
}

void OutcomeRecorder::configure(const OutcomesConfig& config) {
    const std::scoped_lock lock(mutex_);
    config_ = config;
}

bool OutcomeRecorder::push(Note note) {
    const std::size_t bytes = std::visit(
        [](const auto& one) {
            if constexpr (requires { one.feedback; }) {
                return size_of(one.feedback);
            } else {
                return size_of(one);
            }
        },
        note);
    {
        const std::scoped_lock lock(mutex_);
        if (stopping_ || waiting_.size() >= kMostWaiting || bytes_ + bytes > kMostBytes) {
            dropped_.fetch_add(1, std::memory_order_relaxed);
            return false;
        }
        bytes_ += bytes;
        waiting_.push_back(std::move(note));
    }
    wake_.notify_one();
    return true;
}

void OutcomeRecorder::offer(AnsweredCall call) { (void)push(std::move(call)); }
void OutcomeRecorder::offer(AnswerVector vector) { (void)push(std::move(vector)); }
void OutcomeRecorder::offer(AnswerOutcomes outcomes) { (void)push(std::move(outcomes)); }

PostedValue<OutcomeRecorder::Taken> OutcomeRecorder::tell(Executor& executor, const RequestId& id,
                                                          std::string tenant,
                                                          lab::StoredFeedback feedback) {
    PostedValue<Taken> value(executor);
    if (!push(Said{id, std::move(tenant), std::move(feedback), value.sender()}))
        value.sender().send(fail(unavailable("too much waits to be written")));
    return value;
}

OutcomeRecorder::Counters OutcomeRecorder::counters() const noexcept {
    constexpr auto kRelaxed = std::memory_order_relaxed;
    return {answers_.load(kRelaxed), outcomes_.load(kRelaxed), dropped_.load(kRelaxed),
            failed_.load(kRelaxed), unknown_.load(kRelaxed)};
}

void OutcomeRecorder::run() noexcept {
    std::unique_lock lock(mutex_);
    for (;;) {
        wake_.wait_until(lock, sweep_at_, [this] { return stopping_ || !waiting_.empty(); });
        if (stopping_ && waiting_.empty()) return;
        std::vector<Note> notes;
        const std::size_t count = std::min(waiting_.size(), kBatch);
        const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(count);
        std::move(waiting_.begin(), end, std::back_inserter(notes));
        waiting_.erase(waiting_.begin(), end);
        if (waiting_.empty()) bytes_ = 0;
        lock.unlock();
        if (!notes.empty()) write(notes);
        if (monotonic_now() >= sweep_at_) sweep();
        notes.clear();
        lock.lock();
    }
}

void OutcomeRecorder::write(std::vector<Note>& notes) {
    auto transaction = begin_patiently(store_);
    Result<void> done;
    std::vector<Result<bool>> results;
    if (!transaction) done = fail(std::move(transaction.error()));
    if (done) {
        for (const Note& note : notes) results.push_back(apply(note));
        done = transaction->commit();
    }
    if (!done && !failing_) spdlog::error("outcomes are not recorded: {}", done.error().text());
    failing_ = !done;
    for (std::size_t i = 0; i < notes.size(); ++i) {
        Result<bool> result = done ? std::move(results[i]) : fail(done.error());
        if (!result) {
            failed_.fetch_add(1, std::memory_order_relaxed);
            result = fail(unavailable(result.error().message));
        } else if (*result) {
            const bool is_answer = std::holds_alternative<AnsweredCall>(notes[i]);
            (is_answer ? answers_ : outcomes_).fetch_add(1, std::memory_order_relaxed);
        }
        if (const auto* said = std::get_if<Said>(&notes[i])) {
            if (result && !*result) unknown_.fetch_add(1, std::memory_order_relaxed);
            said->sender.send(std::move(result));
        }
    }
}

Result<bool> OutcomeRecorder::apply(const Note& note) {
    return std::visit([this](const auto& one) { return put(one); }, note);
}

Result<bool> OutcomeRecorder::put(const AnsweredCall& call) {
    lab::StoredQuery query = lab::stored_query(call.text);
    if (call.conversation) query.text = *call.conversation;
    query.tenant = call.tenant;
    query.task = call.route;
    const auto number = store_.put(query);
    if (!number) return fail(number.error());
    auto done = store_.put(*number, call.answer);
    if (done && call.vector.vector)
        done = store_.put(*number, *call.vector.fingerprint, *call.vector.vector);
    if (!done) return fail(std::move(done.error()));
    return true;
}

// Neither says more than what is counted with the answer.
Result<bool> OutcomeRecorder::put(const AnswerVector& vector) {
    const auto answer = store_.find_answer(vector.id, vector.tenant);
    if (!answer) return fail(answer.error());
    if (!*answer) return false;
    auto done = store_.put((*answer)->query, *vector.vector.fingerprint, *vector.vector.vector);
    if (!done) return fail(std::move(done.error()));
    return false;
}

Result<bool> OutcomeRecorder::put(const AnswerOutcomes& outcomes) {
    const auto answer = store_.find_answer(outcomes.id, outcomes.tenant);
    if (!answer) return fail(answer.error());
    if (!*answer) return false;
    for (const lab::StoredOutcome& one : outcomes.outcomes) {
        auto done = store_.put((*answer)->query, one);
        if (!done) return fail(std::move(done.error()));
    }
    return !outcomes.outcomes.empty();
}

Result<bool> OutcomeRecorder::put(const Said& said) {
    const auto answer = store_.find_answer(said.id, said.tenant);
    if (!answer) return fail(answer.error());
    if (!*answer) return false;
    Result<void> done = store_.put(said.id, said.feedback);
    if (done && said.feedback.quality) {
        lab::StoredOutcome outcome{(*answer)->call};
        outcome.source = lab::OutcomeSource::kFeedback;
        outcome.quality = *said.feedback.quality;
        outcome.at_s = said.feedback.at_s;
        done = store_.put((*answer)->query, outcome);
    }
    if (!done) return fail(std::move(done.error()));
    return true;
}

void OutcomeRecorder::sweep() {
    OutcomesConfig config;
    {
        const std::scoped_lock lock(mutex_);
        config = config_;
    }
    const auto dropped =
        store_.sweep({unix_now_s() - config.retention.count(), config.rows}, kSweepRows);
    if (!dropped) spdlog::warn("old outcomes are not deleted: {}", dropped.error().text());
    const bool more = dropped && *dropped >= static_cast<std::size_t>(kSweepRows);
    sweep_at_ = monotonic_now() + (more ? std::chrono::seconds(1) : kSweepEvery);
}

}  // namespace leeway::app
