#include "app/routes/routes_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace leeway::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kFile = R"(# travel
routes:
  - name: flights
    utterances: ["Flights to Athens?", "I need a plane ticket"]
    model: big
  - name: chat
    utterances: [Hello there, "How are you?"]
    answer: Hello!
rules:
  - {when: keyword(bomb), reject: on, priority: 9}
rejection: {answer: Sorry., utterances: [Write me a poem]}
costs: {wrong_accept: 5}
)";

std::string problems_of(const std::string& text) {
    std::string out;
    for (const ConfigProblem& problem : read_routes_text(text, "r.yaml").problems)
        out += problem.text() + "\n";
    return out;
}

TEST(RoutesFile, IsRead) {
    const RoutesReading reading = read_routes_text(kFile, "r.yaml");
    ASSERT_TRUE(reading.set) << problems_of(kFile);
    EXPECT_EQ(reading.set->routes.size(), 2U);
    EXPECT_EQ(reading.set->routes[0].action.model, "big");
    EXPECT_EQ(reading.set->routes[1].action.answer, "Hello!");
    EXPECT_EQ(reading.set->rules[0].priority, 9);
    EXPECT_THAT(reading.set->rejected, ElementsAre("Write me a poem"));
    EXPECT_EQ(reading.set->costs.wrong_accept, 5);
    EXPECT_FALSE(reading.set->fitted);
}

TEST(RoutesFile, AnUtteranceOfTwoRoutesIsAnErrorThatNamesBoth) {
    const std::string problems = problems_of(R"(routes:
  - {name: a, utterances: ["Where is it?"]}
  - {name: b, utterances: [other, WHERE is it!]}
)");
    EXPECT_THAT(problems, HasSubstr("r.yaml:3:"));
    EXPECT_THAT(problems, HasSubstr("stands in 'b' and (line 2) in 'a'"));
}

TEST(RoutesFile, MistakesHaveTheirPlaceAndTheNearestKey) {
    EXPECT_THAT(problems_of(""), HasSubstr("there are no routes"));
    EXPECT_THAT(problems_of("routes: []"), HasSubstr("there are no routes"));
    EXPECT_THAT(problems_of("routes:\n  - {name: a, utterance: [x]}\n"),
                HasSubstr("did you mean 'utterances'"));
    EXPECT_THAT(problems_of("routes:\n  - {name: a, utterances: []}\n"),
                HasSubstr("no utterances"));
    EXPECT_THAT(problems_of("routes:\n  - {name: a, utterances: [\" \"]}\n"),
                HasSubstr("an empty text"));
    EXPECT_THAT(problems_of("routes:\n  - {name: a, utterances: [x], threshold: high}\n"),
                HasSubstr("not a number"));
    EXPECT_THAT(problems_of("alfa: 0.3\nroutes:\n  - {name: a, utterances: [x]}\n"),
                HasSubstr("did you mean 'alpha'"));
    EXPECT_THAT(problems_of("routes:\n  - {name: a, utterances: [x]}\nrules:\n"
                            "  - {when: keyword(x), route: b}\n"),
                HasSubstr("unknown route 'b'"));
    EXPECT_THAT(problems_of("routes:\n  - {name: a, utterances: [x]}\nrules:\n"
                            "  - {when: keywrd(x), route: a}\n"),
                HasSubstr("did you mean 'keyword'"));
    EXPECT_THAT(problems_of("routes:\n  - {name: a, utterances: [x], answer: y, model: z}\n"),
                HasSubstr("exclude each other"));
}

constexpr auto kDynamic = R"(routes:
  - name: flights
    utterances: [flights to Athens]
    arguments_model: small
    answer: "To {destination}: {{x}}"
    arguments:
      type: object
      required: [destination, when]
      properties:
        destination: {type: string, enum: [ATH, JNX], synonyms: {ATH: [Athens, Piraeus]}}
        when: {format: date, description: day of departure, words: [on]}
        seats: {type: integer, minimum: 1, maximum: 9, words: [people]}
        code: {pattern: "[A-Z]{6}"}
        budget: {type: number, unit: EUR}
arguments_within: 1500ms
)";

/// What is wrong with kDynamic after a change.
std::string problems_with(std::string_view old_text, std::string_view new_text) {
    std::string text = kDynamic;
    const std::size_t at = text.find(old_text);
    EXPECT_NE(at, std::string::npos) << old_text;
    return problems_of(text.replace(at, old_text.size(), new_text));
}

TEST(RoutesFile, ArgumentsAreRead) {
    const RoutesReading reading = read_routes_text(kDynamic, "r.yaml");
    ASSERT_TRUE(reading.set) << problems_of(kDynamic);
    EXPECT_EQ(reading.set->arguments_within, std::chrono::milliseconds(1500));
    const router::RouteAction& action = reading.set->routes[0].action;
    EXPECT_EQ(action.arguments_model, "small");
    ASSERT_EQ(action.arguments.properties.size(), 5U);
    const auto& destination = action.arguments.properties[0];
    EXPECT_TRUE(destination.required);
    EXPECT_THAT(destination.choices[0].synonyms, ElementsAre("Athens", "Piraeus"));
    EXPECT_EQ(destination.phrases.size(), 4U);
    EXPECT_TRUE(action.arguments.properties[1].date);
    EXPECT_FALSE(action.arguments.properties[2].required);
    EXPECT_EQ(action.arguments.properties[2].maximum, 9);
    EXPECT_NE(action.arguments.properties[3].regex, nullptr);
    EXPECT_EQ(action.arguments.properties[4].unit, "EUR");
}

TEST(RoutesFile, MistakesOfArgumentsHaveTheirPlace) {
    EXPECT_THAT(problems_with("[destination, when]", "[destination, wen]"),
                HasSubstr("r.yaml:8:31: error: unknown argument 'wen' (did you mean 'when'?)"));
    EXPECT_THAT(problems_with("[A-Z]{6}", "[A-Z"), HasSubstr("r.yaml:13:25: error: code: pattern"));
    EXPECT_THAT(problems_with("type: integer", "type: int"), HasSubstr("r.yaml:12:23"));
    EXPECT_THAT(problems_with("format: date", "format: time"), HasSubstr("unknown format 'time'"));
    EXPECT_THAT(problems_with("unit: EUR", "unit: parsec"), HasSubstr("unknown unit 'parsec'"));
    EXPECT_THAT(problems_with("minimum: 1,", "minimum: one,"), HasSubstr("'one' is no number"));
    EXPECT_THAT(problems_with("maximum: 9", "maxmum: 9"), HasSubstr("did you mean 'maximum'"));
    EXPECT_THAT(problems_with("{ATH: [", "{ATHENS: ["), HasSubstr("r.yaml:10"));
    EXPECT_THAT(problems_with("{destination}", "{destinaton}"),
                HasSubstr("r.yaml:5:13: error: answer: there is no argument 'destinaton'"));
    EXPECT_THAT(problems_with("{destination}", "{"), HasSubstr("r.yaml:5:13"));
    EXPECT_THAT(problems_with("type: object", "type: array"), HasSubstr("are an object"));
    EXPECT_THAT(problems_with("      properties:", "      properteis:"),
                HasSubstr("did you mean 'properties'"));
    EXPECT_THAT(problems_of("routes:\n  - {name: a, utterances: [x], arguments: [1]}\n"),
                HasSubstr("r.yaml:2:"));
    EXPECT_THAT(
        problems_of("routes:\n  - {name: a, utterances: [x], arguments: {properties: {}}}\n"),
        HasSubstr("there are no properties"));
    EXPECT_THAT(problems_of("routes:\n  - {name: a, utterances: [x], arguments_model: m}\n"),
                HasSubstr("there are no `arguments:`"));
    EXPECT_EQ(problems_of("routes:\n  - {name: a, utterances: [x], answer: 'say {x}'}\n"), "")
        << "braces are braces where there are no arguments";
}

TEST(RoutesFile, AThresholdOfZeroIsOne) {
    const auto reading =
        read_routes_text("routes:\n  - {name: a, utterances: [x], threshold: 0}\n", "r.yaml");
    ASSERT_TRUE(reading.set);
    EXPECT_EQ(reading.set->routes[0].threshold, 0.0);
}

router::FittedRoutes fitted() {
    router::FittedRoutes out;
    out.model = "minilm";
    out.fingerprint = "abc";
    out.scoring.alpha = 0.6;
    out.scoring.head = 0.3;
    out.temperature = 0.07;
    out.thresholds = {0.25, -0.125};
    out.examples = {{"say \"x\": ${HOME} # no comment", "chat"}, {"Πού; 🙂", ""}};
    out.rows = 12;
    out.folds = 5;
    out.seed = 3;
    out.accuracy = 0.9;
    out.accuracy_ci = {0.8, 0.95};
    return out;
}

TEST(RoutesFile, WhatWasFittedIsWrittenAndReadBackAndAllElseStays) {
    const auto set = read_routes_text(kFile, "r.yaml").set;
    ASSERT_TRUE(set);
    const std::string written = with_fitted(kFile, *set, fitted());
    EXPECT_TRUE(written.starts_with(kFile));
    const auto again = read_routes_text(written, "r.yaml").set;
    ASSERT_TRUE(again) << problems_of(written);
    ASSERT_TRUE(again->fitted);
    EXPECT_EQ(again->fitted->thresholds, fitted().thresholds);
    EXPECT_EQ(again->fitted->scoring.alpha, 0.6);
    EXPECT_EQ(again->fitted->fingerprint, "abc");
    ASSERT_EQ(again->fitted->examples.size(), 2U);
    EXPECT_EQ(again->fitted->examples[0].text, fitted().examples[0].text);
    EXPECT_EQ(again->fitted->examples[1].text, fitted().examples[1].text);
    EXPECT_EQ(again->fitted->examples[1].route, "");
    // A second time replaces it, and the file is the same.
    EXPECT_EQ(with_fitted(written, *again, fitted()), written);
}

TEST(RoutesFile, ARouteThatCameLaterMakesThresholdsUseless) {
    const auto set = read_routes_text(kFile, "r.yaml").set;
    ASSERT_TRUE(set);
    std::string written = with_fitted(kFile, *set, fitted());
    written.insert(written.find("rules:"), "  - {name: late, utterances: [too late]}\n");
    EXPECT_THAT(problems_of(written), HasSubstr("was not there when the file was fitted"));
    const auto again = read_routes_text(written, "r.yaml").set;
    ASSERT_TRUE(again);
    EXPECT_EQ(again->fitted->fingerprint, "");
}

}  // namespace
}  // namespace leeway::app
