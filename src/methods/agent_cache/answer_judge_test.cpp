#include "methods/agent_cache/answer_judge.hpp"

#include "json/node.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace leeway::agent_cache {
namespace {

TEST(AnswerJudge, ComparesWhatCanBeCompared) {
    EXPECT_EQ(compare_answers("Athens.", " athens"), Comparison::kSame);
    EXPECT_EQ(compare_answers("1,200 m", "1200 m."), Comparison::kSame);
    EXPECT_EQ(compare_answers("12.0", "12"), Comparison::kSame);
    EXPECT_EQ(compare_answers("Athens", "Delphi"), Comparison::kDifferent);
    EXPECT_EQ(compare_answers("1,2,3", "123"), Comparison::kDifferent);
    EXPECT_EQ(compare_answers("version 1.0.5", "version 1.5"), Comparison::kDifferent);
    EXPECT_EQ(compare_answers("12.05", "125"), Comparison::kDifferent);
    const std::string text(200, 'a');
    EXPECT_EQ(compare_answers(text, text), Comparison::kSame);
    EXPECT_EQ(compare_answers(text, text + "b"), Comparison::kUnclear);
    EXPECT_EQ(compare_answers("Athens", text), Comparison::kUnclear);
}

TEST(AnswerJudge, TakesTheTextOfWholeAnswersOnly) {
    const auto of = [](const std::string& choice) {
        return answer_text(R"({"choices":[)" + choice + "]}");
    };
    EXPECT_EQ(
        of(R"({"finish_reason":"stop","message":{"content":"Yes","refusal":null,"tool_calls":[]}})"),
        "Yes");
    for (
        const char* other :
        {R"({"finish_reason":"length","message":{"content":"Yes"}})",
         R"({"finish_reason":"content_filter","message":{"content":"Yes"}})",
         R"({"finish_reason":"tool_calls","message":{"content":"Yes"}})",
         R"({"finish_reason":"stop","message":{"content":"Yes","tool_calls":[{"id":"1"}]}})",
         R"({"finish_reason":"stop","message":{"content":null,"refusal":"No"}})",
         R"({"finish_reason":"stop","message":{"content":""}})",
         R"({"finish_reason":"stop","message":{"content":"a"}},{"finish_reason":"stop","message":{"content":"b"}})",
         ""}) {
        EXPECT_EQ(of(other), std::nullopt) << other;
    }
    EXPECT_EQ(answer_text("<html>"), std::nullopt);
}

TEST(AnswerJudge, AsksAModelAndTakesItsWord) {
    pipeline::Model model;
    model.name = "judge";
    std::optional<bool> said;
    bool told = false;
    const auto call =
        judge_call(model, "Where is \"it\"?", "There\n", "Here", [&](std::optional<bool> same) {
            said = same;
            told = true;
        });
    EXPECT_EQ(call.tag, kJudgeTag);
    const auto body = json::parse_node(call.body);
    ASSERT_TRUE(body);
    EXPECT_EQ(body->text_of("model"), "judge");
    const json::Node* messages = body->find("messages");
    ASSERT_EQ(messages->elements.size(), 2u);
    const auto shown = json::parse_node(messages->elements[1].text_of("content"));
    EXPECT_EQ(shown->text_of("question"), "Where is \"it\"?");
    EXPECT_EQ(shown->text_of("second"), "There\n");
    const auto answer = [&](const char* text, bool complete = true) {
        told = false;
        EXPECT_FALSE(call.then({complete, text, {}, 0}));
        EXPECT_TRUE(told);
        return said;
    };
    EXPECT_EQ(answer("SAME"), true);
    EXPECT_EQ(answer(" different."), false);
    EXPECT_EQ(answer("I cannot say"), std::nullopt);
    EXPECT_EQ(answer("SAME", false), std::nullopt);
}

}  // namespace
}  // namespace leeway::agent_cache
