#include "wire/anthropic/batch.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace leeway::wire::anthropic {
namespace {

using usage::Flavour;

std::string ended(const std::string& counts, const std::string& more = {}) {
    return R"({"id":"msgbatch_1","type":"message_batch","processing_status":"ended",)"
           R"("expires_at":"2026-08-20T18:37:24.100435Z","request_counts":{)" +
           counts + "}" + more + "}";
}

TEST(MessageBatchState, TellsHowABatchEndedAndWhereItsAnswersAre) {
    const auto runs = read_batch_state(
        R"({"id":"msgbatch_1","processing_status":"canceling","expires_at":"1970-01-02T00:00:01Z",)"
        R"("results_url":null})");
    ASSERT_TRUE(runs);
    EXPECT_FALSE(runs->ended());
    EXPECT_EQ(runs->status, "canceling");
    EXPECT_EQ(runs->expires_unix_s, 86'401);
    EXPECT_TRUE(runs->answers_path.empty());
    const auto over = read_batch_state(ended(R"("succeeded":2,"errored":1)"));
    ASSERT_TRUE(over);
    EXPECT_EQ(over->end, "completed");
    EXPECT_EQ(over->answers_path, "/messages/batches/msgbatch_1/results");
    EXPECT_EQ(read_batch_state(ended(R"("succeeded":2,"expired":1)"))->end, "expired");
    EXPECT_EQ(read_batch_state(ended(R"("succeeded":0,"errored":1)"))->end, "failed");
    EXPECT_EQ(read_batch_state(ended("", R"(,"cancel_initiated_at":"2026-08-20T18:37:24Z")"))->end,
              "cancelled");
    EXPECT_EQ(read_batch_state(R"({"id":"b","processing_status":"ended","expires_at":"soon"})")
                  ->expires_unix_s,
              0);
    EXPECT_FALSE(read_batch_state(R"({"id":"b","status":"completed"})"));
    EXPECT_FALSE(read_batch_state("[]"));
}

TEST(MessageBatchAnswer, OnlyWhatSucceededIsBilled) {
    const auto answer = read_batch_answer(
        "{\"custom_id\":\"\xff\",\"result\":{\"message\":{\"usage\":{\"input_tokens\":10,"
        "\"output_tokens\":2,\"cache_read_input_tokens\":5}},\"type\":\"succeeded\"}}",
        Flavour::kAnthropic);
    EXPECT_TRUE(answer.valid);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.usage.usage[prices::Bucket::kInput], 10);
    EXPECT_EQ(answer.usage.usage[prices::Bucket::kOutput], 2);
    for (const std::string type : {"errored", "canceled", "expired"}) {
        const auto refused = read_batch_answer(
            R"({"custom_id":"a","result":{"type":")" + type + "\"}}", Flavour::kAnthropic);
        EXPECT_EQ(refused.status, 400) << type;
    }
    EXPECT_FALSE(
        read_batch_answer(R"({"result":{"type":"succeeded"}})", Flavour::kAnthropic).valid);
    EXPECT_FALSE(read_batch_answer(R"({"result":{"type":"new"}})", Flavour::kAnthropic).valid);
    EXPECT_FALSE(read_batch_answer("{\"result\":{\"type\":\"succ", Flavour::kAnthropic).valid);
}

TEST(MessageBatch, ItsResultsAreAskedForHere) {
    EXPECT_EQ(
        with_own_results(R"({"id":"b", "results_url" : "https://api.anthropic.com/x","n":1.50})"),
        R"({"id":"b", "results_url" : "/v1/messages/batches/b/results","n":1.50})");
    for (const std::string same :
         {R"({"id":"b","results_url":null})", R"({"id":"b","m":{"results_url":"x"}})", "[]",
          R"({"results_url":"x"})", R"({"id":"b","results_)"}) {
        EXPECT_EQ(with_own_results(same), same);
    }
}

TEST(MessageBatch, ListsAreInAnthropicsForm) {
    EXPECT_EQ(render_list({R"({"id":"a"})", R"({"id":"b"})"}, {"a", "b"}, true),
              R"({"data":[{"id":"a"},{"id":"b"}],"has_more":true,"first_id":"a","last_id":"b"})");
    EXPECT_EQ(render_list({}, {}, false),
              R"({"data":[],"has_more":false,"first_id":null,"last_id":null})");
}

TEST(MessageBatch, RequestsAreFoundAsTheyStand) {
    const std::string body =
        R"({"requests":[{"params":{"a":1.50},"custom_id":"x"},{"custom_id":"y","params":{}}]})";
    const auto found = read_batch_requests(body);
    ASSERT_TRUE(found) << found.error().text();
    EXPECT_EQ(*found, (std::vector<std::string_view>{R"({"a":1.50})", "{}"}));
    for (std::size_t size = 0; size < body.size(); ++size)
        EXPECT_FALSE(read_batch_requests(std::string_view(body).substr(0, size))) << size;
    for (const char* bad : {R"({"requests":[{"params":{},"params":{}}]})", R"({"requests":{}})",
                            R"({"requests":[{"params":{}}],"requests":[]})", R"({"a":1})", "[]"})
        EXPECT_FALSE(read_batch_requests(bad)) << bad;
}

}  // namespace
}  // namespace leeway::wire::anthropic
