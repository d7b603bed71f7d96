#include "app/config.hpp"

#include <gtest/gtest.h>

#include <string>

namespace leeway::app {
namespace {

const std::string kBegin =
    "providers: {up: {dialect: openai, base_url: 'http://127.0.0.1:9/v1'}}\n"
    "models: {small: {provider: up}, large: {provider: up}}\n"
    "routes:\n"
    "  r: {stages: [cascade], cascade: {models: [small, large], ";

ConfigReading reading_of(const std::string& cascade) {
    return read_config_text(kBegin + cascade + "}}\n", "test.yaml");
}

std::string problems_of(const std::string& text) {
    std::string out;
    for (const ConfigProblem& problem : reading_of(text).problems) out += problem.text() + "\n";
    return out;
}

TEST(ConfigCascade, WhatIsDecidedEarly) {
    const ConfigReading reading = reading_of(
        "accept: 0.9, hold_back: 40, start_strong_after: 800ms, give_up_after: 30, give_up_below: "
        "0.5");
    ASSERT_TRUE(reading.config) << problems_of("accept: 0.9, hold_back: 40");
    const CascadeConfig& cascade = reading.config->routes.front().cascade;
    EXPECT_EQ(cascade.hold_back, 40U);
    EXPECT_EQ(cascade.strong_after_ms, 800U);
    EXPECT_EQ(cascade.give_up_after, 30U);
    EXPECT_EQ(cascade.give_up_below_ppm, 500'000U);
    const ConfigReading usual = reading_of("accept: 0.9");
    ASSERT_TRUE(usual.config);
    EXPECT_EQ(usual.config->routes.front().cascade.hold_back, 0U);
    EXPECT_EQ(usual.config->routes.front().cascade.strong_after_ms, 0U);
}

TEST(ConfigCascade, WhatCannotBeDecidedEarly) {
    const struct {
        const char* text;
        const char* why;
    } cases[] = {
        {"policy: p.json, hold_back: 40", "says nothing of their beginnings"},
        {"policy: p.json, audit: 0.1, give_up_after: 4, give_up_below: 0.5", "leave out"},
        {"accept: 0.9, give_up_after: 40", "needs both"},
        {"accept: 0.9, give_up_below: 0.4", "needs both"},
        {"accept: 0.9, give_up_after: 40, give_up_below: 1.5", "give_up_below"},
        {"accept: 0.9, hold_back: 0", "from 1 to 4096"},
        {"accept: 0.9, hold_back: 4097", "from 1 to 4096"},
        {"accept: 0.9, hold_back: many", "from 1 to 4096"},
        {"accept: 0.9, start_strong_after: 0", "start_strong_after"},
        {"accept: 0.9, start_strong_after: soon", "start_strong_after"},
        {"accept: 0.9, start_strong_after: 2h", "an hour at most"},
    };
    for (const auto& one : cases) {
        EXPECT_FALSE(reading_of(one.text).config) << one.text;
        EXPECT_NE(problems_of(one.text).find(one.why), std::string::npos)
            << one.text << ": " << problems_of(one.text);
    }
}

}  // namespace
}  // namespace leeway::app
