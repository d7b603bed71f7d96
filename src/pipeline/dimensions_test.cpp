#include "pipeline/dimensions.hpp"

#include "pipeline/context.hpp"
#include "wire/openai/request_view.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace leeway::pipeline {
namespace {

class Headers final : public HeaderSource {
public:
    explicit Headers(std::map<std::string, std::string, std::less<>> fields)
        : fields_(std::move(fields)) {}
    std::optional<std::string_view> header(std::string_view name) const override {
        const auto found = fields_.find(name);
        if (found == fields_.end()) return std::nullopt;
        return found->second;
    }
    std::optional<std::string_view> query(std::string_view) const override { return std::nullopt; }

private:
    std::map<std::string, std::string, std::less<>> fields_;
};

Dimensions read(std::map<std::string, std::string, std::less<>> fields, const std::string& more) {
    const std::string body =
        R"({"model":"m","messages":[{"role":"user","content":"hi"}])" + more + "}";
    const auto view = wire::openai::parse_request(Endpoint::kChatCompletions, body);
    if (!view) {
        ADD_FAILURE() << view.error().text();
        return {};
    }
    return read_dimensions(Headers(std::move(fields)), *view, body);
}

TEST(PipelineDimensions, HeadersComeBeforeTheBody) {
    const auto told =
        read({{"x-leeway-user", "ada"},
              {"x-leeway-tag", "team=search, beta ,beta,,"},
              {"x-leeway-agent", "planner"}},
             R"(,"user":"bob","metadata":{"session_id":"s\u00e9","agent":"other","n":1})");
    EXPECT_EQ(told.user, "ada");
    EXPECT_EQ(told.tags, "beta,team=search");
    EXPECT_EQ(told.agent, "planner");
    EXPECT_EQ(told.session, "s\xc3\xa9");
    EXPECT_EQ(read({}, R"(,"user":"bob")").user, "bob");
    EXPECT_EQ(read({}, R"(,"metadata":{"user_id":"eve","tags":"x,y"})").user, "eve");
    EXPECT_EQ(read({}, R"(,"metadata":null)").user, "");
    EXPECT_EQ(read({}, R"(,"metadata":"text")").user, "");
}

TEST(PipelineDimensions, AreCleanAndBounded) {
    EXPECT_EQ(clean_label(" a\tb\x01\x7f\xc2\x85"
                          "c ",
                          100),
              "abc");
    EXPECT_EQ(clean_label("a\xff\xc0\xaf\xed\xa0\x80z", 100), "a??????z");
    EXPECT_EQ(clean_label("\xe2\x82\xac\xe2\x82\xac", 5), "\xe2\x82\xac");
    EXPECT_EQ(read({{"x-leeway-user", std::string(10'000, 'u')}}, "").user.size(),
              Dimensions::kMostBytes);
    std::string many;
    for (int i = 0; i < 100; ++i) many += "tag" + std::to_string(i) + std::string(100, 'x') + ",";
    const std::string tags = clean_tags(many);
    EXPECT_EQ(std::count(tags.begin(), tags.end(), ','), Dimensions::kMostTags - 1);
    EXPECT_LE(tags.size(), 512U);
}

}  // namespace
}  // namespace leeway::pipeline
