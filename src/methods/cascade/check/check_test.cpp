#include "base/gzip_file.hpp"
#include "json/testing/test_data.hpp"
#include "methods/cascade/check/agreement.hpp"
#include "methods/cascade/check/answer_checks.hpp"
#include "methods/cascade/check/arithmetic.hpp"
#include "methods/cascade/check/json_schema.hpp"
#include "methods/cascade/check/marks.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <vector>

namespace leeway::cascade::check {
namespace {

constexpr std::string_view kTicket = R"({
  "type": "object", "required": ["from", "seats"], "additionalProperties": false,
  "properties": {
    "from": {"type": "string", "minLength": 3, "maxLength": 3},
    "class": {"enum": ["economy", "business", 1]},
    "seats": {"type": "array", "items": {"$ref": "#/$defs/seat"}, "minItems": 1, "uniqueItems": true},
    "price": {"type": ["number", "null"], "exclusiveMinimum": 0, "multipleOf": 0.01}
  },
  "$defs": {"seat": {"type": "integer", "minimum": 1, "maximum": 60}}
})";

Validity validity(std::string_view answer, std::string_view schema = kTicket) {
    return check_answer(answer, schema).validity;
}

TEST(CheckAnswers, RefuseWhatAFormatDoesNotAllow) {
    const std::string format = R"({"type":"json_schema","json_schema":{"name":"t","schema":)" +
                               std::string(kTicket) + "}}";
    EXPECT_EQ(fault_in(R"({"from":"ATH","seats":[1]})", format, {}), "");
    EXPECT_EQ(fault_in(R"({"from":"ATH","seats":[61]})", format, {}), "schema");
    EXPECT_EQ(fault_in(R"(Here: {"from":"ATH","seats":[1]})", format, {}), "schema");
    EXPECT_EQ(fault_in("yes", R"({"type":"json_object"})", {}), "schema");
    EXPECT_EQ(fault_in("[1]", R"({"type":"json_object"})", {}), "schema");
    EXPECT_EQ(fault_in("{}", R"({"type":"json_object"})", {}), "");
    AnswerChecks none;
    none.schema = false;
    EXPECT_EQ(fault_in("yes", R"({"type":"json_object"})", none), "");
    for (const std::string_view other :
         {"", "null", "{", R"({"type":"text"})", R"({"type":"new"})"})
        EXPECT_EQ(fault_in("yes", other, {}), "") << other;
}

TEST(CheckAnswers, RefuseByWhatTheyAreToldToLookFor) {
    AnswerChecks checks;
    EXPECT_EQ(fault_in("2 + 2 = 5", "", checks), "");
    checks.sums = true;
    EXPECT_EQ(fault_in("2 + 2 = 5", "", checks), "sums");
    EXPECT_EQ(fault_in("2 + 2 = 4", "", checks), "");
    EXPECT_EQ(fault_in("I'm sorry, but I cannot answer that.", "", checks), "");
    checks.wording = true;
    EXPECT_EQ(fault_in("I'm sorry, but I cannot answer that.", "", checks), "refusal");
    EXPECT_EQ(fault_in("These are the towns:", "", checks), "cut");
    EXPECT_EQ(fault_in(" ", "", checks), "cut");
    checks.pattern = *answer_pattern("[0-9]+ EUR");
    EXPECT_EQ(fault_in("It costs 12 EUR.", "", checks), "");
    EXPECT_EQ(fault_in("It costs a lot.", "", checks), "pattern");
    EXPECT_FALSE(answer_pattern("[0-9").has_value());
}

TEST(CheckJsonSchema, TellsValidFromInvalid) {
    EXPECT_EQ(validity(R"({"from": "ATH", "seats": [1, 2], "price": 12.35, "class": "economy"})"),
              Validity::kValid);
    EXPECT_EQ(validity(R"({"from": "ΑΘΗ", "seats": [3.0], "price": null, "class": 1.0})"),
              Validity::kValid);
    const auto fault = [](std::string_view answer) {
        return check_answer(answer, kTicket).why;
    };
    EXPECT_EQ(fault(R"({"from": "ATH"})"), "/: seats is missing");
    EXPECT_EQ(fault(R"({"from": "Athens", "seats": [1]})"), "/from: too many characters");
    EXPECT_EQ(fault(R"({"from": "ATH", "seats": [1, 61]})"), "/seats/1: above the maximum");
    EXPECT_EQ(fault(R"({"from": "ATH", "seats": [1.5]})"), "/seats/0: not of type integer");
    EXPECT_EQ(fault(R"({"from": "ATH", "seats": [1, 1.0]})"), "/seats: an element comes twice");
    EXPECT_EQ(fault(R"({"from": "ATH", "seats": []})"), "/seats: too few elements");
    EXPECT_EQ(fault(R"({"from": "ATH", "seats": [1], "meal": 1})"),
              "/meal: nothing is allowed here");
    EXPECT_EQ(fault(R"({"from": "ATH", "seats": [1], "price": 0})"),
              "/price: not above the minimum");
    EXPECT_EQ(fault(R"({"from": "ATH", "seats": [1], "price": 1.005})"), "/price: not a multiple");
    EXPECT_EQ(fault(R"({"from": "ATH", "seats": [1], "class": "first"})"),
              "/class: not one of the values of enum");
    EXPECT_EQ(fault("[]"), "/: not of type object");
    EXPECT_EQ(fault("Sorry, I do not know."), "the answer has no JSON");
}

TEST(CheckJsonSchema, CombinationsAndWhatItDoesNotKnow) {
    EXPECT_EQ(validity("3", R"({"anyOf": [{"type": "string"}, {"minimum": 2}]})"),
              Validity::kValid);
    EXPECT_EQ(validity("1", R"({"anyOf": [{"type": "string"}, {"minimum": 2}]})"),
              Validity::kInvalid);
    EXPECT_EQ(validity("3", R"({"oneOf": [{"type": "number"}, {"minimum": 2}]})"),
              Validity::kInvalid);
    EXPECT_EQ(validity("3", R"({"allOf": [{"type": "number"}, {"minimum": 5}]})"),
              Validity::kInvalid);
    EXPECT_EQ(validity("3", R"({"not": {"type": "number"}})"), Validity::kInvalid);
    EXPECT_EQ(validity("\"a\"", R"({"not": {"type": "number"}})"), Validity::kValid);
    EXPECT_EQ(validity("\"a\"", R"({"pattern": "^b"})"), Validity::kUnknown);
    EXPECT_EQ(validity("3", R"({"pattern": "^b"})"), Validity::kValid);  // says nothing of numbers
    EXPECT_EQ(validity("3", R"({"type": "string", "format": "date"})"), Validity::kInvalid);
    EXPECT_EQ(validity("\"x\"", R"({"type": "string", "format": "date"})"), Validity::kUnknown);
    EXPECT_EQ(validity("3", R"({"if": {}})"), Validity::kUnknown);
    EXPECT_EQ(validity(R"({"x": 1})",
                       R"({"additionalProperties": false, "patternProperties": {"^x": {}}})"),
              Validity::kUnknown);
    EXPECT_EQ(validity("3", "not a schema"), Validity::kUnknown);
    EXPECT_EQ(validity("3", R"({"$ref": "https://example.org/x"})"), Validity::kUnknown);
    EXPECT_EQ(validity("3", R"({"$ref": "#/none"})"), Validity::kUnknown);
    EXPECT_EQ(validity("3", R"({"$ref": "#"})"), Validity::kUnknown);  // in circles
    // Twice itself in each step: it must end.
    EXPECT_EQ(validity("3", R"({"anyOf": [{"$ref": "#"}, {"$ref": "#"}]})"), Validity::kUnknown);
    EXPECT_EQ(validity("3", "true"), Validity::kValid);
    EXPECT_EQ(validity("3", "false"), Validity::kInvalid);
}

TEST(CheckJsonSchema, FindsJsonInAnAnswer) {
    EXPECT_EQ(validity("Here it is:\n```json\n{\"from\": \"ATH\", \"seats\": [1]}\n```\nEnjoy."),
              Validity::kValid);
    EXPECT_EQ(validity("Of course: {\"from\": \"ATH\", \"seats\": [1]} - anything else?"),
              Validity::kValid);
    EXPECT_EQ(validity("{\"from\": \"ATH\", \"seats\": [1]"), Validity::kInvalid);
    EXPECT_EQ(validity(""), Validity::kInvalid);
    EXPECT_FALSE(json_of("} {"));
    EXPECT_FALSE(json_of("```"));
}

struct Wanted {
    std::string_view text;
    std::size_t right;
    std::size_t wrong;
};

TEST(CheckSums, ComputesAgain) {
    for (const Wanted& one : {
             Wanted{"16 - 3 - 4 = 9", 1, 0},
             Wanted{"She sells 16 - 3 - 4 = <<16-3-4=9>>9 eggs.", 1, 0},
             Wanted{"9 eggs * $2/egg = $18", 1, 0},
             Wanted{"so 12 × $2.50 = $30.00 in all", 1, 0},
             Wanted{"(1,200 - 200) / 5 = 200 km", 1, 0},
             Wanted{"25% of 80 = 20", 1, 0},
             Wanted{"2 + 3 * 4 = 14 and 2 + 3 * 4 = 20", 1, 1},
             Wanted{"10 / 3 = 3.33", 1, 0},
             Wanted{"10 / 3 = 3.34", 0, 1},
             Wanted{"10 / 4 = 2.5 = 2.5", 1, 0},
             Wanted{"100 - 30 = 80", 0, 1},
             Wanted{"7 / 0 = 7", 0, 1},
             Wanted{"3 + 4 = 5 + 2 = 7", 1, 0},
             Wanted{"\\(6 \\times 7 = 42\\)", 1, 0},
             Wanted{"-3 + 5 = 2", 1, 0},
             Wanted{"3 - 5 = -2", 1, 0},
             Wanted{"x = 4, y = 2x + 3", 0, 0},
             Wanted{"There were 5 = five of them in 2020-2021.", 0, 0},
             Wanted{"", 0, 0},
             Wanted{"====", 0, 0},
             Wanted{"1 + = 3", 0, 0},
             Wanted{"3r + 5w = 42", 0, 0},
             Wanted{"3 1/2 - 2 = 1 1/2", 0, 0},
             Wanted{"27(1/3)=9", 0, 0},
             Wanted{"300g / 5 = 60 grams", 1, 0},
         }) {
        const Sums sums = check_sums(one.text);
        EXPECT_EQ(sums.right, one.right) << one.text;
        EXPECT_EQ(sums.wrong, one.wrong) << one.text;
    }
}

TEST(CheckSums, HostileTextEnds) {
    std::string brackets(200'000, '(');
    EXPECT_EQ(check_sums(brackets + "1 + 1 = 2").right, 1U);
    std::string ones;
    for (int i = 0; i < 50'000; ++i) ones += "1+";
    EXPECT_EQ(check_sums(ones + " = 3").all(), 0U);
    EXPECT_EQ(check_sums("\xff\xfe 1 + 1 = 2 \x80").right, 1U);
}

TEST(CheckSums, LastNumber) {
    EXPECT_EQ(last_number("the total is $1,234.50."), 1234.5);
    EXPECT_EQ(last_number("#### -7"), -7);
    EXPECT_EQ(last_number("from 3 - 5"), 5);
    EXPECT_EQ(last_number("none"), std::nullopt);
}

/// All of a file, unpacked.
std::string unpacked(const std::filesystem::path& path) {
    std::string out;
    auto file = GzipFile::open(path.string());
    EXPECT_TRUE(file) << path;
    std::array<char, 65536> part{};
    while (file) {
        const auto got = file->read(part);
        if (!got || *got == 0) break;
        out.append(part.data(), *got);
    }
    return out;
}

TEST(CheckSums, SolutionsWrittenByPeople) {
    const std::filesystem::path folder = json::testing::test_data("outcomes/gsm8k-4-models");
    if (folder.empty()) GTEST_SKIP() << json::testing::skip_message("outcomes/gsm8k-4-models");
    const std::string lines = unpacked(folder / "example_model_solutions.jsonl.gz");
    Sums sums;
    std::size_t wrong_sums = 0;  // of a small model's solutions
    std::size_t wrong_sums_right = 0;
    std::size_t others = 0;
    std::size_t others_right = 0;
    for (std::size_t at = 0; at < lines.size();) {
        const std::size_t end = std::min(lines.find('\n', at), lines.size());
        const auto row = json::parse_node(std::string_view(lines).substr(at, end - at));
        at = end + 1;
        ASSERT_TRUE(row);
        const Sums truth = check_sums(row->text_of("ground_truth"));
        sums.right += truth.right;
        sums.wrong += truth.wrong;
        const json::Node* const told = row->find("175b_verification");
        ASSERT_NE(told, nullptr);
        const bool right = told->find("is_correct")->is_true();
        const bool wrong_sum = check_sums(told->text_of("solution")).wrong > 0;
        (wrong_sum ? wrong_sums : others) += 1;
        (wrong_sum ? wrong_sums_right : others_right) += right ? 1U : 0U;
    }
    EXPECT_GT(sums.all(), 4000U);
    EXPECT_LT(sums.wrong * 200, sums.all());  // under half a percent: mixed numbers and the like
    EXPECT_GT(wrong_sums, 10U);
    // Few answers have a wrong sum, and those that do are mostly wrong.
    EXPECT_LT(wrong_sums_right * 4, wrong_sums);
    EXPECT_GT(others_right * 2, others);
}

TEST(CheckMarks, RefusalsAndHedges) {
    EXPECT_TRUE(marks_of("I'm sorry, but I can’t help with that.").refuses);
    EXPECT_TRUE(marks_of("Λυπάμαι, αλλά δεν μπορώ να βοηθήσω.").refuses);
    EXPECT_TRUE(marks_of("Es tut mir leid, das geht nicht.").refuses);
    EXPECT_FALSE(marks_of("The museum opens at nine. You cannot park there.").refuses);
    EXPECT_FALSE(marks_of(std::string(400, 'a') + " I cannot").refuses);
    const Marks hedged = marks_of("I think it is probably Paris, but I'm not sure.");
    EXPECT_EQ(hedged.hedges, 3U);
    EXPECT_EQ(hedged.words, 10U);
    EXPECT_NEAR(hedged.hedging(), 30, 1e-9);
    EXPECT_EQ(marks_of("Maybelline").hedges, 0U);
    EXPECT_TRUE(marks_of(" \n").empty);
    EXPECT_FALSE(marks_of("no").empty);
    EXPECT_TRUE(marks_of("Take ```c++\nint x").cut);
    EXPECT_TRUE(marks_of("You need flour, eggs,").cut);
    EXPECT_FALSE(marks_of("42").cut);
    EXPECT_FALSE(marks_of("It is 42.").cut);
}

TEST(CheckAgreement, FinalAnswers) {
    EXPECT_EQ(final_answer("{\"reasoning\": \"2 + 2\", \"answer\": \"$18.00\"}"), "18");
    EXPECT_EQ(final_answer("```json\n{\"answer\": 18}\n```"), "18");
    // Line breaks inside a string are no JSON; the answer is found all the same.
    EXPECT_EQ(final_answer("{\"reasoning\": \"2\n+ 2\",\n \"answer\": \"18\"\n}"), "18");
    EXPECT_EQ(final_answer("9 * 2 = 18\n#### 18"), "18");
    EXPECT_EQ(final_answer("So the answer is **18 dollars**."), "18");
    EXPECT_EQ(final_answer("The Eiffel Tower."), "eiffel tower");
    EXPECT_EQ(final_answer("Answer: eiffel tower"), "eiffel tower");
    EXPECT_EQ(final_answer("-3"), "-3");
    EXPECT_EQ(final_answer(""), "");
}

TEST(CheckAgreement, ShareOfTheMostFrequent) {
    const std::vector<std::string> samples{"Answer: 17", "#### 18", "{\"answer\": \"18\"}", "",
                                           "the answer is 18."};
    const Agreement agreement = agreement_of(samples);
    EXPECT_DOUBLE_EQ(agreement.share, 0.6);
    EXPECT_EQ(agreement.first, 1U);
    EXPECT_EQ(agreement.distinct, 2U);
    const std::vector<std::string> split{"a cat", "dog"};
    EXPECT_EQ(agreement_of(split).first, 0U);
    EXPECT_DOUBLE_EQ(agreement_of(split).share, 0.5);
    EXPECT_EQ(agreement_of({}).share, 0);
    const std::vector<std::string> nothing{"", " "};
    EXPECT_EQ(agreement_of(nothing).share, 0);
}

TEST(SayTheSame, ShortAnswersAreComparedAndLongOnesOnlyWhereTheyEndAlike) {
    EXPECT_EQ(say_the_same("42", "42.0"), true);
    EXPECT_EQ(say_the_same("The answer is Athens.", "athens"), true);
    EXPECT_EQ(say_the_same("6 * 7, so\n#### 42", "It is a known number. Answer: 42"), true);
    EXPECT_EQ(say_the_same("42", "43"), false);
    EXPECT_EQ(say_the_same("Athens", "Sparta"), false);
    const std::string told = "It stands on the hill above the town, as it has since antiquity.";
    EXPECT_EQ(say_the_same(told, told + "  "), true);
    EXPECT_EQ(say_the_same(told, "On that hill, above the town; and that for very long by now."),
              std::nullopt);
}

}  // namespace
}  // namespace leeway::cascade::check
