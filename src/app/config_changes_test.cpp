#include "app/config_changes.hpp"

#include <gtest/gtest.h>

namespace leeway::app {
namespace {

TEST(ConfigChanges, NamesOnlyWhatARunningGatewayCannotChange) {
    const Config running;
    Config next;
    next.models.emplace_back();
    next.local.folder = "/elsewhere";
    next.local.threads = 7;
    next.ledger.retention_days = 30;
    next.cache.ttl = std::chrono::hours(1);
    next.log.level = "debug";
    next.server.drain_timeout = std::chrono::seconds(1);
    EXPECT_TRUE(changes_for_next_start(running, next).empty());

    next.server.listen = "127.0.0.1:1";
    next.server.limits.body_bytes = 1;
    next.cache.disk_bytes = 0;
    next.ledger.enabled = false;
    EXPECT_EQ(changes_for_next_start(running, next),
              (std::vector<std::string>{"server.listen", "server.limits", "cache.disk",
                                        "ledger.enabled"}));
}

}  // namespace
}  // namespace leeway::app
