#include "wire/openai/responses_items.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace leeway::wire::openai {
namespace {

json::Node node(const std::string& text) {
    auto out = json::parse_node(text);
    EXPECT_TRUE(out) << text;
    return out ? std::move(*out) : json::Node();
}

TEST(ResponsesItems, FindWhatARequestRecallsHoweverItIsWritten) {
    EXPECT_FALSE(may_recall(R"({"model":"m","input":"Hi"})"));
    const std::string escaped = R"({"previous_respons\u0065_id":"resp_1","input":"Hi"})";
    EXPECT_TRUE(may_recall(escaped));
    const auto found = read_recall(node(escaped));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->previous, "resp_1");
    const auto references = read_recall(
        node(R"({"previous_response_id":null,"input":[{"type":"item_reference","id":"a"},)"
             R"({"role":"user","content":"item_reference"},{"id":"b","type":"item_reference"}]})"));
    ASSERT_TRUE(references);
    EXPECT_EQ(references->references, (std::vector<std::string>{"a", "b"}));
    EXPECT_TRUE(references->previous.empty());
    EXPECT_TRUE(read_recall(node(R"({"input":[{"role":"user"}]})"))->empty());
}

TEST(ResponsesItems, RefuseAnIdThatIsNoneOrStandsTwice) {
    for (const char* wrong :
         {R"({"previous_response_id":5})",
          R"({"previous_response_id":"mine","input":"Hi","previous_response_id":"another's"})",
          R"({"previous_response_id":null,"previous_response_id":"another's"})"}) {
        const auto found = read_recall(node(wrong));
        ASSERT_FALSE(found) << wrong;
        EXPECT_EQ(found.error().param, "previous_response_id");
    }
}

TEST(ResponsesItems, WriteOutWhatIsContinued) {
    const std::vector<std::string> earlier{
        R"({"id":"msg_1","type":"message","role":"user","content":[{"type":"input_text","text":"1.50"}]})",
        R"({"id":"rs_1","type":"reasoning","summary":[]})",
        R"({"id":"rs_2","type":"reasoning","summary":[],"encrypted_content":"abc"})"};
    json::Node body = node(R"({"model":"m","input":"Hi","temperature":1.50})");
    ASSERT_TRUE(write_out(body, earlier, {}));
    EXPECT_EQ(
        body.json(),
        R"({"model":"m","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"1.50"}]},)"
        R"({"type":"reasoning","summary":[],"encrypted_content":"abc"},{"role":"user","content":"Hi"}],"temperature":1.50})");
    body = node(
        R"({"input":[{"type":"item_reference","id":"msg_1"},{"type":"item_reference","id":"rs_1"},)"
        R"({"type":"item_reference","id":"other"}]})");
    const ItemsById known{{"msg_1", earlier[0]}, {"rs_1", earlier[1]}};
    ASSERT_TRUE(write_out(body, {}, known));
    EXPECT_EQ(
        body.json(),
        R"({"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"1.50"}]},)"
        R"({"type":"item_reference","id":"other"}]})");
    body = node(R"({"model":"m"})");
    ASSERT_TRUE(write_out(body, {earlier[2]}, {}));
    EXPECT_EQ(body.find("input")->elements.size(), 1U);
    body = node(R"({"input":5})");
    EXPECT_FALSE(write_out(body, earlier, {}));
}

TEST(ResponsesItems, AreToldWithTypeIdAndContentInParts) {
    const ItemsById known{{"fc_1", R"({"id":"fc_1","type":"function_call","call_id":"c"})"}};
    const auto items = input_items(
        node(
            R"([{"role":"user","content":"Hi"},{"id":"own","role":"assistant","content":"Yes"},)"
            R"({"type":"item_reference","id":"fc_1"},{"type":"function_call_output","call_id":"c","output":"7"}])"),
        known, "resp_1");
    ASSERT_EQ(items.size(), 4U);
    EXPECT_EQ(items[0].id, "msg_resp_1_i0");
    EXPECT_EQ(
        items[0].body,
        R"({"role":"user","content":[{"type":"input_text","text":"Hi"}],"type":"message","status":"completed","id":"msg_resp_1_i0"})");
    EXPECT_EQ(items[1].id, "own");
    EXPECT_NE(items[1].body.find(R"("type":"output_text","text":"Yes")"), std::string::npos);
    EXPECT_EQ(items[2].body, known.find("fc_1")->second);
    EXPECT_EQ(items[3].id, "item_resp_1_i3");
    const auto text = input_items(node(R"("Hi")"), {}, "r");
    ASSERT_EQ(text.size(), 1U);
    EXPECT_NE(text[0].body.find(R"("role":"user")"), std::string::npos);
}

TEST(ResponsesItems, OnlyAnswersThatEndedWholeAreRead) {
    const std::string response =
        R"({"id":"resp_1","status":"STATUS","output":[{"id":"msg_1","text":"\ndata: {}"}],"store":true})";
    const auto with = [&](const std::string& status) {
        std::string out = response;
        return out.replace(out.find("STATUS"), 6, status);
    };
    const auto whole = read_whole(with("completed"), false);
    ASSERT_TRUE(whole);
    EXPECT_EQ(whole->id, "resp_1");
    ASSERT_EQ(whole->output.size(), 1U);
    EXPECT_EQ(whole->output[0].id, "msg_1");
    EXPECT_EQ(with_output(whole->head, {whole->output[0].body}), with("completed"));
    EXPECT_TRUE(read_whole(with("incomplete"), false));
    for (const char* status : {"failed", "in_progress", "queued"})
        EXPECT_FALSE(read_whole(with(status), false)) << status;
    const std::string begin =
        "event: response.created\ndata: {\"response\":" + with("in_progress") +
        "}\n\nevent: last\ndata: {\"response\":";
    EXPECT_TRUE(read_whole(begin + with("completed") + "}\n\n", true));
    EXPECT_FALSE(read_whole(begin + with("failed") + "}\n\n", true));
    EXPECT_FALSE(read_whole(begin, true));
    std::string told = with("completed");
    say_not_stored(told);
    EXPECT_NE(told.find("\"store\":false"), std::string::npos);
}

}  // namespace
}  // namespace leeway::wire::openai
