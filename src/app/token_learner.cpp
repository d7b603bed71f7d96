#include "app/token_learner.hpp"

#include "app/calibration_file.hpp"
#include "base/clock.hpp"
#include "tokens/chat_count.hpp"

#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace leeway::app {
namespace {

// With kMostBytes each, 16 MiB at the very most.
constexpr std::size_t kMostWaiting = 64;
// What a kill may lose.
constexpr std::chrono::seconds kSaveEvery{10};
// The requests come first: learning takes the rest of the time.
constexpr int kNice = 10;

}  // namespace

bool LessonQueue::push(Lesson lesson) {
    {
        const std::scoped_lock lock(mutex_);
        if (closed_ || waiting_.size() >= kMostWaiting) return false;
        waiting_.push_back(std::move(lesson));
    }
    wake_.notify_one();
    return true;
}

std::vector<Lesson> LessonQueue::take(std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, patience, [this] { return closed_ || !waiting_.empty(); });
    return std::exchange(waiting_, {});
}

void LessonQueue::close() {
    {
        const std::scoped_lock lock(mutex_);
        closed_ = true;
    }
    wake_.notify_one();
}

bool LessonQueue::closed() const {
    const std::scoped_lock lock(mutex_);
    return closed_;
}

std::unique_ptr<TokenLearner> TokenLearner::start(std::string state_folder) {
    std::unique_ptr<TokenLearner> out(new TokenLearner(std::move(state_folder)));
    if (const auto loaded = load_calibration(out->state_folder_, out->book_); !loaded) {
        spdlog::warn("token counts are learned anew: {}", loaded.error().text());
    }
    out->thread_ = std::thread([learner = out.get()] {
        ::pthread_setname_np(::pthread_self(), "learner");
        ::setpriority(PRIO_PROCESS, 0, kNice);  // of this thread alone, on Linux
        learner->run();
    });
    return out;
}

TokenLearner::~TokenLearner() {
    queue_.close();
    if (thread_.joinable()) thread_.join();
}

void TokenLearner::offer(Lesson lesson) {
    if (!queue_.push(std::move(lesson))) passed_over_.fetch_add(1, std::memory_order_relaxed);
}

void TokenLearner::run() noexcept {
    TimePoint save_at = monotonic_now() + kSaveEvery;
    bool more = true;
    while (more) {
        const auto lessons = queue_.take(kSaveEvery);
        more = !lessons.empty() || !queue_.closed();
        for (const Lesson& lesson : lessons) learn(lesson);
        if (changed_ && (!more || monotonic_now() >= save_at)) {
            save();
            save_at = monotonic_now() + kSaveEvery;
        }
    }
}

void TokenLearner::learn(const Lesson& lesson) {
    tokens::Calibration learned = lesson.slot->read();
    tokens::ChatCounting counting;
    counting.model = lesson.name;
    counting.rule = lesson.model;
    TokenRule rule;
    rule.vocabulary = lesson.vocabulary;
    counting.tokenizer = tokenizers_.of(rule);
    const auto count = tokens::count_chat(lesson.body, counting);
    if (!count || count->images > 0 || count->unknown_parts > 0) {
        passed_over_.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    const std::uint64_t before = learned.reports();
    learned.learn(count->features, lesson.tokens);
    if (learned.reports() == before) return;  // nothing that can be
    changed_ = true;
    const std::string& key = lesson.slot->key();
    if (learned.reports() > tokens::Calibration::kEnoughReports && learned.drifts()) {
        spdlog::warn(
            "token counts of {} are all off to one side: its provider may have changed the "
            "tokenizer; they are those of the prior until {} more reports are in",
            key, tokens::Calibration::kEnoughReports);
        lesson.slot->note_drift();
        learned.begin_again(lesson.slot->family());
    } else if (learned.reports() == tokens::Calibration::kEnoughReports) {
        spdlog::info("token counts of {} are calibrated: within {:.1f} % by {} reports", key,
                     200 * learned.relative_error(), learned.reports());
    }
    lesson.slot->write(learned);
}

void TokenLearner::save() {
    const auto saved = save_calibration(state_folder_, book_);
    if (!saved && !save_failed_) spdlog::error("what was learned: {}", saved.error().text());
    save_failed_ = !saved;
    changed_ = !saved;
}

}  // namespace leeway::app
