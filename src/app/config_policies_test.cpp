#include "app/config_policies.hpp"

#include "base/ed25519.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace leeway::app {
namespace {

std::string refusal(const std::string& text) {
    const auto config = parse_config(text, "leeway.yaml");
    return config ? std::string("taken") : config.error().message;
}

TEST(ConfigPolicies, ReadsTrustedKeys) {
    const std::string one = Ed25519Key::make()->public_key().text();
    const std::string two = Ed25519Key::make()->public_key().text();
    const auto config = parse_config(
        fmt::format("policies: {{trusted_keys: [\"{}\", \"{}\"]}}", one, two), "leeway.yaml");
    ASSERT_TRUE(config.has_value()) << config.error().text();
    EXPECT_EQ(config->policies.trusted_keys, (std::vector<std::string>{one, two}));
    EXPECT_TRUE(parse_config("policies: {}", "leeway.yaml")->policies.trusted_keys.empty());
}

TEST(ConfigPolicies, SaysWhatIsNoKey) {
    const std::string key = Ed25519Key::make()->public_key().text();
    EXPECT_NE(refusal("policies: {trusted_keys: [me]}").find("'me' is no public key"),
              std::string::npos);
    EXPECT_NE(refusal("policies: {trusted_keys: [\"" + key.substr(0, 43) + "\"]}")
                  .find("is no public key"),
              std::string::npos);
    EXPECT_NE(refusal("policies: {trusted_keys: []}").find("trusted_keys is empty"),
              std::string::npos);
    EXPECT_NE(refusal("policies: {trusted_keys: " + key + "}").find("must be a list"),
              std::string::npos);
    EXPECT_NE(refusal("policies: {trusted_key: [\"" + key + "\"]}").find("trusted_keys"),
              std::string::npos);
    const auto twice = parse_config(
        fmt::format("policies: {{trusted_keys: [\"{0}\", \"{0}\"]}}", key), "leeway.yaml");
    ASSERT_TRUE(twice.has_value());
    EXPECT_EQ(twice->policies.trusted_keys.size(), 1U);
    EXPECT_EQ(twice->warnings.size(), 1U);
}

TEST(ConfigPolicies, OnlyTheNamedMayHaveSigned) {
    const std::string mine = Ed25519Key::make()->public_key().text();
    const std::string other = Ed25519Key::make()->public_key().text();
    PoliciesConfig policies;
    EXPECT_TRUE(check_signer(policies, ""));
    EXPECT_TRUE(check_signer(policies, other));
    policies.trusted_keys = {mine};
    EXPECT_TRUE(check_signer(policies, mine));
    EXPECT_NE(check_signer(policies, "").error().message.find("nobody signed it"),
              std::string::npos);
    EXPECT_NE(check_signer(policies, other).error().message.find(other), std::string::npos);
}

}  // namespace
}  // namespace leeway::app
