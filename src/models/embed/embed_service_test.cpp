#include "models/embed/embed_service.hpp"

#include "base/hash.hpp"
#include "net/testing.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <future>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace leeway::models {
namespace {

using net::testing::eventually;
using net::testing::LoopThread;
using namespace std::chrono_literals;

/// Vectors that tell which text they are of: {its length, 1}. It can be held, and told to fail.
class FakeSource final : public EmbedSource {
public:
    explicit FakeSource(net::EventLoop& loop, std::string print = "one")
        : loop_(loop), print_(std::move(print)) {}

    Task<Result<Vectors>> compute(std::span<const std::string> texts) override {
        {
            const std::scoped_lock lock(mutex_);
            batches_.emplace_back(texts.begin(), texts.end());
        }
        begun.fetch_add(1);
        while (held.load() && !stopped_) {
            auto pause = loop_.sleep_for(1ms);
            co_await pause;
        }
        if (stopped_) co_return fail(ErrorCode::kUnavailable, "stopped");
        if (down.load()) co_return fail(ErrorCode::kUnavailable, "the host is down");
        Vectors out;
        out.fingerprint = print_;
        out.dimension = 2;
        for (const std::string& text : texts) {
            if (text == "bad") co_return fail(ErrorCode::kInvalidRequest, "a bad text");
            const bool zero = text == "zero";
            const float length = text == "infinite" ? std::numeric_limits<float>::infinity()
                                                    : static_cast<float>(text.size());
            out.values.insert(out.values.end(), {zero ? 0 : length, zero ? 0.0F : 1.0F});
        }
        co_return out;
    }
    void stop() noexcept override { stopped_ = true; }

    std::vector<std::vector<std::string>> batches() {
        const std::scoped_lock lock(mutex_);
        return batches_;
    }
    std::atomic<bool> held{false};
    std::atomic<bool> down{false};
    std::atomic<int> begun{0};

private:
    net::EventLoop& loop_;
    const std::string print_;
    bool stopped_ = false;  // on the loop
    std::mutex mutex_;
    std::vector<std::vector<std::string>> batches_;
};

using Answer = Result<Embedded>;

Task<void> ask_task(Embedder* embedder, Executor* executor, std::string scope, std::string text,
                    Duration limit, std::shared_ptr<std::promise<Answer>> to) {
    Answer answer =
        co_await embedder->embed_within(std::move(scope), std::move(text), *executor, limit);
    to->set_value(std::move(answer));
}

std::future<Answer> ask_on(net::EventLoop& loop, Embedder& embedder, std::string text,
                           Duration limit = 10s, std::string scope = {}) {
    auto to = std::make_shared<std::promise<Answer>>();
    auto out = to->get_future();
    loop.post([&loop, &embedder, text = std::move(text), scope = std::move(scope), limit, to] {
        loop.spawn(ask_task(&embedder, &loop, scope, text, limit, to));
    });
    return out;
}

class EmbedServiceTest : public ::testing::Test {
protected:
    void start(EmbedQueue::Limits limits = {}) {
        service_ = std::make_unique<EmbedService>(own_.loop(), limits);
        source_ = std::make_shared<FakeSource>(own_.loop());
        service_->use(source_, settings_, false);
    }
    void TearDown() override { stop(); }
    void stop() {
        if (service_) service_->stop();
        worker_.finish();
        own_.finish();
        service_.reset();
    }
    std::future<Answer> ask(const std::string& text, Duration limit = 10s) {
        return ask_on(worker_.loop(), *service_, text, limit);
    }
    /// Asks for a text whose batch stays under way until `source_->held` is false.
    std::future<Answer> ask_and_hold(const std::string& text) {
        source_->held = true;
        const int before = source_->begun;
        auto out = ask(text);
        EXPECT_TRUE(eventually([&] { return source_->begun > before; }));
        return out;
    }
    static EmbedService::Settings usual() {
        EmbedService::Settings out;
        out.identity = out.name = "model";
        out.timeout = 10s;
        return out;
    }

    LoopThread own_;
    LoopThread worker_;
    EmbedService::Settings settings_ = usual();
    std::shared_ptr<FakeSource> source_;
    std::unique_ptr<EmbedService> service_;
};

TEST_F(EmbedServiceTest, ATextIsComputedOnceAndThenKnown) {
    start();
    const Answer first = ask("abc").get();
    ASSERT_TRUE(first) << first.error().text();
    EXPECT_FALSE(first->known);
    EXPECT_EQ(first->model->fingerprint, "one");
    EXPECT_EQ(first->model->dimension, 2U);
    EXPECT_NEAR((*first->vector)[0], 3 / std::sqrt(10.0F), 1e-6) << "unit length";
    const Answer second = ask("abc").get();
    ASSERT_TRUE(second);
    EXPECT_TRUE(second->known);
    EXPECT_EQ(second->vector, first->vector) << "shared, not copied";
    EXPECT_EQ(source_->batches().size(), 1U);
    EXPECT_EQ(service_->stats().memo_hits, 1U);
    EXPECT_EQ(service_->stats().texts, 2U);
}

TEST_F(EmbedServiceTest, WhoAsksForATextUnderWayWaitsForThatOne) {
    start();
    auto first = ask_and_hold("abc");
    auto second = ask("abc");
    auto third = ask("abc");
    ASSERT_TRUE(eventually([&] { return service_->stats().joined == 2; }));
    source_->held = false;
    EXPECT_FALSE(first.get()->known);
    EXPECT_TRUE(second.get()->known);
    EXPECT_TRUE(third.get()->known);
    EXPECT_EQ(source_->batches().size(), 1U);
}

TEST_F(EmbedServiceTest, NoTenantLearnsFromTheTimeWhatAnotherAsked) {
    start();
    const auto ask_as = [&](const std::string& scope, const std::string& text) {
        return ask_on(worker_.loop(), *service_, text, 10s, scope);
    };
    ASSERT_TRUE(ask_as("a", "bc").get());
    EXPECT_TRUE(ask_as("a", "bc").get()->known) << "its own it may know";
    EXPECT_FALSE(ask_as("b", "bc").get()->known);
    EXPECT_FALSE(ask_as("", "abc").get()->known);
    EXPECT_FALSE(ask_as("ab", "c").get()->known) << "the same letters";
    source_->held = true;
    const int before = source_->begun;
    auto one = ask_as("a", "new");
    ASSERT_TRUE(eventually([&] { return source_->begun > before; }));
    auto other = ask_as("b", "new");
    ASSERT_TRUE(eventually([&] { return service_->stats().waiting == 1; })) << "nor joins";
    source_->held = false;
    EXPECT_TRUE(one.get());
    EXPECT_TRUE(other.get());
    EXPECT_EQ(service_->stats().joined, 0U);
}

TEST_F(EmbedServiceTest, WhatWaitsMeanwhileGoesTogetherUpToTheLimit) {
    settings_.batch = 3;
    start();
    auto first = ask_and_hold("first");
    std::vector<std::future<Answer>> others;
    for (std::size_t i = 0; i < 5; ++i) others.push_back(ask(std::string(i + 10, 'x')));
    ASSERT_TRUE(eventually([&] { return service_->stats().waiting == 5; }));
    source_->held = false;
    for (std::size_t i = 0; i < 5; ++i) {
        const Answer answer = others[i].get();
        ASSERT_TRUE(answer);
        EXPECT_NEAR((*answer->vector)[0] / (*answer->vector)[1], static_cast<double>(i + 10), 1e-3)
            << "its own";
    }
    EXPECT_TRUE(first.get());
    const auto batches = source_->batches();
    ASSERT_EQ(batches.size(), 3U);
    EXPECT_EQ(batches[1].size(), 3U);
    EXPECT_EQ(batches[2].size(), 2U);
    EXPECT_EQ(service_->stats().batched_texts, 6U);
}

TEST_F(EmbedServiceTest, TooLateIsAnErrorButTheVectorIsKept) {
    start();
    source_->held = true;
    const Answer late = ask("abc", 20ms).get();
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, ErrorCode::kUpstreamTimeout);
    EXPECT_EQ(service_->stats().late, 1U);
    source_->held = false;
    ASSERT_TRUE(eventually([&] { return service_->stats().memo_entries == 1; }));
    EXPECT_TRUE(ask("abc").get()->known);
    EXPECT_EQ(source_->batches().size(), 1U);
    EXPECT_EQ(ask("new", 0ms).get().error().code, ErrorCode::kUpstreamTimeout) << "no time at all";
}

TEST_F(EmbedServiceTest, WhoJoinsLateIsToldInTimeAsWell) {
    start();
    source_->held = true;
    EXPECT_FALSE(ask("abc", 20ms).get());
    const Answer joined = ask("abc", 30ms).get();
    ASSERT_FALSE(joined);
    EXPECT_EQ(joined.error().code, ErrorCode::kUpstreamTimeout);
    source_->held = false;
}

TEST_F(EmbedServiceTest, TheConfiguredTimeIsTheMost) {
    settings_.timeout = 20ms;
    start();
    source_->held = true;
    EXPECT_EQ(ask("abc", 500ms).get().error().code, ErrorCode::kUpstreamTimeout);
    auto background = ask("utterance", 10s);
    EXPECT_EQ(background.wait_for(100ms), std::future_status::timeout) << "nobody's request";
    source_->held = false;
    EXPECT_TRUE(background.get());
}

TEST_F(EmbedServiceTest, WhatNobodyWaitsForAnyMoreIsNotSent) {
    start();
    auto first = ask_and_hold("first");
    EXPECT_FALSE(ask("second", 20ms).get());
    EXPECT_EQ(service_->stats().waiting, 0U);
    source_->held = false;
    ASSERT_TRUE(first.get());
    ASSERT_TRUE(ask("third").get());
    for (const auto& batch : source_->batches()) EXPECT_EQ(batch.size(), 1U);
    EXPECT_EQ(source_->batches().size(), 2U);
}

TEST_F(EmbedServiceTest, TooManyThatWaitAreRefused) {
    EmbedQueue::Limits limits;
    limits.texts = 2;
    start(limits);
    auto first = ask_and_hold("first");
    auto second = ask("second");
    auto third = ask("third");
    ASSERT_TRUE(eventually([&] { return service_->stats().waiting == 2; }));
    const Answer fourth = ask("fourth").get();
    ASSERT_FALSE(fourth);
    EXPECT_EQ(fourth.error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(fourth.error().reason, "embedding_busy");
    auto joined = ask("third");
    source_->held = false;
    EXPECT_TRUE(second.get());
    EXPECT_TRUE(joined.get()) << "what waits already takes no room";
    EXPECT_TRUE(first.get());
    EXPECT_TRUE(third.get());
}

TEST_F(EmbedServiceTest, TooManyBytesThatWaitAreRefused) {
    EmbedQueue::Limits limits;
    limits.bytes = 100;
    start(limits);
    EXPECT_FALSE(ask(std::string(101, 'x')).get());
    EXPECT_TRUE(ask(std::string(100, 'x')).get());
}

TEST_F(EmbedServiceTest, AnotherFingerprintDropsTheMemo) {
    start();
    ASSERT_TRUE(ask("abc").get());
    source_ = std::make_shared<FakeSource>(own_.loop(), "two");
    service_->use(source_, settings_, false);
    EXPECT_EQ(ask("abc").get()->model->fingerprint, "one") << "the same model, as far as is known";
    EXPECT_EQ(ask("new").get()->model->fingerprint, "two");
    const Answer again = ask("abc").get();
    EXPECT_EQ(again->model->fingerprint, "two");
    EXPECT_FALSE(again->known);
    EXPECT_EQ(service_->stats().model_changes, 1U);
}

TEST_F(EmbedServiceTest, AnotherModelOfTheConfigurationDropsTheMemoAndWhatIsUnderWay) {
    start();
    ASSERT_TRUE(ask("abc").get());
    auto under_way = ask_and_hold("under way");
    const auto before = source_;
    source_ = std::make_shared<FakeSource>(own_.loop(), "two");
    settings_.identity = "another";
    service_->use(source_, settings_, false);
    before->held = false;
    EXPECT_EQ(under_way.get()->model->fingerprint, "one") << "what it was asked of";
    EXPECT_EQ(service_->stats().memo_entries, 0U);
    EXPECT_EQ(ask("abc").get()->model->fingerprint, "two");
    EXPECT_EQ(ask("under way").get()->model->fingerprint, "two");
}

TEST_F(EmbedServiceTest, AReloadThatChangesNothingKeepsTheMemo) {
    start();
    ASSERT_TRUE(ask("abc").get());
    service_->use(std::make_shared<FakeSource>(own_.loop()), settings_, false);
    EXPECT_TRUE(ask("abc").get()->known);
}

TEST_F(EmbedServiceTest, AHostThatIsDownIsAnErrorAndToldUntilItIsBack) {
    start();
    EXPECT_FALSE(service_->trouble());
    source_->down = true;
    const Answer down = ask("abc").get();
    ASSERT_FALSE(down);
    EXPECT_EQ(down.error().code, ErrorCode::kUnavailable);
    ASSERT_TRUE(service_->trouble());
    EXPECT_NE(service_->trouble()->find("the host is down"), std::string::npos);
    EXPECT_EQ(service_->stats().failed_batches, 1U);
    source_->down = false;
    EXPECT_TRUE(ask("abc").get()) << "an error is not remembered";
    EXPECT_FALSE(service_->trouble());
}

TEST_F(EmbedServiceTest, ABadTextHarmsNoOther) {
    start();
    auto first = ask_and_hold("first");
    auto good = ask("good");
    auto bad = ask("bad");
    auto fine = ask("fine");
    ASSERT_TRUE(eventually([&] { return service_->stats().waiting == 3; }));
    source_->held = false;
    EXPECT_TRUE(first.get());
    EXPECT_TRUE(good.get());
    EXPECT_TRUE(fine.get());
    const Answer refused = bad.get();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidRequest);
    EXPECT_FALSE(service_->trouble()) << "the model is well";
}

TEST_F(EmbedServiceTest, VectorsThatAreNoneAreAnError) {
    start();
    EXPECT_EQ(ask("zero").get().error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(ask("infinite").get().error().code, ErrorCode::kUnavailable);
    EXPECT_TRUE(ask("abc").get());
}

TEST_F(EmbedServiceTest, EmptyTextsAreRefusedAndLongOnesCut) {
    settings_.most_bytes = 1000;
    start();
    EXPECT_EQ(ask("").get().error().code, ErrorCode::kInvalidRequest);
    std::string text(999, 'x');
    text += "\xF0\x9F\x99\x82 and much more";
    ASSERT_TRUE(ask(text).get());
    ASSERT_TRUE(ask(std::string(1 << 20U, '\xFF')).get());
    const auto batches = source_->batches();
    EXPECT_EQ(batches[0][0], std::string(999, 'x')) << "not within a character";
    EXPECT_EQ(batches[1][0].size(), 1000U);
}

TEST_F(EmbedServiceTest, TheFirstTextOfAWarmedModelIsNotTheFirstBatch) {
    start();
    service_->use(source_, settings_, true);
    ASSERT_TRUE(eventually([&] { return service_->stats().batches == 1; }));
    ASSERT_TRUE(service_->model());
    EXPECT_EQ(service_->stats().texts, 0U) << "nobody asked";
}

TEST_F(EmbedServiceTest, TheEndAnswersEverybody) {
    start();
    auto under_way = ask_and_hold("first");
    auto waits = ask("second");
    ASSERT_TRUE(eventually([&] { return service_->stats().waiting == 1; }));
    service_->stop();
    EXPECT_EQ(under_way.get().error().reason, "shutting_down");
    EXPECT_EQ(waits.get().error().reason, "shutting_down");
    const Answer after = ask("third").get();
    EXPECT_EQ(after.error().code, ErrorCode::kUnavailable);
    service_.reset();
}

TEST_F(EmbedServiceTest, ManyLoopsAtOnceGetTheirOwnVectors) {
    start();
    LoopThread other;
    std::vector<std::pair<std::size_t, std::future<Answer>>> answers;
    for (std::size_t i = 0; i < 2000; ++i) {
        const std::size_t length = 1 + i * 7919 % 211;
        answers.emplace_back(length, ask_on(i % 2 == 0 ? worker_.loop() : other.loop(), *service_,
                                            std::string(length, 'x')));
    }
    for (auto& [length, future] : answers) {
        const Answer answer = future.get();
        ASSERT_TRUE(answer) << answer.error().text();
        EXPECT_NEAR((*answer->vector)[0] / (*answer->vector)[1], static_cast<double>(length), 0.01);
    }
    const EmbedStats stats = service_->stats();
    EXPECT_EQ(stats.batched_texts, 211U) << "each text once";
    EXPECT_EQ(stats.texts, 2000U);
    EXPECT_EQ(stats.memo_hits + stats.joined + 211, 2000U);
}

TEST(VectorMemo, ForgetsWhatWasNotAskedForLongest) {
    const auto vector = std::make_shared<const std::vector<float>>(100, 1.0F);
    VectorMemo memo(3 * 600);
    for (std::uint64_t i = 0; i < 3; ++i) memo.put({i, 0}, vector);
    EXPECT_EQ(memo.bytes(), 1800U);
    EXPECT_TRUE(memo.find({0, 0}));
    memo.put({3, 0}, vector);
    EXPECT_FALSE(memo.find({1, 0}));
    EXPECT_TRUE(memo.find({0, 0}));
    memo.put({3, 0}, vector);
    EXPECT_EQ(memo.size(), 3U);
    memo.limit(600);
    EXPECT_EQ(memo.size(), 1U);
    EXPECT_TRUE(memo.find({3, 0}));
    memo.clear();
    EXPECT_EQ(memo.bytes(), 0U);
}

}  // namespace
}  // namespace leeway::models
