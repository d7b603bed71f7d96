#include "app/alert_sender.hpp"

#include "ledger/testing.hpp"

#include <gtest/gtest.h>

namespace leeway::app {
namespace {

constexpr std::int64_t kNow = 1'790'000'000;

budget::Alert alert(std::int64_t begin, std::int64_t end, std::uint32_t threshold = 8000) {
    budget::Alert out;
    out.budget = "day";
    out.scope = {budget::ScopeKind::kTeam, "travel"};
    out.threshold_bp = threshold;
    out.posted = 8'000'000'000'001;
    out.limit = 10'000'000'000'000;
    out.window_begin_s = begin;
    out.resets_unix_s = end;
    return out;
}

TEST(AlertOutbox, TellsOncePerWindowAndThresholdAlsoWhenOpenedAgain) {
    const ledger::testing::TemporaryFolder folder;
    {
        auto outbox = AlertOutbox::open(folder.path());
        ASSERT_TRUE(outbox) << outbox.error().text();
        EXPECT_TRUE(*outbox->add(alert(kNow, kNow + 100), kNow, false));
        EXPECT_FALSE(*outbox->add(alert(kNow, kNow + 100), kNow, false));
        EXPECT_TRUE(*outbox->add(alert(kNow, kNow + 100, 10'000), kNow, false));
    }
    auto outbox = AlertOutbox::open(folder.path());
    ASSERT_TRUE(outbox);
    EXPECT_FALSE(*outbox->add(alert(kNow, kNow + 100), kNow, false));
    EXPECT_TRUE(*outbox->add(alert(kNow + 100, kNow + 200), kNow, false)) << "the next day";
    EXPECT_FALSE(*outbox->add(alert(kNow + 150, kNow + 250), kNow, false))
        << "a rolling window that moved on a little";
    EXPECT_FALSE(*outbox->next()) << "nothing was to be sent";
}

TEST(AlertOutbox, TriesAgainWithLongerPausesAndGivesUp) {
    const ledger::testing::TemporaryFolder folder;
    auto outbox = AlertOutbox::open(folder.path());
    ASSERT_TRUE(outbox);
    ASSERT_TRUE(*outbox->add(alert(kNow, kNow + 100), kNow, true));
    std::int64_t now = kNow;
    std::vector<std::int64_t> pauses;
    bool again = true;
    while (again) {
        const auto next = outbox->next();
        ASSERT_TRUE(next && *next);
        pauses.push_back((*next)->first - now);
        now = (*next)->first;
        again = *outbox->failed((*next)->second, now);
    }
    EXPECT_EQ(std::vector<std::int64_t>(pauses.begin(), pauses.begin() + 5),
              (std::vector<std::int64_t>{0, 1, 2, 4, 8}));
    EXPECT_EQ(pauses.back(), 300);
    EXPECT_GT(now - kNow, 23 * 3600);
    EXPECT_FALSE(*outbox->next());
}

TEST(AlertBody, HasExactAmountsAndASignatureThatAnyoneCanCheck) {
    const std::string body = alert_body(alert(kNow - 60, kNow + 60), "ID", kNow);
    EXPECT_EQ(body, R"({"type":"budget_alert","id":"ID","created":"2026-09-21T14:13:20.000000Z",)"
                    R"("budget":"day","scope":"team:travel","threshold_percent":80,"unit":"usd",)"
                    R"("limit":"10","spent":"8.000000000001","left":"1.999999999999",)"
                    R"("window_begins":"2026-09-21T14:12:20.000000Z",)"
                    R"("window_resets":"2026-09-21T14:14:20.000000Z"})");
    // printf '5.{}' | openssl dgst -sha256 -hmac key
    EXPECT_EQ(alert_signature(Secret("key"), "{}", 5),
              "t=5,v1=9be615aec64f0d044b5ad6854ab1d893ec88617fb728d2149dcd3a3428e8c45d");
}

}  // namespace
}  // namespace leeway::app
