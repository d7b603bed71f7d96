#include "json/validate.hpp"

#include "json/testing/test_data.hpp"

#include <gtest/gtest.h>

#include <string>

namespace leeway::json {
namespace {

std::string reason(std::string_view text, const Limits& limits = {}) {
    const auto result = validate(text, limits);
    return result ? "ok" : result.error().reason;
}

std::string repeated(std::string_view piece, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) out += piece;
    return out;
}

TEST(Validate, AcceptsEveryKindOfValue) {
    for (const char* text :
         {"{}", "[]", " [ 1 , -0.5e+3 , true , false , null , \"a\\n\\u00e9\" ] ",
          "{\"a\":{\"b\":[[],{}]}}", "0", "\"\"", "\t\"x\"\n", "-0", "1E400"}) {
        EXPECT_EQ(reason(text), "ok") << text;
    }
}

TEST(Validate, RefusesWhatIsNotJson) {
    for (const char* text : {"",
                             " ",
                             "{",
                             "}",
                             "[1,]",
                             "[,1]",
                             "{\"a\"}",
                             "{\"a\":}",
                             "{\"a\":1,}",
                             "{a:1}",
                             "[1 2]",
                             "[1]]",
                             "{} x",
                             "01",
                             "1.",
                             ".5",
                             "+1",
                             "1e",
                             "- 1",
                             "tru",
                             "truex",
                             "nul",
                             "'a'",
                             "\"a",
                             "\"\\x\"",
                             "\"\\u12g4\"",
                             "\"\\ud800\"",
                             "\"\\udc00\"",
                             "\"\\ud800\\u0041\"",
                             "[1}",
                             "{]",
                             "\"a\"b",
                             "\"a\" \"b\"",
                             "[\"a\":1]",
                             "{\"a\",1}",
                             "1\f",
                             "\xEF\xBB\xBF{}",
                             "\"\x01\"",
                             "\"\xff\"",
                             "\"\xed\xa0\x80\"",
                             "[\\\"a\"]",
                             "nan",
                             "[1,2",
                             "\"a\"\\"}) {
        EXPECT_EQ(reason(text), "invalid_json") << text;
    }
}

TEST(Validate, LimitsDepthAt64) {
    EXPECT_EQ(reason(repeated("[", 64) + repeated("]", 64)), "ok");
    EXPECT_EQ(reason(repeated("[", 65) + repeated("]", 65)), "nesting_too_deep");
    EXPECT_EQ(reason(repeated("{\"a\":", 64) + "1" + repeated("}", 64)), "ok");
    EXPECT_EQ(reason(repeated("{\"a\":", 5'000'000)), "nesting_too_deep");
    EXPECT_EQ(reason(repeated("[", 65) + repeated("]", 65), {.unique_keys = true}),
              "nesting_too_deep");
}

TEST(Validate, FindsDuplicateKeysWhenAsked) {
    const Limits unique{.max_bytes = 0, .unique_keys = true};
    EXPECT_EQ(reason(R"({"a":1,"a":2})"), "ok");
    EXPECT_EQ(reason(R"({"a":1,"a":2})", unique), "duplicate_key");
    EXPECT_EQ(reason(R"({"a":1,"\u0061":2})", unique), "duplicate_key");
    EXPECT_EQ(reason(R"([{"x":{"a":1,"b":2,"a":3}}])", unique), "duplicate_key");
    EXPECT_EQ(reason(R"({"a":1,"b":{"a":2}})", unique), "ok");
    std::string many = "{\"first\":0";
    for (int i = 0; i < 100'000; ++i) many += ",\"k" + std::to_string(i) + "\":1";
    EXPECT_EQ(reason(many + "}", unique), "ok");
    EXPECT_EQ(reason(many + ",\"k99999\":2}", unique), "duplicate_key");
    EXPECT_EQ(reason(many + ",\"first\":2}", unique), "duplicate_key");
}

TEST(Validate, LimitsSize) {
    EXPECT_EQ(reason("[1,2]", {.max_bytes = 5}), "ok");
    EXPECT_EQ(reason("[1,2]", {.max_bytes = 4}), "body_too_large");
}

TEST(Validate, SaysWhere) {
    const auto result = validate("{\n  \"a\": tru\n}");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message, "invalid value at byte 9 (line 2, column 8)");
    EXPECT_NE(validate("[\"a\xff\"]").error().message.find("invalid UTF-8 at byte 3"),
              std::string::npos);
    EXPECT_NE(validate("[\"abc").error().message.find("at byte 1 "), std::string::npos);
}

TEST(Validate, AgreesWithJsonTestSuite) {
    const auto folder = testing::test_data("hostile-input/jsontestsuite/test_parsing");
    if (folder.empty()) GTEST_SKIP() << testing::skip_message("hostile-input/jsontestsuite");
    int checked = 0;
    for (const auto& file : testing::files_in(folder)) {
        const std::string name = file.filename().string();
        const bool accepted = validate(testing::read_file(file)).has_value();
        if (name.starts_with("y_")) {
            EXPECT_TRUE(accepted) << name;
        }
        if (name.starts_with("n_")) {
            EXPECT_FALSE(accepted) << name;
        }
        ++checked;
    }
    EXPECT_GE(checked, 318);
}

}  // namespace
}  // namespace leeway::json
