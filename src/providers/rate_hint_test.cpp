#include "providers/rate_hint.hpp"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace leeway::providers {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::int64_t kNow = 1'796'371'200'000'000;  // 2026-12-04T08:00:00Z

std::optional<Duration> rest(
    int status, const std::vector<std::pair<std::string_view, std::string_view>>& fields) {
    net::ResponseHead head;
    head.status = status;
    for (const auto& [name, value] : fields) head.fields.add(name, value);
    return rate_rest(head, kNow);
}

TEST(RateHint, NothingLeftMeansRestUntilTheReset) {
    EXPECT_EQ(rest(200, {{"x-ratelimit-remaining-requests", "0"},
                         {"x-ratelimit-reset-requests", "1m30.5s"}}),
              Duration(milliseconds(9'050)));
    EXPECT_EQ(
        rest(200, {{"X-RateLimit-Remaining-Tokens", "0"}, {"x-ratelimit-reset-tokens", "250ms"}}),
        Duration(milliseconds(25)));
    EXPECT_EQ(
        rest(200, {{"x-ratelimit-remaining-tokens", "0"}, {"x-ratelimit-reset-tokens", "12"}}),
        Duration(milliseconds(1'200)));
    EXPECT_EQ(rest(200, {{"anthropic-ratelimit-input-tokens-remaining", "0"},
                         {"anthropic-ratelimit-input-tokens-reset", "2026-12-04T08:00:30Z"}}),
              Duration(seconds(3)));
}

TEST(RateHint, TheLongestCountsUnlessItIsToldWhenToComeAgain) {
    EXPECT_EQ(rest(200, {{"x-ratelimit-remaining-requests", "0"},
                         {"x-ratelimit-reset-requests", "20s"},
                         {"x-ratelimit-remaining-tokens", "0"},
                         {"x-ratelimit-reset-tokens", "40s"}}),
              Duration(seconds(4)));
    EXPECT_EQ(rest(429, {{"x-ratelimit-remaining-requests", "0"},
                         {"x-ratelimit-reset-requests", "6m0s"},
                         {"retry-after", "3"}}),
              Duration(seconds(3)));
    EXPECT_EQ(rest(429, {{"retry-after-ms", "1500"}}), Duration(milliseconds(1'500)));
    EXPECT_EQ(rest(429, {{"retry-after", "86400"}}), Duration(std::chrono::minutes(10)));
}

TEST(RateHint, SomethingLeftOrNothingReadableMeansNoRest) {
    EXPECT_FALSE(rest(200, {}));
    EXPECT_FALSE(rest(503, {{"retry-after", "9"}})) << "no rate limit";
    EXPECT_FALSE(
        rest(200, {{"x-ratelimit-remaining-requests", "1"}, {"x-ratelimit-reset-requests", "9s"}}));
    EXPECT_FALSE(rest(200, {{"x-ratelimit-remaining-requests", "0"}}));
    for (const char* bad : {"soon", "", "-1s", "1x", "1e9s", "99999999999s", "1..2s"}) {
        EXPECT_FALSE(rest(
            200, {{"x-ratelimit-remaining-requests", "0"}, {"x-ratelimit-reset-requests", bad}}))
            << bad;
    }
    for (const char* bad : {"2026-12-04T08:00:30", "2026-13-04T08:00:30Z", "2026-12-04",
                            "2026-12-04T07:00:00Z", "30"}) {
        EXPECT_FALSE(rest(200, {{"anthropic-ratelimit-requests-remaining", "0"},
                                {"anthropic-ratelimit-requests-reset", bad}}))
            << bad;
    }
}

}  // namespace
}  // namespace leeway::providers
