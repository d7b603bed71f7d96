#include "models/host/text_stream.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace leeway::models {
namespace {

struct Shown {
    std::string text;
    bool stopped = false;
    std::vector<std::string> pieces;
};

Shown run(std::vector<std::string> stops, const std::vector<std::string_view>& tokens) {
    TextStream stream(std::move(stops));
    Shown shown;
    for (const std::string_view token : tokens) {
        std::string piece;
        shown.stopped = stream.push(token, piece);
        shown.text += piece;
        shown.pieces.push_back(piece);
        if (shown.stopped) return shown;
    }
    stream.finish(shown.text);
    return shown;
}

TEST(TextStream, ShowsPlainTextAtOnce) {
    const Shown shown = run({}, {"Hello", ", ", "world"});
    EXPECT_EQ(shown.pieces, (std::vector<std::string>{"Hello", ", ", "world"}));
}

TEST(TextStream, HoldsACharacterUntilItIsWhole) {
    const Shown shown = run({}, {"a\xF0\x9F", "\x98", "\x80z"});
    EXPECT_EQ(shown.pieces, (std::vector<std::string>{"a", "", "\xF0\x9F\x98\x80z"}));
}

TEST(TextStream, ReplacesWhatIsNotUtf8) {
    EXPECT_EQ(run({}, {"a\xFFz"}).text, "a\xEF\xBF\xBDz");
    EXPECT_EQ(run({}, {"a\xE2\x82"}).text, "a\xEF\xBF\xBD");              // cut at the end
    EXPECT_EQ(run({}, {"\xED\xA0\x80"}).text,  // a surrogate: three parts
              "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    EXPECT_EQ(run({}, {"\xC0\xAF"}).text, "\xEF\xBF\xBD\xEF\xBF\xBD");  // an overlong slash
}

TEST(TextStream, EndsBeforeAStopStringAcrossTokens) {
    const Shown shown = run({"END"}, {"one E", "N", "D two"});
    EXPECT_TRUE(shown.stopped);
    EXPECT_EQ(shown.text, "one ");
}

TEST(TextStream, ReleasesWhatLookedLikeAStopString) {
    const Shown shown = run({"END"}, {"E", "N", "ding"});
    EXPECT_FALSE(shown.stopped);
    EXPECT_EQ(shown.text, "ENding");
    EXPECT_EQ(run({"END"}, {"the EN"}).text, "the EN");
}

TEST(TextStream, TakesTheEarliestOfSeveralStopStrings) {
    EXPECT_EQ(run({"three", "two"}, {"one two three"}).text, "one ");
    EXPECT_EQ(run({"aab"}, {"aaa", "ab"}).text, "aa");  // overlaps itself
    EXPECT_EQ(run({""}, {"x"}).text, "x");
}

TEST(TextStream, FindsAStopStringInsideACharacterThatIsHeld) {
    // The stop string is whole; the bytes before it must come out although they end in its prefix.
    const Shown shown = run({"\xE2\x82\xAC"}, {"5 \xE2", "\x82", "\xAC!"});
    EXPECT_TRUE(shown.stopped);
    EXPECT_EQ(shown.text, "5 ");
}

TEST(TextStream, CountsShownBytes) {
    TextStream stream({"END"});
    std::string out;
    EXPECT_FALSE(stream.push("abE", out));
    EXPECT_EQ(stream.taken(), 3U);
    EXPECT_EQ(stream.shown(), 2U);
}

}  // namespace
}  // namespace leeway::models
