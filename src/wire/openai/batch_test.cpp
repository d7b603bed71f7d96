#include "wire/openai/batch.hpp"

#include "wire/openai/multipart.hpp"

#include <gtest/gtest.h>

#include <string>

namespace leeway::wire::openai {
namespace {

constexpr std::string_view kType = "multipart/form-data; charset=utf-8; boundary=\"a b\"";

std::string reason_of(std::string_view type, std::string_view body) {
    const auto form = read_form(type, body);
    return form ? "ok" : form.error().reason;
}

TEST(Form, PartsAreTakenAsTheyCame) {
    const std::string body =
        "--a b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n"
        "--a b\r\nContent-Type: x\r\ncontent-disposition: form-data; name=file; "
        "filename=\"in;1.jsonl\"\r\n\r\n{}\n--a\r\n\n\r\n--a b--\r\n";
    const auto form = read_form(kType, body);
    ASSERT_TRUE(form) << form.error().text();
    ASSERT_EQ(form->size(), 2U);
    EXPECT_EQ((*form)[0].name, "purpose");
    EXPECT_EQ((*form)[0].content, "batch");
    EXPECT_EQ((*form)[1].name, "file");
    EXPECT_EQ((*form)[1].filename, "in;1.jsonl");
    EXPECT_EQ((*form)[1].content, "{}\n--a\r\n\n");
}

TEST(Form, EveryCutOfItIsRefused) {
    const std::string body =
        "--a b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nx\r\n--a b--";
    EXPECT_EQ(reason_of(kType, body), "ok");
    for (std::size_t size = 0; size < body.size(); ++size)
        EXPECT_EQ(reason_of(kType, body.substr(0, size)), "invalid_form") << size;
}

TEST(Form, WhatTwoReadersMightTakeDifferentlyIsRefused) {
    const std::string part = "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nx\r\n";
    EXPECT_EQ(reason_of("multipart/form-data; boundary=b", part + part + "--b--"), "invalid_form");
    EXPECT_EQ(reason_of("multipart/form-data; boundary=b", part + "--b--"), "ok");
    EXPECT_EQ(reason_of("multipart/form-data", part + "--b--"), "invalid_form");
    EXPECT_EQ(reason_of("application/json; boundary=b", part + "--b--"), "invalid_form");
    EXPECT_EQ(reason_of("multipart/form-data; boundary=b", "\r\n" + part + "--b--"),
              "invalid_form");
}

TEST(BatchAsk, TellsWhatBoundsTheCost) {
    const auto chat = read_batch_ask(
        R"({"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{"model":"m",)"
        R"("messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}],)"
        R"("max_tokens":7,"max_completion_tokens":5,"n":3}})");
    ASSERT_TRUE(chat) << chat.error().text();
    EXPECT_EQ(chat->endpoint, "/v1/chat/completions");
    EXPECT_EQ(chat->model, "m");
    EXPECT_EQ(chat->limit, 5);
    EXPECT_EQ(chat->answers, 3);
    EXPECT_EQ(chat->messages, 2);
    const auto embedding =
        read_batch_ask(R"({"url":"/v1/embeddings","body":{"model":"e","input":"a"}})");
    ASSERT_TRUE(embedding) << embedding.error().text();
    EXPECT_EQ(embedding->limit, 0) << "nothing is written, so nothing has to be limited";
    const auto legacy = read_batch_ask(
        R"({"url":"/v1/completions","body":{"model":"e","prompt":["a","b"],"n":2}})");
    ASSERT_TRUE(legacy) << legacy.error().text();
    EXPECT_EQ(legacy->limit.value_or(0) * legacy->answers, 16 * 4);
    const auto response = read_batch_ask(
        R"({"url":"/v1/responses","body":{"model":"r","input":"a","previous_response_id":"x"}})");
    ASSERT_TRUE(response) << response.error().text();
    EXPECT_FALSE(response->limit);
    EXPECT_TRUE(response->open_input);
}

TEST(BatchAsk, WhatIsNoRequestIsRefused) {
    for (const char* line :
         {"", "[]", "{}", R"({"url":"/v1/embeddings"})",
          R"({"url":"/v1/embeddings","body":{"model":"a","input":"a"},"body":{}})",
          R"({"url":"/v1/embeddings","url":"/v1/x","body":{"model":"a","input":"a"}})",
          R"({"url":"/v1/embeddings","body":{"model":"a","input":"a"}} x)",
          R"({"url":"/v1/responses","body":{"model":"a","model":"b","input":"a"}})",
          R"({"url":"/v1/responses","body":{"input":"a"}})",
          R"({"url":"/v1/rerank","body":{"model":"a","query":"q","documents":["a"]}})"}) {
        EXPECT_FALSE(read_batch_ask(line)) << line;
    }
}

TEST(BatchAnswer, TellsUsageAlsoOfBrokenText) {
    using usage::Flavour;
    const auto answer = read_batch_answer(
        "{\"custom_id\":\"\xff\",\"response\":{\"status_code\":200,\"body\":{\"usage\":"
        "{\"prompt_tokens\":10,\"completion_tokens\":2}}},\"error\":null}",
        Flavour::kOpenAiChat);
    EXPECT_TRUE(answer.valid);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.usage.usage[prices::Bucket::kInput], 10);
    EXPECT_EQ(answer.usage.usage[prices::Bucket::kOutput], 2);
    const auto refused = read_batch_answer(
        R"({"response":{"status_code":404,"body":{"error":{}}}})", Flavour::kOpenAiChat);
    EXPECT_FALSE(refused.valid);
    EXPECT_EQ(refused.status, 400);
    EXPECT_FALSE(
        read_batch_answer("{\"response\":{\"status_code\":200,\"bo", Flavour::kOpenAiChat).valid);
}

TEST(BatchState, TellsHowABatchEndedAndWhereItsAnswersAre) {
    const auto runs = read_batch_state(
        R"({"id":"b","status":"finalizing","output_file_id":null,"expires_at":1800000000})");
    ASSERT_TRUE(runs);
    EXPECT_FALSE(runs->ended());
    EXPECT_EQ(runs->expires_unix_s, 1'800'000'000);
    EXPECT_TRUE(runs->answers_path.empty() && runs->files.empty());
    const auto over = read_batch_state(
        R"({"id":"b","status":"expired","output_file_id":"f1","error_file_id":"f2"})");
    ASSERT_TRUE(over);
    EXPECT_EQ(over->end, "expired");
    EXPECT_EQ(over->answers_path, "/files/f1/content");
    EXPECT_EQ(over->files, (std::vector<std::string>{"f1", "f2"}));
    EXPECT_FALSE(read_batch_state(R"({"id":"b"})"));
}

TEST(BatchLine, TellsWhoseAnswerItIs) {
    const std::string text =
        R"({"id":"x","custom_id":"a\u0062","error":null,"response":{"status_code":429,"body":{"n": 1.50}}})";
    const auto line = read_batch_line(text);
    ASSERT_TRUE(line);
    EXPECT_EQ(line->custom_id, "ab");
    EXPECT_EQ(line->status, 429);
    EXPECT_EQ(line->body, R"({"n": 1.50})");
    const auto none = read_batch_line(R"({"custom_id":"a","response":null,"error":{"code":"x"}})");
    ASSERT_TRUE(none);
    EXPECT_EQ(none->status, 0);
    EXPECT_TRUE(none->body.empty());
    EXPECT_FALSE(read_batch_line(R"({"response":{"status_code":200,"body":{}}})"));
    for (std::size_t size = 0; size < text.size(); ++size)
        EXPECT_FALSE(read_batch_line(std::string_view(text).substr(0, size))) << size;
}

TEST(BatchList, ItemsKeepTheirBytes) {
    const auto page = read_list(R"({"object":"list", "data":[ {"id": "a"}, {"id":"b","x":1.50}],)"
                                R"("has_more":true})");
    ASSERT_TRUE(page);
    ASSERT_EQ(page->items.size(), 2U);
    EXPECT_EQ(page->items[1], R"({"id":"b","x":1.50})");
    EXPECT_TRUE(page->has_more);
    EXPECT_FALSE(read_list(R"({"data":{}})"));
    EXPECT_FALSE(read_list(R"({"data":[{"id":)"));
    EXPECT_EQ(render_list({std::string(page->items[1])}, {"b"}, false),
              R"({"object":"list","data":[{"id":"b","x":1.50}],"first_id":"b","last_id":"b",)"
              R"("has_more":false})");
}

}  // namespace
}  // namespace leeway::wire::openai
