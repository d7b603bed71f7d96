#include "app/config_controller.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace leeway::app {
namespace {

using ::testing::HasSubstr;

const std::string kBefore =
    "providers:\n"
    "  far: {dialect: openai, base_url: 'http://127.0.0.1:9/v1'}\n"
    "models:\n"
    "  small: {provider: far}\n"
    "  large: {provider: far}\n"
    "routes:\n"
    "  trips:\n"
    "    model: large\n";
const std::string kStage = "    stages: [controller]\n";
const std::string kPlanner = "planner: small, ";
const std::string kKinds =
    "kinds: [{kind: search, model: small, when: 'facts: new'}, "
    "{kind: write, model: large}]";

ConfigReading reading_of(const std::string& text) { return read_config_text(text, "test.yaml"); }

std::string errors_of(const std::string& text) {
    std::string out;
    for (const ConfigProblem& problem : reading_of(text).problems) {
        if (problem.is_error) out += problem.text() + "\n";
    }
    return out;
}

std::string with(const std::string& options) {
    return kBefore + kStage + "    controller: {" + options + "}\n";
}

TEST(ConfigController, ValuesAreRead) {
    const ConfigReading usual = reading_of(with(kPlanner + kKinds));
    ASSERT_TRUE(usual.config) << errors_of(with(kPlanner + kKinds));
    const ControllerConfig& plain = usual.config->routes.front().controller;
    EXPECT_EQ(plain.planner, "small");
    ASSERT_EQ(plain.kinds.size(), 2U);
    EXPECT_EQ(plain.kinds[0].when, "facts: new");
    EXPECT_EQ(plain.kinds[1].model, "large");
    EXPECT_EQ(plain.max_steps, 6U);
    EXPECT_EQ(plain.max_parallel, 3U);
    EXPECT_EQ(plain.timeout, std::chrono::seconds(30));
    EXPECT_EQ(plain.answer_tokens, 800U);
    EXPECT_FALSE(plain.join_last);
    const ConfigReading told = reading_of(
        with(kPlanner + kKinds +
             ", max_steps: 16, max_parallel: 16, timeout: 2m, answer_tokens: 16, join: last"));
    ASSERT_TRUE(told.config);
    const ControllerConfig& all = told.config->routes.front().controller;
    EXPECT_EQ(all.max_steps, 16U);
    EXPECT_EQ(all.max_parallel, 16U);
    EXPECT_EQ(all.timeout, std::chrono::minutes(2));
    EXPECT_EQ(all.answer_tokens, 16U);
    EXPECT_TRUE(all.join_last);
}

TEST(ConfigController, WhatCannotBeMeantIsRefused) {
    EXPECT_THAT(errors_of(with(kKinds)), HasSubstr("needs its planner"));
    EXPECT_THAT(errors_of(with("planner: small")), HasSubstr("1 to 16 kinds"));
    EXPECT_THAT(errors_of(with("planner: smal, " + kKinds)), HasSubstr("did you mean 'small'?"));
    EXPECT_THAT(errors_of(with(kPlanner + "kinds: [{kind: a, model: larg}]")),
                HasSubstr("did you mean 'large'?"));
    EXPECT_THAT(errors_of(with(kPlanner + "kinds: [{kind: a}]")), HasSubstr("needs its `model`"));
    EXPECT_THAT(errors_of(with(kPlanner + "kinds: [{model: small}]")),
                HasSubstr("no name of a kind"));
    EXPECT_THAT(errors_of(with(kPlanner + "kinds: [{kind: 'A b', model: small}]")),
                HasSubstr("no name of a kind"));
    EXPECT_THAT(errors_of(with(kPlanner + "kinds: [{kind: a, model: small}, "
                                          "{kind: a, model: large}]")),
                HasSubstr("two kinds 'a'"));
    EXPECT_THAT(errors_of(with(kPlanner + "kinds: [{kind: a, model: small, when: '" +
                               std::string(201, 'x') + "'}]")),
                HasSubstr("at most 200 bytes"));
    for (const char* wrong : {"max_steps: 1", "max_steps: 17", "max_parallel: 0", "timeout: 0s",
                              "answer_tokens: 8", "join: first", "steps: 3"})
        EXPECT_NE(errors_of(with(kPlanner + kKinds + ", " + wrong)), "") << wrong;
}

TEST(ConfigController, TheStageAndItsOptionsBelongTogether) {
    EXPECT_THAT(errors_of(kBefore + kStage), HasSubstr("needs its options"));
    EXPECT_THAT(errors_of(kBefore + "    controller: {" + kPlanner + kKinds + "}\n"),
                HasSubstr("not among its stages"));
    const auto in_order = [](const std::string& stages) {
        return errors_of(kBefore + "    stages: [" + stages + "]\n    controller: {" + kPlanner +
                         kKinds + "}\n");
    };
    EXPECT_EQ(in_order("exact_cache, controller"), "");
    EXPECT_THAT(in_order("controller, exact_cache"), HasSubstr("must stand behind exact_cache"));
}

}  // namespace
}  // namespace leeway::app
