#include "json/splice.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace leeway::json {
namespace {

TEST(Splice, WithoutEditsIsTheOriginal) {
    const std::string text = "hello";
    const Splice splice(text);
    ASSERT_EQ(splice.pieces().size(), 1u);
    EXPECT_EQ(splice.pieces()[0].data(), text.data());
    EXPECT_EQ(splice.size(), 5u);
}

TEST(Splice, ReplacesInsertsAndRemoves) {
    Splice splice("0123456789");
    ASSERT_TRUE(splice.add({8, 2, ""}));
    ASSERT_TRUE(splice.add({0, 0, "<"}));
    ASSERT_TRUE(splice.add({2, 3, "abcd"}));
    ASSERT_TRUE(splice.add({0, 0, "="}));
    EXPECT_EQ(splice.str(), "<=01abcd567");
    EXPECT_EQ(splice.size(), splice.str().size());
}

TEST(Splice, RefusesOverlapsAndWhatIsOutside) {
    Splice splice("0123456789");
    ASSERT_TRUE(splice.add({2, 4, "x"}));
    EXPECT_FALSE(splice.add({5, 1, "y"}));
    EXPECT_FALSE(splice.add({1, 2, "y"}));
    EXPECT_FALSE(splice.add({3, 0, "y"}));
    EXPECT_FALSE(splice.add({0, 10, "y"}));
    EXPECT_FALSE(splice.add({9, 2, "y"}));
    EXPECT_FALSE(splice.add({11, 0, "y"}));
    EXPECT_TRUE(splice.add({6, 1, "z"}));
    EXPECT_TRUE(splice.add({2, 0, "a"}));
    EXPECT_EQ(splice.str(), "01axz789");
    EXPECT_EQ(splice.size(), splice.str().size());
}

RC_GTEST_PROP(Splice, EqualsReplacingFromTheBack, (const std::string& text)) {
    // Cut points in pairs: disjoint ranges, each replaced by its own text.
    auto cuts = *rc::gen::container<std::vector<std::size_t>>(
        rc::gen::inRange<std::size_t>(0, text.size() + 1));
    std::sort(cuts.begin(), cuts.end());
    cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
    Splice splice(text);
    std::string expected = text;
    for (std::size_t i = cuts.size() / 2; i-- > 0;) {
        const std::string with = "<" + std::to_string(i) + ">";
        const std::size_t length = cuts[2 * i + 1] - cuts[2 * i];
        RC_ASSERT(splice.add({cuts[2 * i], length, with}).has_value());
        expected.replace(cuts[2 * i], length, with);
    }
    RC_ASSERT(splice.str() == expected);
    RC_ASSERT(splice.size() == expected.size());
}

}  // namespace
}  // namespace leeway::json
