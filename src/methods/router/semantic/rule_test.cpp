#include "methods/router/semantic/rule.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace leeway::router {
namespace {

using ::testing::HasSubstr;

bool holds(std::string_view rule, std::string_view text) {
    const auto parsed = Rule::parse(rule);
    EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().message);
    TextSignals signals(text);
    return parsed && parsed->holds(signals);
}

std::string error_of(std::string_view rule) {
    const auto parsed = Rule::parse(rule);
    return parsed ? "" : parsed.error().message;
}

TEST(Rule, AndBindsCloserThanOr) {
    constexpr auto kRule = "keyword(a) or keyword(b) and keyword(c)";
    EXPECT_TRUE(holds(kRule, "a"));
    EXPECT_FALSE(holds(kRule, "b"));
    EXPECT_TRUE(holds(kRule, "c b"));
    EXPECT_FALSE(holds("(keyword(a) or keyword(b)) and keyword(c)", "a"));
}

TEST(Rule, NotAndLanguage) {
    constexpr auto kRule = "keyword(refund, επιστροφή) and not language(el)";
    EXPECT_TRUE(holds(kRule, "I want a REFUND"));
    EXPECT_FALSE(holds(kRule, "Θέλω επιστροφή χρημάτων"));
    EXPECT_FALSE(holds(kRule, "I was refunded"));
}

TEST(Rule, QuotedPhrasesMayHoldCommasAndParentheses) {
    EXPECT_TRUE(holds("keyword(\"money, back\")", "my money back!"));
    EXPECT_TRUE(holds(R"(matches("^[A-Z]{2}\d+ \(x\)$"))", "BA123 (x)"));
    EXPECT_TRUE(holds(R"(matches("say \"hi\""))", "say \"hi\""));
}

TEST(Rule, Length) {
    EXPECT_TRUE(holds("longer(3)", "αβγδ"));
    EXPECT_FALSE(holds("longer(4)", "αβγδ"));
    EXPECT_TRUE(holds("shorter(5)", "αβγδ"));
}

TEST(Rule, ErrorsSayWhere) {
    EXPECT_THAT(error_of("keywrd(a)"), HasSubstr("did you mean 'keyword'"));
    EXPECT_THAT(error_of("keyword(a) keyword(b)"), HasSubstr("column 12"));
    EXPECT_THAT(error_of("keyword(!)"), HasSubstr("no word"));
    EXPECT_THAT(error_of("matches(\"(\")"), HasSubstr("regular expression"));
    EXPECT_THAT(error_of("language(klingon)"), HasSubstr("unknown language"));
    EXPECT_THAT(error_of("longer(x)"), HasSubstr("no number"));
    EXPECT_THAT(error_of(""), HasSubstr("a condition was expected"));
    EXPECT_THAT(error_of("keyword(\"a"), HasSubstr("not closed"));
    EXPECT_THAT(error_of("not"), HasSubstr("a condition was expected"));
}

TEST(Rule, NestingIsBounded) {
    EXPECT_THAT(error_of(std::string(100'000, '(')), HasSubstr("too deep"));
    std::string nots;
    for (int i = 0; i < 10'000; ++i) nots += "not ";
    EXPECT_THAT(error_of(nots), HasSubstr("too deep"));
}

TEST(Rule, AHostileTextIsReadInLinearTime) {
    EXPECT_FALSE(holds(R"(matches("(a+)+$"))", std::string(1024 * 1024, 'a') + "b"));
}

}  // namespace
}  // namespace leeway::router
