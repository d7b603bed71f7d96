#include "ledger/spill.hpp"

#include "ledger/testing.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <thread>

namespace leeway::ledger {
namespace {

using testing::TemporaryFolder;

std::unique_ptr<SpillQueue> open_spill(const std::string& path) {
    auto spill = SpillQueue::open(path);
    if (!spill) {
        ADD_FAILURE() << spill.error().text();
        std::abort();
    }
    return std::move(*spill);
}

std::string payload(int number) {
    return std::to_string(number) + std::string(static_cast<std::size_t>(number % 300), 'x');
}

TEST(LedgerSpill, KeepsNoFileUntilSomethingIsSpilledAndNoneAfterwards) {
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/s";
    {
        const auto spill = open_spill(path);
        EXPECT_FALSE(std::filesystem::exists(path));
        ASSERT_TRUE(spill->append("one"));
        EXPECT_TRUE(std::filesystem::exists(path));
        EXPECT_TRUE(spill->has_unread());
        EXPECT_EQ(spill->next(), "one");
        EXPECT_FALSE(spill->next());
        spill->release();
        EXPECT_EQ(std::filesystem::file_size(path), 0U);
        EXPECT_EQ(spill->used(), 0U);
    }
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(LedgerSpill, FindsEverythingAfterReopenButATornLastFrame) {
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/s";
    {
        const auto spill = open_spill(path);
        for (int n = 0; n < 5000; ++n) ASSERT_TRUE(spill->append(payload(n)));
    }
    std::filesystem::resize_file(path, std::filesystem::file_size(path) - 5);
    const auto spill = open_spill(path);
    for (int n = 0; n < 4999; ++n) ASSERT_EQ(spill->next(), payload(n));
    EXPECT_FALSE(spill->next());
    EXPECT_FALSE(spill->has_unread());
    spill->rewind();
    EXPECT_EQ(spill->next(), payload(0));
    ASSERT_TRUE(spill->append("new"));
    spill->rewind();
    for (int n = 0; n < 4999; ++n) ASSERT_EQ(spill->next(), payload(n));
    EXPECT_EQ(spill->next(), "new");
}

TEST(LedgerSpill, PassesRecordsBetweenTwoThreads) {
    const TemporaryFolder folder;
    const auto spill = open_spill(folder.path() + "/s");
    constexpr int kCount = 5000;
    std::thread producer([&] {
        for (int n = 0; n < kCount; ++n) EXPECT_TRUE(spill->append(payload(n)));
    });
    for (int n = 0; n < kCount;) {
        const auto text = spill->next();
        if (!text) {
            spill->release();
            std::this_thread::yield();
            continue;
        }
        ASSERT_EQ(*text, payload(n));
        ++n;
    }
    producer.join();
    spill->release();
    EXPECT_EQ(spill->used(), 0U);
}

TEST(LedgerSpill, KeepsNothingOfARecordThatTheDiskDoesNotTake) {
    const TemporaryFolder folder;
    const auto spill = open_spill(folder.path() + "/s");
    ASSERT_TRUE(spill->append("first"));
    EXPECT_TRUE(spill->probe());

    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit low{200, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &low), 0);
    EXPECT_FALSE(spill->append(std::string(1000, 'x')));
    EXPECT_FALSE(spill->probe());
    EXPECT_TRUE(spill->append("small"));
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    std::signal(SIGXFSZ, handler);

    EXPECT_TRUE(spill->probe());
    EXPECT_TRUE(spill->append(std::string(1000, 'y')));
    EXPECT_EQ(spill->next(), "first");
    EXPECT_EQ(spill->next(), "small");
    EXPECT_EQ(spill->next(), std::string(1000, 'y'));
    EXPECT_FALSE(spill->next());
}

}  // namespace
}  // namespace leeway::ledger
