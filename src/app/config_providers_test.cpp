#include "app/config.hpp"
#include "net/address.hpp"
#include "providers/presets.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace leeway::app {
namespace {

ConfigReading read(const std::string& provider) {
    return read_config_text("providers:\n  p: {" + provider + "}\n", "/project/config/leeway.yaml");
}

ProviderConfig good(const std::string& provider) {
    const ConfigReading reading = read(provider);
    EXPECT_TRUE(reading.config) << reading.problems.front().text();
    return reading.config ? reading.config->providers.front() : ProviderConfig();
}

/// The messages of all problems.
std::string problem(const std::string& provider) {
    std::string out;
    for (const ConfigProblem& one : read(provider).problems) out += one.message + "\n";
    return out;
}

TEST(ConfigProviders, EveryPresetIsAWholeProvider) {
    for (const providers::Preset& preset : providers::presets()) {
        const std::string name(preset.name);
        EXPECT_TRUE(net::parse_base_url(preset.base_url)) << name;
        const ProviderConfig provider = good("preset: " + name + ", api_key: sk-x");
        EXPECT_EQ(provider.base_url, preset.base_url);
        EXPECT_EQ(provider.usage, preset.flavour);
        EXPECT_EQ(provider.quirks, preset.quirks);
        EXPECT_EQ(provider.api_key.expose(), "sk-x");
        EXPECT_TRUE(provider.disabled_reason.empty());
        const auto url = net::parse_base_url(preset.base_url);
        const auto by_host = wire::usage::chat_flavour_of_host(url->address.host);
        if (preset.dialect == wire::Dialect::kOpenAiChat &&
            by_host != wire::usage::Flavour::kOpenAiChat) {
            EXPECT_EQ(by_host, preset.flavour) << name;
        }
    }
}

TEST(ConfigProviders, TheFileComesBeforeThePreset) {
    const ProviderConfig provider = good(
        "preset: vllm, base_url: 'http://127.0.0.1:7/v1', quirks: {top_k: off, cache_control: on}, "
        "usage: openai");
    EXPECT_EQ(provider.base_url, "http://127.0.0.1:7/v1");
    EXPECT_FALSE(provider.quirks.top_k);
    EXPECT_TRUE(provider.quirks.cache_control && provider.quirks.reasoning_content);
    EXPECT_EQ(provider.usage, wire::usage::Flavour::kOpenAiChat);
    EXPECT_TRUE(provider.api_key.empty()) << "such a server needs none";
    EXPECT_EQ(good("dialect: openai, base_url: 'https://api.openai.com/v1'").quirks,
              wire::kOpenAiQuirks);
    EXPECT_EQ(good("dialect: openai, base_url: 'https://example.com/v1'").quirks,
              wire::ChatQuirks());
    for (const char* dialect : {"openai", "anthropic"}) {
        EXPECT_TRUE(good(fmt::format("dialect: {}, base_url: 'https://example.com/v1', batches: on",
                                     dialect))
                        .batches);
    }
    EXPECT_FALSE(good("dialect: azure, base_url: 'https://x.openai.azure.com'").quirks.service_tier)
        << "Azure has tiers of deployments instead";
}

TEST(ConfigProviders, MistakesAreNamed) {
    EXPECT_NE(problem("preset: gorq").find("groq"), std::string::npos);
    EXPECT_NE(problem("preset: vllm, dialect: openai").find("leave one"), std::string::npos);
    EXPECT_NE(problem("base_url: 'http://127.0.0.1/v1'").find("leeway providers"),
              std::string::npos);
    EXPECT_NE(problem("dialect: openai, base_url: 'http://127.0.0.1/v1', aws: {region: x}")
                  .find("bedrock"),
              std::string::npos);
    EXPECT_NE(problem("dialect: anthropic, base_url: 'http://127.0.0.1/v1', quirks: {top_k: on}")
                  .find("quirks"),
              std::string::npos);
    EXPECT_NE(problem("dialect: openai, base_url: 'http://127.0.0.1/v1', quirks: {topk: on}")
                  .find("top_k"),
              std::string::npos);
    EXPECT_NE(
        problem("dialect: openai, base_url: 'http://127.0.0.1/v1', usage: groqq").find("groq"),
        std::string::npos);
    EXPECT_NE(
        problem("dialect: azure, base_url: 'https://x.openai.azure.com/openai/v1'").find("/openai"),
        std::string::npos);
    EXPECT_NE(problem("dialect: vertex, api_key: x").find("service_account"), std::string::npos);
    EXPECT_NE(problem("dialect: vertex, vertex: {project: 'a/b', location: eu, service_account: x}")
                  .find("project"),
              std::string::npos);
    EXPECT_NE(
        problem("dialect: vertex, vertex: {project: a, location: eu, service_account: /no/file}")
            .find("/no/file"),
        std::string::npos);
    EXPECT_NE(problem("dialect: embedded, quirks: {top_k: on}").find("quirks"), std::string::npos);
    EXPECT_NE(problem("dialect: gemini, base_url: 'http://127.0.0.1/v1', batches: on")
                  .find("openai, responses and anthropic"),
              std::string::npos);
}

TEST(ConfigProviders, CredentialsOfAwsComeFromTheFileOrTheEnvironment) {
    const ProviderConfig told =
        good("dialect: bedrock, aws: {region: eu-west-1, access_key: A, secret_key: B}");
    EXPECT_EQ(told.base_url, "https://bedrock-runtime.eu-west-1.amazonaws.com");
    EXPECT_EQ(told.aws.secret_key.expose(), "B");
    unsetenv("AWS_ACCESS_KEY_ID");
    unsetenv("AWS_SECRET_ACCESS_KEY");
    unsetenv("AWS_SESSION_TOKEN");
    const ProviderConfig off = good("dialect: bedrock, aws: {region: eu-west-1}");
    EXPECT_NE(off.disabled_reason.find("AWS_SECRET_ACCESS_KEY"), std::string::npos)
        << off.disabled_reason;
    setenv("AWS_ACCESS_KEY_ID", "AK", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "SK", 1);
    const ProviderConfig on = good("dialect: bedrock, aws: {region: eu-west-1}");
    EXPECT_TRUE(on.disabled_reason.empty()) << on.disabled_reason;
    EXPECT_EQ(on.aws.access_key.expose(), "AK");
    EXPECT_TRUE(on.aws.session_token.empty());
    unsetenv("AWS_ACCESS_KEY_ID");
    unsetenv("AWS_SECRET_ACCESS_KEY");
    EXPECT_TRUE(
        good("dialect: bedrock, api_key: k, aws: {region: eu-west-1}").aws.secret_key.empty());
}

}  // namespace
}  // namespace leeway::app
