#include "app/routes/routes_import.hpp"

#include "app/routes/routes_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace leeway::app {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(ImportRoutes, TakesTheFileThatSemanticRouterWrites) {
    const auto made = import_routes(
        R"({"encoder_type":"huggingface","encoder_name":"all-MiniLM-L6-v2","routes":[
 {"name":"pol itics","utterances":["do you like ${X}?","vote"],"description":null,
  "function_schemas":null,"llm":null,"score_threshold":0.3,"metadata":{}},
 {"name":"chat","utterances":["hi"],"function_schemas":[{"name":"f"}]}]})",
        "layer.json");
    ASSERT_TRUE(made) << made.error().message;
    const auto set = read_routes_text(made->text, "x.yaml").set;
    ASSERT_TRUE(set);
    EXPECT_EQ(set->routes[0].name, "pol_itics");
    EXPECT_THAT(set->routes[0].utterances, ElementsAre("do you like ${X}?", "vote"));
    EXPECT_THAT(made->not_carried, Contains(HasSubstr("encoder 'all-MiniLM-L6-v2'")));
    EXPECT_THAT(made->not_carried, Contains(HasSubstr("layer.json:3:56: score_threshold 0.3")));
    EXPECT_THAT(made->not_carried, Contains(HasSubstr("function_schemas: has neither")));
    EXPECT_EQ(made->not_carried.size(), 4U);
}

TEST(ImportRoutes, FunctionSchemasBecomeArguments) {
    const auto made = import_routes(
        R"J({"routes":[
 {"name":"time","utterances":["what time is it"],"llm":{"module":"x"},"function_schemas":[
  {"name":"get_time","description":"d","signature":"(timezone: str, hours: Optional[int] = None, when: Literal['am', 'pm'] = 'am', other: list[int] = [1, 2]) -> str","output":"<class 'str'>"},
  {"name":"second","signature":"()"}]},
 {"name":"book","utterances":["book it"],"function_schema":{"type":"function","function":{"name":"book","parameters":
  {"type":"object","required":["day"],"properties":{
   "day":{"type":"string","format":"date","description":"when"},
   "seats":{"type":"integer","minimum":1,"enum":[1,2]},
   "code":{"type":"string","pattern":"(?=a)b"},
   "deep":{"type":"object","properties":{}}}}}}}]})J",
        "layer.json");
    ASSERT_TRUE(made) << made.error().message;
    const auto set = read_routes_text(made->text, "x.yaml").set;
    ASSERT_TRUE(set) << made->text;
    const auto& time = set->routes[0].action.arguments.properties;
    ASSERT_EQ(time.size(), 4U);
    EXPECT_EQ(time[0].name, "timezone");
    EXPECT_TRUE(time[0].required);
    EXPECT_EQ(time[1].type, router::ArgumentType::kInteger);
    EXPECT_FALSE(time[1].required);
    EXPECT_EQ(time[2].choices.size(), 2U);
    const auto& book = set->routes[1].action.arguments.properties;
    ASSERT_EQ(book.size(), 4U);
    EXPECT_TRUE(book[0].date && book[0].required);
    EXPECT_EQ(book[0].description, "when");
    EXPECT_EQ(book[1].minimum, 1);
    EXPECT_TRUE(book[1].choices.empty());
    EXPECT_EQ(book[2].pattern, "");
    for (const char* told :
         {"a second function", "'other: list[int]' is a string here", "llm: name a model",
          "'enum' of 'seats'", "'code': pattern", "'properties' of 'deep'"})
        EXPECT_THAT(made->not_carried, Contains(HasSubstr(told)));
    for (const char* odd : {"1", "[]", "[1]", "{\"signature\": \"((\"}", "{\"signature\": \")(\"}",
                            "{\"signature\": \"(a: str\"}", "{\"parameters\": {\"properties\": 3}}",
                            "{\"signature\": \"(a b: int, : str, *c)\"}"}) {
        const auto other = import_routes(
            std::string(R"([{"name":"a","utterances":["x"],"function_schemas":)") + odd + "}]",
            "r");
        EXPECT_TRUE(other) << odd;
    }
}

TEST(ImportRoutes, TakesYamlAndABareList) {
    const auto made = import_routes("- name: a\n  utterances: [x, 'y: z']\n", "r.yaml");
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_THAT(made->not_carried, IsEmpty());
    EXPECT_TRUE(read_routes_text(made->text, "x.yaml").set);
}

TEST(ImportRoutes, WhatCannotBeUsedIsAnError) {
    EXPECT_FALSE(import_routes("", "r"));
    EXPECT_FALSE(import_routes("{", "r"));
    EXPECT_FALSE(import_routes("{\"routes\": []}", "r"));
    EXPECT_FALSE(import_routes("{\"routes\": [{\"name\": \"a\"}]}", "r"));
    const auto twice =
        import_routes("- {name: a, utterances: [same]}\n- {name: b, utterances: [Same]}\n", "r");
    ASSERT_FALSE(twice);
    EXPECT_THAT(twice.error().message, HasSubstr("stands in 'b'"));
}

}  // namespace
}  // namespace leeway::app
