#include "app/model_hosts.hpp"

#include <gtest/gtest.h>

namespace leeway::app {
namespace {

Config config_with(const std::string& file) {
    Config config;
    config.local.folder = "/models";
    ProviderConfig local;
    local.name = "local";
    local.dialect = ProviderDialect::kEmbedded;
    config.providers.push_back(local);
    ModelConfig model;
    model.name = "small";
    model.provider = "local";
    model.file = file;
    config.models.push_back(model);
    return config;
}

std::shared_ptr<ModelHost> host_of(const ModelHosts& hosts, const Config& config) {
    auto host = hosts.host_for(config);
    EXPECT_TRUE(host);
    return host ? std::move(*host) : nullptr;
}

TEST(ModelHosts, NoEmbeddedProviderNeedsNone) {
    ModelHosts hosts("/state");
    EXPECT_EQ(host_of(hosts, Config()), nullptr);
    EXPECT_FALSE(hosts.use(nullptr));
    EXPECT_EQ(hosts.count(), 0U);
}

TEST(ModelHosts, WhatTheHostIsNotToldChangesNothing) {
    ModelHosts hosts("/state");
    Config config = config_with("a.gguf");
    const auto host = host_of(hosts, config);
    EXPECT_EQ(host->url, "unix:/state/model-host.sock");
    EXPECT_TRUE(hosts.use(host));
    config.routes.emplace_back();
    config.models[0].tags = {"chat"};
    EXPECT_EQ(host_of(hosts, config), host);
    EXPECT_FALSE(hosts.use(host));
    EXPECT_EQ(hosts.count(), 1U);
}

TEST(ModelHosts, TheOldHostLivesAsLongAsARequestHoldsIt) {
    ModelHosts hosts("/state");
    hosts.use(host_of(hosts, config_with("a.gguf")));
    auto request = host_of(hosts, config_with("a.gguf"));
    auto next = host_of(hosts, config_with("b.gguf"));
    EXPECT_NE(next, request);
    EXPECT_EQ(next->url, "unix:/state/model-host-1.sock");
    EXPECT_EQ(next->supervisor.state().phase, models::HostPhase::kIdle) << "nobody asked for it";
    EXPECT_TRUE(hosts.use(std::move(next)));
    hosts.end_unused();
    EXPECT_EQ(hosts.count(), 2U);
    request.reset();
    hosts.end_unused();
    EXPECT_EQ(hosts.count(), 1U);
    EXPECT_EQ(host_of(hosts, config_with("c.gguf"))->number, 0U) << "free again";
    EXPECT_TRUE(hosts.use(nullptr));
    hosts.end_unused();
    EXPECT_EQ(hosts.count(), 0U);
}

TEST(ModelHosts, AConfigurationThatIsRefusedLeavesNoTrace) {
    ModelHosts hosts("/state");
    const auto present = host_of(hosts, config_with("a.gguf"));
    hosts.use(present);
    host_of(hosts, config_with("b.gguf")).reset();
    EXPECT_EQ(hosts.count(), 1U);
    EXPECT_EQ(host_of(hosts, config_with("a.gguf")), present);
}

}  // namespace
}  // namespace leeway::app
