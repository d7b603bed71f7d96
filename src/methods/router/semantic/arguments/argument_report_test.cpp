#include "methods/router/semantic/arguments/argument_report.hpp"

#include "json/node.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace leeway::router {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

ArgumentSchema schema_of(std::size_t count) {
    ArgumentSchema out;
    for (std::size_t i = 0; i < count; ++i) {
        ArgumentProperty one;
        one.name = "a" + std::to_string(i);
        EXPECT_TRUE(prepare(one));
        out.properties.push_back(std::move(one));
    }
    return out;
}

ArgumentValue found(const std::string& json) { return {ArgumentState::kFound, json, {}, false}; }

TEST(ArgumentsHeader, IsBoundedAsciiAndJsonWhateverWasFound) {
    const ArgumentSchema schema = schema_of(kMostProperties);
    std::vector<ArgumentValue> values(kMostProperties);
    std::string long_text;
    while (long_text.size() < kMostArgumentBytes) long_text += "🙂";
    for (auto& value : values) value = found("\"" + long_text + "\"");
    values[0] = found(R"("é\n\"\u007f 🙂")");
    values[1] = {ArgumentState::kAmbiguous, {}, {}, false};
    const std::string header = arguments_header(schema, values);
    EXPECT_LT(header.size(), 4096U);
    std::vector<int> bytes(header.begin(), header.end());
    EXPECT_THAT(bytes, Each(::testing::AllOf(::testing::Ge(0x20), ::testing::Lt(0x7f))));
    const auto node = json::parse_node(header);
    ASSERT_TRUE(node) << header;
    EXPECT_EQ(node->find("arguments")->text_of("a0"), "é\n\"\x7f 🙂");
    EXPECT_THAT(header, HasSubstr(R"("ambiguous":["a1"])"));
    EXPECT_THAT(header, HasSubstr(R"("left_out":[")"));
}

TEST(ArgumentsHeader, NamesWhatIsMissingIfItIsRequired) {
    ArgumentSchema schema = schema_of(2);
    schema.properties[1].required = true;
    EXPECT_EQ(arguments_header(schema, std::vector<ArgumentValue>(2)),
              R"({"arguments":{},"missing":["a1"]})");
}

TEST(WantedArguments, AreAskedForOnlyIfSomethingRequiredIsLacking) {
    ArgumentSchema schema = schema_of(3);
    schema.properties[0].required = true;
    std::vector<ArgumentValue> values(3);
    values[1].state = ArgumentState::kAmbiguous;
    EXPECT_THAT(wanted_of(schema, values), ElementsAre(0U, 1U));
    values[0] = found("\"x\"");
    EXPECT_THAT(wanted_of(schema, values), IsEmpty());
}

TEST(ArgumentCall, HasTheBeginningOfTheTextAndTheSchemaOfWhatIsWanted) {
    ArgumentSchema schema = schema_of(2);
    schema.properties[1].choices = {{"x", {}}, {"y", {}}};
    pipeline::Model model;
    model.name = "small";
    std::string text;
    while (text.size() < 1'000'000) text += "é";
    const auto call = argument_call(model, schema, {1}, text, Day{});
    EXPECT_LT(call.body.size(), 8192U);
    const auto body = json::parse_node(call.body);
    ASSERT_TRUE(body);
    EXPECT_EQ(body->text_of("model"), "small");
    EXPECT_THAT(
        call.body,
        HasSubstr(
            R"({"type":"object","properties":{"a1":{"type":["string","null"],"enum":["x","y",null]}},"required":["a1"],"additionalProperties":false})"));
    EXPECT_GT(call.answer_tokens, 0);
}

TEST(ArgumentAnswer, IsTakenAsAWholeOrNotAtAll) {
    ArgumentSchema schema = schema_of(2);
    schema.properties[0].type = ArgumentType::kInteger;
    schema.properties[0].maximum = 9;
    std::vector<ArgumentValue> values(2);
    for (const char* bad :
         {R"({"a0": 1.5, "a1": "x"})", R"({"a0": 10, "a1": "x"})", R"({"a1": "x", "a0": "1"})",
          R"({"a1": ""})", R"({"a1": "x)", R"({"a1": "a\u0000b"})"}) {
        EXPECT_FALSE(take_answer(schema, {0, 1}, bad, values)) << bad;
        EXPECT_EQ(values[0].state, ArgumentState::kMissing) << bad;
        EXPECT_EQ(values[1].state, ArgumentState::kMissing) << bad;
    }
    EXPECT_FALSE(take_answer(schema, {1}, R"({"a0": 1})", values)) << "not asked for";
    EXPECT_TRUE(take_answer(schema, {0, 1}, R"(Sure: {"a0": 2, "a1": "x"})", values));
    EXPECT_EQ(values[0].json, "2");
    EXPECT_TRUE(values[1].by_model);
}

TEST(Placeholders, AreCheckedAndFilled) {
    ArgumentSchema schema = schema_of(2);
    std::vector<ArgumentValue> values{found(R"("x \"y\"")"), {}};
    EXPECT_EQ(fill_placeholders("{a0}!", schema, values), "x \"y\"!");
    EXPECT_EQ(fill_placeholders("{a1}", schema, values), std::nullopt);
    EXPECT_EQ(fill_placeholders("{{a1}}", schema, values), "{a1}");
    values[0] = found("2");
    EXPECT_EQ(fill_placeholders("{a0}", schema, values), "2");
    EXPECT_TRUE(check_placeholders("{a0} {a1} {{}}", schema));
    EXPECT_THAT(check_placeholders("{a2}", schema).error().text(), HasSubstr("did you mean"));
    EXPECT_FALSE(check_placeholders("{a0", schema));
    EXPECT_FALSE(check_placeholders("{", schema));
}

}  // namespace
}  // namespace leeway::router
