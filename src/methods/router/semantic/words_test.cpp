#include "methods/router/semantic/words.hpp"

#include "methods/router/semantic/signals.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace leeway::router {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Words, AreLowerCaseWithoutAccentsInAnyScript) {
    EXPECT_THAT(words_of("Don't PANIC: 42 cafés, Πού είναι η Αθήνα;"),
                ElementsAre("dont", "panic", "42", "cafes", "που", "ειναι", "η", "αθηνα"));
    EXPECT_THAT(words_of("Ёлка ЖИЗНЬ"), ElementsAre("елка", "жизнь"));
    EXPECT_THAT(words_of("שלום عليكم"), ElementsAre("שלום", "عليكم"));
}

TEST(Words, OfScriptsWithoutSpacesAreCharacters) {
    EXPECT_THAT(words_of("去雅典 flight"), ElementsAre("去", "雅", "典", "flight"));
}

TEST(Words, CombiningAccentsDoNotSplit) {
    EXPECT_THAT(words_of("cafe\xCC\x81s"), ElementsAre("cafes"));
}

TEST(Words, NothingComesOfSignsEmojiAndBytesThatAreNoText) {
    EXPECT_THAT(words_of(""), IsEmpty());
    EXPECT_THAT(words_of("🙂 🇬🇷 ?! …"), IsEmpty());
    EXPECT_THAT(words_of(std::string_view("\xff\xfe\x00\x80", 4)), IsEmpty());
    EXPECT_EQ(folded("!"), " ");
}

TEST(Words, AMegabyteCostsNoMoreThanItsBeginning) {
    const std::string text(1024 * 1024, 'a');
    EXPECT_EQ(words_of(text).front().size(), kMostWordBytes);
}

TEST(Signals, LanguageIsToldByScriptAndBySmallWords) {
    EXPECT_EQ(TextSignals("Πού είναι η Αθήνα;").language(), "el");
    EXPECT_EQ(TextSignals("Где находится Афины?").language(), "ru");
    EXPECT_EQ(TextSignals("what is the price of this").language(), "en");
    EXPECT_EQ(TextSignals("Wo ist mein Koffer und was kostet das?").language(), "de");
    EXPECT_EQ(TextSignals("アテネへ行く").language(), "ja");
    EXPECT_EQ(TextSignals("Athens").language(), "");
    EXPECT_EQ(TextSignals("🙂").language(), "");
}

TEST(Signals, CharactersAreCountedNotBytes) { EXPECT_EQ(TextSignals("Αθήνα").characters(), 5U); }

TEST(Signals, PhrasesAreWholeWords) {
    TextSignals signals("I want my money-back, please");
    EXPECT_TRUE(signals.has_phrase(folded("Money back")));
    EXPECT_FALSE(signals.has_phrase(folded("one")));
}

}  // namespace
}  // namespace leeway::router
