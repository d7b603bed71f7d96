#include "base/memory_limit.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <fstream>

namespace leeway {
namespace {

TEST(MemoryLimit, IsTheLeastOfThem) {
    const std::uint64_t machine = memory_limit();
    EXPECT_GT(machine, std::uint64_t{64} << 20);
    rlimit old{};
    ASSERT_EQ(::getrlimit(RLIMIT_AS, &old), 0);
    // What a sanitizer has mapped is more than any machine has: with the limit nothing could be mapped any more.
    std::uint64_t mapped_pages = 0;
    std::ifstream("/proc/self/statm") >> mapped_pages;
    constexpr std::uint64_t kPage = 4096;
    if (mapped_pages * kPage > machine / 2) GTEST_SKIP() << "more is mapped already";
    rlimit less = old;
    less.rlim_cur = machine / 2;
    if (::setrlimit(RLIMIT_AS, &less) != 0) GTEST_SKIP() << "no limit can be set here";
    const std::uint64_t limited = memory_limit();
    ::setrlimit(RLIMIT_AS, &old);
    EXPECT_EQ(limited, machine / 2);
}

}  // namespace
}  // namespace leeway
