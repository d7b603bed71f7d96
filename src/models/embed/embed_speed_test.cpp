// Measures, so it runs only when asked: LEEWAY_BENCH=1 leeway_tests --gtest_filter='EmbedSpeed*'

#include "models/embed/embed_service.hpp"
#include "net/testing.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <future>
#include <string>

namespace leeway::models {
namespace {

using namespace std::chrono_literals;

constexpr int kTexts = 4000;
const std::string kQuestion = "How do I get my money back for a ticket that I lost? number ";

double thread_cpu_us() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) * 1e-3;
}

/// Vectors of MiniLM's length at no cost, so that what is measured is all but the model.
class InstantSource final : public EmbedSource {
public:
    Task<Result<Vectors>> compute(std::span<const std::string> texts) override {
        Vectors out;
        out.fingerprint = "x";
        out.dimension = 384;
        out.values.assign(texts.size() * out.dimension, 1.0F);
        co_return out;
    }
    void stop() noexcept override {}
};

struct Times {
    double cpu_us = 0;   ///< of the worker's thread, a text
    double wall_us = 0;  ///< a text
};

Task<void> ask_all(Embedder* embedder, Executor* executor, std::promise<Times>* to) {
    const double cpu = thread_cpu_us();
    const TimePoint start = monotonic_now();
    for (int i = 0; i < kTexts; ++i) {
        auto made = co_await embedder->embed(kQuestion + std::to_string(i), *executor, 10s);
        if (!made) break;
    }
    to->set_value(
        {(thread_cpu_us() - cpu) / kTexts,
         std::chrono::duration<double, std::micro>(monotonic_now() - start).count() / kTexts});
}

TEST(EmbedSpeed, WhatATextCostsBesidesTheModel) {
    if (std::getenv("LEEWAY_BENCH") == nullptr) GTEST_SKIP() << "set LEEWAY_BENCH=1 to measure";
    net::testing::LoopThread own;
    net::testing::LoopThread worker;
    EmbedService service(own.loop(), EmbedQueue::Limits{std::uint64_t{32} << 20U});
    EmbedService::Settings settings;
    settings.timeout = 10s;
    service.use(std::make_shared<InstantSource>(), settings, false);
    for (const char* what : {"not in the memo", "in the memo"}) {
        std::promise<Times> done;
        auto times = done.get_future();
        worker.loop().post([&] { worker.loop().spawn(ask_all(&service, &worker.loop(), &done)); });
        const Times one = times.get();
        fmt::print("{:>16}: {:6.2f} us of the worker's CPU, {:6.1f} us until it is there\n", what,
                   one.cpu_us, one.wall_us);
    }
    EXPECT_EQ(service.stats().memo_hits, static_cast<std::uint64_t>(kTexts));
    service.stop();
    worker.finish();
    own.finish();
}

}  // namespace
}  // namespace leeway::models
