#include "methods/router/semantic/arguments/argument_parser.hpp"

#include "methods/router/semantic/arguments/numbers.hpp"
#include "methods/router/semantic/words.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace leeway::router {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A Tuesday.
const Day kToday = std::chrono::sys_days(std::chrono::year(2026) / 5 / 12);

ArgumentProperty property(std::string name, ArgumentType type = ArgumentType::kString) {
    ArgumentProperty out;
    out.name = std::move(name);
    out.type = type;
    return out;
}

ArgumentProperty date_property(std::string name) {
    ArgumentProperty out = property(std::move(name));
    out.date = true;
    return out;
}

class Arguments : public ::testing::Test {
protected:
    void add(ArgumentProperty one) {
        const auto ready = prepare(one);
        ASSERT_TRUE(ready) << ready.error().message;
        schema_.properties.push_back(std::move(one));
    }
    void add_flight() {
        add(property("origin"));
        add(property("destination"));
        add(date_property("date"));
        ArgumentProperty passengers = property("passengers", ArgumentType::kInteger);
        passengers.minimum = 1;
        passengers.maximum = 9;
        passengers.words = {"people", "persons", "adults", "seats", "party of"};
        add(passengers);
    }
    /// The value as JSON, or the state in brackets.
    std::string of(const std::string& text, std::size_t place = 0) {
        const auto values = parse_arguments(schema_, text, kToday);
        EXPECT_EQ(values.size(), schema_.properties.size());
        const ArgumentValue& one = values.at(place);
        if (one.state != ArgumentState::kFound)
            return "(" + std::string(to_string(one.state)) + ")";
        EXPECT_LT(one.span.begin, one.span.end) << text;
        EXPECT_LE(one.span.end, text.size()) << text;
        return one.json;
    }
    std::string all(const std::string& text) {
        std::string out;
        for (std::size_t i = 0; i < schema_.properties.size(); ++i)
            out += (i == 0 ? "" : " ") + of(text, i);
        return out;
    }
    void expect_all(const std::map<std::string, std::string>& cases) {
        for (const auto& [text, expected] : cases) EXPECT_EQ(all(text), expected) << text;
    }
    ArgumentSchema schema_;
};

TEST_F(Arguments, OfAFlightAreFoundWhereTheyStand) {
    add_flight();
    const std::string text =
        "Book a flight from New York to Athens on 14 May for two people, please";
    const auto values = parse_arguments(schema_, text, kToday);
    const auto from = [&](std::size_t i) {
        return values[i].span.of(text);
    };
    EXPECT_EQ(values[0].json, "\"New York\"");
    EXPECT_EQ(from(0), "New York");
    EXPECT_EQ(values[1].json, "\"Athens\"");
    EXPECT_EQ(values[2].json, "\"2026-05-14\"");
    EXPECT_EQ(from(2), "14 May");
    EXPECT_EQ(values[3].json, "2");
    EXPECT_EQ(from(3), "two");
}

TEST_F(Arguments, OfAFlightInOtherWords) {
    add_flight();
    expect_all({
        {"Are there direct flights from Berlin to Heraklion?",
         R"("Berlin" "Heraklion" (missing) (missing))"},
        {"I want to fly to Rhodes tomorrow", R"((missing) "Rhodes" "2026-05-13" (missing))"},
        {"i want to fly from berlin to corfu in 3 days",
         R"("berlin" "corfu" "2026-05-15" (missing))"},
        {"Naxos, 3 adults, 2026-07-01", R"((missing) (missing) "2026-07-01" 3)"},
        {"Is there a ferry from Piraeus to Mykonos on Friday for 4?",
         R"("Piraeus" "Mykonos" "2026-05-15" 4)"},
        {"from St. Louis to Rio de Janeiro", R"("St. Louis" "Rio de Janeiro" (missing) (missing))"},
        {"destination: Χανιά, origin: Zürich", R"("Zürich" "Χανιά" (missing) (missing))"},
        {"How do I get to the airport?", R"((missing) "airport" (missing) (missing))"},
        {"to Athens or to Naxos", R"((missing) (ambiguous) (missing) (missing))"},
        {"from Athens to Naxos, 2-3 people", R"("Athens" "Naxos" (missing) (ambiguous))"},
        {"to \"Nea Moni\" please", R"((missing) "Nea Moni" (missing) (missing))"},
        {"Which one is cheaper?", "(missing) (missing) (missing) (missing)"},
        {"to Kos for 7 nights", R"((missing) "Kos" (missing) (missing))"},
        {"to Kos for 12 people", R"((missing) "Kos" (missing) (missing))"},
    });
}

TEST_F(Arguments, DatesAreThoseOfTheCalendar) {
    add(date_property("date"));
    expect_all({
        {"2026-05-12", "\"2026-05-12\""},
        {"at 2026-05-12T10:00", "\"2026-05-12\""},
        {"on 12.6.2026", "\"2026-06-12\""},
        {"on 25/12/2026", "\"2026-12-25\""},
        {"on 12/25/2026", "\"2026-12-25\""},
        {"on 5/6/2026", "(ambiguous)"},
        {"on 5/5/2027", "\"2027-05-05\""},
        {"the 12th of May", "\"2026-05-12\""},
        {"11 May", "\"2027-05-11\""},  // yesterday was this year's
        {"May 3rd, 2027", "\"2027-05-03\""},
        {"3 Sept", "\"2026-09-03\""},
        {"29 February", "\"2028-02-29\""},
        {"31 February", "(missing)"},
        {"2026-02-29", "(missing)"},
        {"may I come in March?", "(missing)"},
        {"today", "\"2026-05-12\""},
        {"tonight at 8", "\"2026-05-12\""},
        {"Tomorrow", "\"2026-05-13\""},
        {"the day after tomorrow", "\"2026-05-14\""},
        {"in two weeks", "\"2026-05-26\""},
        {"on Friday", "\"2026-05-15\""},
        {"on Tuesday", "\"2026-05-19\""},  // today is one
        {"this Wednesday", "\"2026-05-13\""},
        {"next Friday", "\"2026-05-22\""},
        {"next Monday", "\"2026-05-18\""},
        {"Friday, 15 May", "\"2026-05-15\""},
        {"Friday, 16 May", "(ambiguous)"},
        {"12-15 May", "(ambiguous)"},
        {"12 to 15 May", "(ambiguous)"},
        {"12\xE2\x80\x93"
         "15 May",
         "(ambiguous)"},
        {"on 3 June or 4 June", "(ambiguous)"},
        {"on 3 June, yes, 3 June", "\"2026-06-03\""},
        {"192.168.10.2026", "(missing)"},
        {"version 1.2.3", "(missing)"},
        {"at 12:30 May", "(missing)"},
        {"May 2027", "(missing)"},
        {"from 3 April to 5 April 2023", "(ambiguous)"},
    });
}

TEST_F(Arguments, TwoDatesAreToldApartByTheirWords) {
    ArgumentProperty back = date_property("return_date");
    back.words = {"back on", "returning", "until"};
    add(date_property("departure_date"));
    add(back);
    EXPECT_EQ(all("from 3 June until 10 June"), R"("2026-06-03" "2026-06-10")");
    EXPECT_EQ(all("departure: 3 June, returning on 10 June"), R"("2026-06-03" "2026-06-10")");
    EXPECT_EQ(all("3 June and 10 June"), "(ambiguous) (ambiguous)");
    EXPECT_EQ(all("3 June"), "(ambiguous) (ambiguous)");
    EXPECT_EQ(all("returning 10 June"), R"((missing) "2026-06-10")");
}

TEST_F(Arguments, NumbersAreReadAsPeopleWriteThem) {
    ArgumentProperty rooms = property("rooms", ArgumentType::kNumber);
    add(rooms);
    expect_all({
        {"2 rooms", "2"},
        {"twenty-one rooms", "21"},
        {"two hundred rooms", "200"},
        {"a couple of rooms", "(missing)"},
        {"rooms: 1,200", "1200"},
        {"rooms 1,200.5", "1200.5"},
        {"rooms 1.200,5", "1200.5"},
        {"rooms 12,5", "12.5"},
        {"rooms -3", "-3"},
        {"rooms 0.50", "0.5"},
        {"rooms 1.2.3", "(missing)"},
        {"rooms 12,34,56", "(missing)"},
        {"A320 rooms", "(missing)"},
        {"room 5pm", "(missing)"},
        {"at 10 am", "(missing)"},
        {"at 10:30", "(missing)"},
        {"the 1st", "(missing)"},
        {"2 or 3 rooms", "(ambiguous)"},
        {"5 to 7 rooms", "(ambiguous)"},
        {"rooms 2 - 3", "(ambiguous)"},
        {"2 rooms, 3 rooms", "(ambiguous)"},
        {"2 rooms, no, 2 rooms", "2"},
        {"99999999999999999999 rooms", "(missing)"},
        {"book 2 for tonight", "2"},
        {"covid-19", "(missing)"},
    });
}

TEST_F(Arguments, UnitsAreConvertedAndOthersAreNoValue) {
    ArgumentProperty budget = property("budget", ArgumentType::kNumber);
    budget.unit = "EUR";
    ArgumentProperty weight = property("weight", ArgumentType::kNumber);
    weight.unit = "kg";
    ArgumentProperty stay = property("stay", ArgumentType::kInteger);
    stay.unit = "day";
    add(budget);
    add(weight);
    add(stay);
    EXPECT_EQ(all("under €1,200.50, 500 g, for two weeks"), "1200.5 0.5 14");
    EXPECT_EQ(all("300 euros, 2kg"), "300 2 (missing)");
    EXPECT_EQ(all("300 € and 3 days"), "300 (missing) 3");
    EXPECT_EQ(all("$300 and 3 miles"), "(missing) (missing) (missing)");
    EXPECT_EQ(all("a budget of 300"), "300 (missing) (missing)");
    EXPECT_EQ(all("about 300"), "(missing) (missing) (missing)");
    EXPECT_EQ(all("30 hours"), "(missing) (missing) (missing)") << "no whole number of days";
    EXPECT_EQ(convert(2, "pounds", "GBP"), 2);
    EXPECT_NEAR(convert(2, "pounds", "kg").value_or(0), 0.907, 0.001);
    EXPECT_FALSE(convert(2, "USD", "EUR"));
}

TEST_F(Arguments, AnEnumIsFoundByItsValuesAndTheirSynonyms) {
    ArgumentProperty cabin = property("cabin");
    cabin.choices = {
        {"economy", {"coach"}}, {"business", {"business class"}}, {"first", {"first class"}}};
    add(cabin);
    EXPECT_EQ(of("in Business Class, please"), "\"business\"");
    EXPECT_EQ(of("coach"), "\"economy\"");
    EXPECT_EQ(of("business or economy"), "(ambiguous)");
    EXPECT_EQ(of("not business, economy"), "\"economy\"");
    EXPECT_EQ(of("my businesses"), "(missing)");
}

TEST_F(Arguments, TwoEnumsOfTheSameValuesAreToldApart) {
    for (const char* name : {"origin", "destination"}) {
        ArgumentProperty one = property(name);
        one.choices = {{"ATH", {"Athens"}}, {"JNX", {"Naxos"}}, {"JMK", {"Mykonos"}}};
        add(one);
    }
    EXPECT_EQ(all("from Athens to Naxos"), R"("ATH" "JNX")");
    EXPECT_EQ(all("to Naxos from Athens"), R"("ATH" "JNX")");
    EXPECT_EQ(all("to Naxos"), R"((missing) "JNX")");
    EXPECT_EQ(all("Athens to Naxos"), R"("ATH" "JNX")") << "what is left over is the other's";
    EXPECT_EQ(all("Athens, Naxos"), "(ambiguous) (ambiguous)");
}

TEST_F(Arguments, BooleansAreWordsAndTheirNegation) {
    ArgumentProperty direct = property("is_direct", ArgumentType::kBoolean);
    direct.words = {"non stop", "nonstop"};
    add(direct);
    EXPECT_EQ(of("a direct flight"), "true");
    EXPECT_EQ(of("non-stop to Athens"), "true");
    EXPECT_EQ(of("it need not be direct"), "false");
    EXPECT_EQ(of("a flight"), "(missing)");
    EXPECT_EQ(of("direct, or not direct"), "(ambiguous)");
    ArgumentProperty exempt = property("tax_exempt", ArgumentType::kBoolean);
    add(exempt);
    EXPECT_EQ(of("what is the tax?", 1), "(missing)");
    EXPECT_EQ(of("it is tax exempt", 1), "true");
    schema_.properties.pop_back();
    EXPECT_EQ(of("yes"), "true");
    EXPECT_EQ(of("No!"), "false");
}

TEST_F(Arguments, PatternsAreSearchedOrHoldForAWord) {
    ArgumentProperty code = property("code");
    code.pattern = "[A-Z0-9]{6}";
    ArgumentProperty mail = property("mail");
    mail.pattern = R"(^[\w.]+@[\w.]+$)";
    add(code);
    add(mail);
    EXPECT_EQ(all("booking QX12ZZ of a.b@example.org."), R"("QX12ZZ" "a.b@example.org")");
    EXPECT_EQ(all("QX12ZZ or QX12ZY"), "(ambiguous) (missing)");
}

TEST_F(Arguments, WordsGivenByHandStandBeforeAString) {
    ArgumentProperty topic = property("q");
    topic.words = {"search for", "look up"};
    add(topic);
    EXPECT_EQ(of("please look up Kalamata olives"), "\"Kalamata\"");
    EXPECT_EQ(of("look up \"Kalamata olives\""), "\"Kalamata olives\"");
    EXPECT_EQ(of("look up kalamata olives"), "\"kalamata olives\"");
    EXPECT_EQ(of("look up some very long winding things"), "(ambiguous)");
    EXPECT_EQ(of("look up"), "(missing)");
}

TEST_F(Arguments, AWordOfANameIsBelievedOnlyBeforeWhatLooksLikeAValue) {
    add(property("title"));
    add(property("city"));
    add(property("to_address"));
    expect_all({
        {"change the title please", "(missing) (missing) (missing)"},
        {"the title should be changed", "(missing) (missing) (missing)"},
        {"the title is spring sale", R"("spring sale" (missing) (missing))"},
        {"title: spring sale, city = paris", R"("spring sale" "paris" (missing))"},
        {"a title called 'It's Ann's, or not' then", R"("It's Ann's, or not" (missing) (missing))"},
        {"the title \xE2\x80\x9CSpring: sale\xE2\x80\x9D", R"("Spring: sale" (missing) (missing))"},
        {"the title 'Spring", "(missing) (missing) (missing)"},
        {"weather in Berkeley, CA and in town", R"((missing) "Berkeley, CA" (missing))"},
        {"weather in Athens, Kos", R"((missing) "Athens" (missing))"},
        {"weather in December", "(missing) (missing) (missing)"},
        {"weather in fahrenheit", "(missing) (missing) (missing)"},
        {"city of Athens", "(missing) (missing) (missing)"},
        {"mail it to Andy", "(missing) (missing) (missing)"},
    });
}

TEST_F(Arguments, OddTextsAreTakenAsTheyCome) {
    add_flight();
    for (const std::string& text :
         {std::string(), std::string(" \n\t"), std::string("🙂🙂🙂"), std::string("\xff\xfe\x80"),
          std::string("from \xff\xff to \xc3"), std::string("שלום לך מתל אביב"),
          std::string("from", 4), std::string("to"), std::string("2"), std::string("12 "),
          std::string("\0\0from\0", 7), std::string("to \xE2\x80\x8F") + "אתונה",
          std::string(1'000'000, 'a'), std::string(1'000'000, '7'), std::string(300'000, '-'),
          std::string(20'000, '\xE2')})
        (void)all(text);
    std::string many;
    while (many.size() < 1'000'000) many += "from Athens to Naxos on 3 June for 2 people ";
    EXPECT_EQ(all(many), R"("Athens" "Naxos" "2026-06-03" 2)");
    for (const char* piece :
         {"To ", "To 'a ", "to A, BC ", "1 to ", "Friday, ", "not direct ", "\"To: "}) {
        many.clear();
        while (many.size() < kMostWordBytes) many += piece;
        const auto begin = std::chrono::steady_clock::now();
        (void)parse_arguments(schema_, many, kToday);
        EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1)) << piece;
    }
    std::string late(kMostWordBytes, ' ');
    EXPECT_EQ(of(late + "from Athens"), "(missing)") << "beyond what is looked at";
    EXPECT_EQ(of("from " + std::string(1000, 'X')), "(missing)") << "too long for a value";
    EXPECT_EQ(of("to אתונה", 1), "\"אתונה\"");
    EXPECT_EQ(of("to 🙂 Athens", 1), "(missing)");
}

TEST(ArgumentSchemaTest, WhatDoesNotGoTogetherIsAnError) {
    const auto error = [](ArgumentProperty one) {
        const auto ready = prepare(one);
        return ready ? std::string() : ready.error().message;
    };
    ArgumentProperty one = property("a");
    one.pattern = "[";
    EXPECT_THAT(error(one), HasSubstr("pattern '['"));
    one = property("a", ArgumentType::kInteger);
    one.date = true;
    EXPECT_THAT(error(one), HasSubstr("are of strings"));
    one = property("a");
    one.unit = "kg";
    EXPECT_THAT(error(one), HasSubstr("are of numbers"));
    one = property("a", ArgumentType::kNumber);
    one.unit = "furlong";
    EXPECT_THAT(error(one), HasSubstr("unknown unit 'furlong'"));
    one.unit = "km";
    one.minimum = 3;
    one.maximum = 2;
    EXPECT_THAT(error(one), HasSubstr("above"));
}

TEST(ArgumentSchemaTest, CuesComeFromTheNameAndTheDescription) {
    ArgumentProperty one = property("numPassengers", ArgumentType::kInteger);
    ASSERT_TRUE(prepare(one));
    EXPECT_THAT(one.cues, ElementsAre(ElementsAre("num", "passengers"), ElementsAre("passenger"),
                                      ElementsAre("passengers")));
    one = property("a_port");
    one.description = "port of departure";
    ASSERT_TRUE(prepare(one));
    EXPECT_THAT(one.cues, ElementsAre(ElementsAre("a", "port"), ElementsAre("out", "of"),
                                      ElementsAre("from"), ElementsAre("port")));
}

}  // namespace
}  // namespace leeway::router
