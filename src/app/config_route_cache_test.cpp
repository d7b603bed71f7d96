#include "app/config.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace leeway::app {
namespace {

const std::string kBegin =
    "providers: {up: {dialect: openai, base_url: 'http://127.0.0.1:9/v1'}}\n"
    "models: {m: {provider: up, tags: [embedding]}, judge: {provider: up}}\n"
    "routes:\n"
    "  r: {model: m, ";

ConfigReading reading_of(const std::string& route) {
    return read_config_text(kBegin + route + "}\n", "test.yaml");
}

RouteConfig route_of(const std::string& text) {
    const ConfigReading reading = reading_of(text);
    EXPECT_TRUE(reading.config) << text;
    return reading.config ? reading.config->routes.front() : RouteConfig();
}

std::string problems_of(const std::string& text) {
    std::string out;
    for (const ConfigProblem& problem : reading_of(text).problems) out += problem.text() + "\n";
    return out;
}

TEST(ConfigRouteCache, CacheMeansTheCachesThatTheRouteHasOptionsOf) {
    using Stages = std::vector<std::string>;
    EXPECT_EQ(route_of("stages: [cache]").stages, Stages{"exact_cache"});
    EXPECT_EQ(route_of("stages: [cache], cache: {semantic: {max_error: 0.01}}").stages,
              (Stages{"exact_cache", "semantic_cache"}));
    EXPECT_EQ(route_of("stages: [semantic_cache], cache: {semantic: {max_error: 0.01}}").stages,
              Stages{"semantic_cache"});
}

TEST(ConfigRouteCache, SemanticOptionsAreRead) {
    const auto plain = route_of("stages: [cache], cache: {semantic: {max_error: 0.0125}}");
    EXPECT_EQ(plain.semantic_cache.max_error_ppm, 12'500U);
    EXPECT_EQ(plain.semantic_cache.judge, SemanticJudge::kNone);
    EXPECT_EQ(plain.semantic_cache.ttl.count(), 0);
    EXPECT_FALSE(plain.semantic_cache.shared);
    const auto full = route_of(
        "stages: [cache], cache: {semantic: {max_error: 0.05, judge: judge, ttl: 2h, scope: "
        "public}}");
    EXPECT_EQ(full.semantic_cache.judge, SemanticJudge::kModel);
    EXPECT_EQ(full.semantic_cache.judge_model, "judge");
    EXPECT_EQ(full.semantic_cache.ttl.count(), 7200);
    EXPECT_TRUE(full.semantic_cache.shared);
    EXPECT_EQ(route_of("stages: [cache], cache: {semantic: {max_error: 0.05, judge: exact}}")
                  .semantic_cache.judge,
              SemanticJudge::kExact);
    EXPECT_EQ(route_of("stages: [exact_cache]").semantic_cache.max_error_ppm, 0U);
}

TEST(ConfigRouteCache, WhatMakesNoSenseIsSaid) {
    const auto says = [](const std::string& text, const char* words) {
        const std::string found = problems_of(text);
        EXPECT_NE(found.find(words), std::string::npos) << text << "\n" << found;
    };
    says("stages: [semantic_cache]", "which needs `cache: {semantic: {max_error: 0.01}}`");
    says("stages: [cache], cache: {semantic: {judge: exact}}", "needs the share of its answers");
    says("stages: [cache], cache: {semantic: {max_error: 0}}", "needs the share of its answers");
    says("stages: [cache], cache: {semantic: {max_error: 0.5}}", "is no share");
    says("stages: [cache], cache: {semantic: {max_error: 0.1, judge: jugde}}",
         "unknown model 'jugde' (did you mean 'judge'?)");
    says("stages: [exact_cache], cache: {semantic: {max_error: 0.1}}",
         "'semantic_cache' is not among its stages");
    says("stages: [semantic_cache, exact_cache], cache: {semantic: {max_error: 0.1}}",
         "exact_cache must stand before semantic_cache");
    says("stages: [cache, exact_cache]", "stands in the list twice");
    says("stages: [cache], cache: {semantic: {max_error: 0.1, scope: all}}", "unknown scope 'all'");
    EXPECT_EQ(problems_of("stages: [cache], cache: {semantic: {max_error: 0.1, judge: judge}}"),
              "");
}

}  // namespace
}  // namespace leeway::app
