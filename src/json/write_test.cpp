#include "json/write.hpp"

#include "json/number.hpp"
#include "json/text.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace leeway::json {
namespace {

std::string normal(std::string_view number) {
    std::string out;
    append_normal_number(out, number);
    return out;
}

TEST(Write, EscapesStrings) {
    EXPECT_EQ(quoted("a\"b\\c\n\t\x01/é"), "\"a\\\"b\\\\c\\n\\t\\u0001/é\"");
    EXPECT_EQ(quoted(std::string_view("\0", 1)), "\"\\u0000\"");
    EXPECT_EQ(quoted("\x7f"), "\"\x7f\"");
}

TEST(Write, EscapesAtAnyPlace) {
    for (const std::string_view special : {"\"", "\\", "\n", "\x1f", "\xff", "é", "\x7f"}) {
        for (std::size_t before = 0; before < 40; ++before) {
            const std::string plain(before, 'a');
            const std::string alone = quoted(special);
            std::string text = plain;
            text.append(special).append(plain);
            std::string expected = "\"";
            expected.append(plain).append(alone, 1, alone.size() - 2).append(plain).append("\"");
            EXPECT_EQ(quoted(std::string_view(text)), expected);
        }
    }
}

TEST(Write, ReplacesInvalidUtf8) {
    EXPECT_EQ(quoted("a\xff"
                     "b"),
              "\"a\xEF\xBF\xBD"
              "b\"");
    EXPECT_EQ(quoted("\xed\xa0\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
    EXPECT_EQ(quoted("\xe2\x82"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
    EXPECT_EQ(quoted("\xf0\x9f\x98\x80"), "\"\xf0\x9f\x98\x80\"");
}

TEST(Write, PlacesCommasAndColons) {
    std::string out;
    Writer writer(out);
    writer.object()
        .key("a")
        .integer(-1)
        .key("b")
        .array()
        .number(0.5)
        .null()
        .object()
        .close_object();
    writer.array().close_array().close_array().key("c").boolean(true).key("d").raw("{}");
    writer.close_object();
    EXPECT_EQ(out, R"({"a":-1,"b":[0.5,null,{},[]],"c":true,"d":{}})");
}

TEST(Write, WritesNumbers) {
    std::string out;
    append_int(out, std::numeric_limits<std::int64_t>::min());
    out += ' ';
    append_double(out, 0.1);
    out += ' ';
    append_double(out, std::numeric_limits<double>::infinity());
    EXPECT_EQ(out, "-9223372036854775808 0.1 null");
}

TEST(Number, HasOneSpellingPerValue) {
    EXPECT_EQ(normal("1"), "1e0");
    EXPECT_EQ(normal("1.0"), "1e0");
    EXPECT_EQ(normal("10e-1"), "1e0");
    EXPECT_EQ(normal("0.001E+3"), "1e0");
    EXPECT_EQ(normal("-0"), "0e0");
    EXPECT_EQ(normal("0e99999999999999999999"), "0e0");
    EXPECT_EQ(normal("-12.50"), "-125e-1");
    EXPECT_EQ(normal("1e400"), "1e400");
    EXPECT_EQ(normal("9007199254740993"), "9007199254740993e0");
    EXPECT_NE(normal("9007199254740993"), normal("9007199254740992"));
    EXPECT_EQ(normal("1e99999999999999999999"), "!1e99999999999999999999");
}

TEST(Number, ConvertsOnlyWhatFits) {
    EXPECT_EQ(to_int64("-7"), -7);
    EXPECT_EQ(to_int64("9223372036854775808"), std::nullopt);
    EXPECT_EQ(to_int64("1.0"), std::nullopt);
    EXPECT_EQ(to_double("1e400"), std::nullopt);
    EXPECT_EQ(to_double("0.25"), 0.25);
    EXPECT_EQ(to_double("1x"), std::nullopt);
}

TEST(Text, Unescapes) {
    EXPECT_EQ(unescape(R"(a\n\"\\\/\u00e9\ud83d\ude00)"), "a\n\"\\/é\xf0\x9f\x98\x80");
    EXPECT_EQ(unescape(R"(\ud83d)"), std::nullopt);
    EXPECT_EQ(unescape(R"(\ud83d\u0041)"), std::nullopt);
    EXPECT_EQ(unescape(R"(\q)"), std::nullopt);
    EXPECT_EQ(unescape("\\"), std::nullopt);
}

TEST(Text, FindsBordersOfCharacters) {
    EXPECT_EQ(utf8_border("aé", 2), 1u);
    EXPECT_EQ(utf8_border("aé", 3), 3u);
    EXPECT_EQ(utf8_border("abc", 9), 3u);
}

}  // namespace
}  // namespace leeway::json
