#include "app/embedding_upstream.hpp"

#include "ledger/intent.hpp"
#include "net/testing.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace leeway::app {
namespace {

using net::testing::RawServer;
using net::testing::RawSocket;
using Vectors = models::EmbedSource::Vectors;

class RecordingSink final : public ledger::Sink {
public:
    bool append(const ledger::RequestRecord& record) noexcept override {
        const std::scoped_lock lock(mutex);
        records.push_back(record);
        return true;
    }
    bool append(const ledger::Intent& intent) noexcept override {
        const std::scoped_lock lock(mutex);
        intents.push_back(intent);
        return true;
    }
    bool healthy() const noexcept override { return true; }

    std::mutex mutex;
    std::vector<ledger::RequestRecord> records;
    std::vector<ledger::Intent> intents;
};

std::string answer(int status, const std::string& body) {
    return fmt::format(
        "HTTP/1.1 {} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{}", status,
        body.size(), body);
}

constexpr const char* kTwo =
    R"({"data":[{"index":1,"embedding":[0,2]},{"index":0,"embedding":[3,4]}],)"
    R"("model":"text-embedding-3-small-1","usage":{"prompt_tokens":10,"total_tokens":10}})";

/// A source at a provider that says what the test wants, with its loop on a thread of its own.
class FarModel {
public:
    explicit FarModel(std::string reply, bool budgets = false)
        : server_([reply = std::move(reply), this](RawSocket& socket, int) {
              for (;;) {
                  std::string request = socket.read_message();
                  if (request.empty()) return;
                  {
                      const std::scoped_lock lock(mutex_);
                      requests_.push_back(std::move(request));
                  }
                  if (reply.empty()) return;  // hangs up
                  if (!socket.send(reply)) return;
              }
          }) {
        at_.state.ledger = &sink;
        EmbeddingUpstreamParts parts;
        parts.provider.name = "far";
        parts.provider.origin.url.address = server_.address();
        parts.provider.origin.url.path = "/v1";
        parts.provider.origin.url.host_header = "far.example";
        parts.provider.origin.key = server_.address().text();
        parts.provider.authorization = Secret("Bearer secret-of-far");
        parts.model.name = "vectors";
        parts.model.upstream_name = "text-embedding-3-small";
        parts.model.provider_name = "far";
        prices::Rates rates;
        rates.set(prices::Bucket::kInput, FemtoUsdPerUnit(20'000'000));  // 0.02 USD a million
        parts.model.price = std::make_shared<const prices::ModelPrices>(rates);
        parts.identity = "provider far";
        if (budgets) parts.budgets = &book;
        source_ = std::make_unique<EmbeddingUpstream>(at_, std::move(parts));
        thread_ = std::thread([this] { at_.loop.run(); });
    }
    ~FarModel() {
        std::promise<void> closed;
        at_.loop.post([&] {
            at_.state.pool.close_idle();
            closed.set_value();
        });
        closed.get_future().wait();
        at_.loop.stop();
        thread_.join();
    }
    FarModel(const FarModel&) = delete;
    FarModel& operator=(const FarModel&) = delete;

    Result<Vectors> compute(const std::vector<std::string>& texts) { return begin(texts).get(); }
    std::future<Result<Vectors>> begin(const std::vector<std::string>& texts) {
        auto to = std::make_shared<std::promise<Result<Vectors>>>();
        auto out = to->get_future();
        at_.loop.post([this, texts, to] { at_.loop.spawn(run(this, texts, to)); });
        return out;
    }
    void stop_calls() {
        at_.loop.post([this] { source_->stop(); });
    }
    std::vector<std::string> requests() {
        const std::scoped_lock lock(mutex_);
        return requests_;
    }

    RecordingSink sink;
    budget::Book book;

private:
    static Task<void> run(FarModel* self, std::vector<std::string> texts,
                          std::shared_ptr<std::promise<Result<Vectors>>> to) {
        auto made = co_await self->source_->compute(texts);
        to->set_value(std::move(made));
    }

    std::mutex mutex_;
    std::vector<std::string> requests_;
    RawServer server_;
    EmbeddingLoop at_;
    std::unique_ptr<EmbeddingUpstream> source_;
    std::thread thread_;
};

budget::BudgetSpec global_budget(std::int64_t pico_usd) {
    budget::BudgetSpec spec;
    spec.name = "all";
    spec.limit = pico_usd;
    return spec;
}

TEST(EmbeddingUpstream, ACallIsOneRequestAndOneRowWhoseCostIsANegativeSaving) {
    FarModel far(answer(200, kTwo));
    const auto made = far.compute({"one", "two \"quoted\" \x01"});
    ASSERT_TRUE(made) << made.error().text();
    EXPECT_EQ(made->dimension, 2U);
    EXPECT_EQ(made->values, (std::vector<float>{3, 4, 0, 2})) << "in the order of the texts";
    const auto requests = far.requests();
    ASSERT_EQ(requests.size(), 1U);
    EXPECT_NE(requests[0].find("POST /v1/embeddings HTTP/1.1"), std::string::npos) << requests[0];
    EXPECT_NE(requests[0].find("Bearer secret-of-far"), std::string::npos);
    EXPECT_NE(requests[0].find(R"({"model":"text-embedding-3-small","input":["one",)"),
              std::string::npos)
        << requests[0];
    EXPECT_EQ(requests[0].find("truncate"), std::string::npos) << "only our own host knows it";
    ASSERT_EQ(far.sink.records.size(), 1U);
    const ledger::RequestRecord& row = far.sink.records[0];
    EXPECT_EQ(row.endpoint, "embeddings");
    EXPECT_EQ(row.tags, "embedding");
    EXPECT_EQ(row.notes, "embedding=texts:2");
    EXPECT_TRUE(row.key.empty()) << "nobody's";
    ASSERT_TRUE(row.cost);
    EXPECT_EQ(row.cost->value(), 200'000) << "10 tokens";
    ASSERT_TRUE(row.waterfall);
    EXPECT_EQ((*row.waterfall)[prices::SavingStep::kGateway].value(), -200'000);
    EXPECT_EQ(row.baseline->value(), 0);
    EXPECT_EQ(row.attempts.at(0).model_reported, "text-embedding-3-small-1");
    EXPECT_TRUE(far.sink.intents.empty()) << "no budget, no intent";
}

TEST(EmbeddingUpstream, FingerprintsOfModelsAndLengthsDiffer) {
    FarModel far(answer(200, kTwo));
    const auto two = far.compute({"one", "two"});
    FarModel longer(answer(200, R"({"data":[{"embedding":[1,2,3]}],"usage":{"prompt_tokens":1}})"));
    const auto three = longer.compute({"one"});
    ASSERT_TRUE(two && three);
    EXPECT_NE(two->fingerprint, three->fingerprint);
    EXPECT_EQ(two->fingerprint.size(), 64U);
}

TEST(EmbeddingUpstream, BudgetsForAllPayAndRefuse) {
    FarModel far(answer(200, kTwo), true);
    const std::int64_t now_s = unix_now_s();
    far.book.configure({global_budget(1'000'000'000'000)}, {}, now_s);
    ASSERT_TRUE(far.compute({"one", "two"}));
    ASSERT_EQ(far.sink.intents.size(), 1U);
    EXPECT_GT(far.sink.intents[0].worst.value(), 200'000);
    EXPECT_EQ(far.sink.intents[0].scopes, (std::vector<std::string>{"global", "tag:embedding"}));
    EXPECT_EQ(far.sink.intents[0].id, far.sink.records.at(0).id);
    EXPECT_EQ(far.book.standings(now_s).at(0).posted, 200'000);
    EXPECT_EQ(far.book.counters().open, 0U);

    far.book.configure({global_budget(300'000)}, {}, now_s);
    const auto refused = far.compute({"one", "two"});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, "budget_exceeded");
    EXPECT_EQ(far.requests().size(), 1U) << "nothing was sent";
    EXPECT_EQ(far.sink.records.size(), 1U);

    far.book.set_waiting(true);
    EXPECT_FALSE(far.compute({"one", "two"}));
    EXPECT_EQ(far.requests().size(), 1U);
}

TEST(EmbeddingUpstream, RefusalsOfTextsAreTheirFaultAndCostNothing) {
    FarModel far(answer(400, R"({"error":{"message":"too long, says secret-of-far"}})"));
    const auto made = far.compute({"one"});
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, ErrorCode::kInvalidRequest);
    EXPECT_EQ(made.error().message.find("secret-of-far"), std::string::npos);
    ASSERT_EQ(far.sink.records.size(), 1U);
    EXPECT_EQ(far.sink.records[0].cost->value(), 0);
    EXPECT_EQ(far.sink.records[0].end, ledger::EndState::kError);
}

TEST(EmbeddingUpstream, AnswersThatAreNoneAreErrorsWithTheirRow) {
    for (const char* body : {"", "not json", "{}", R"({"data":[]})",
                             R"({"data":[{"embedding":[]}]})", R"({"data":[{"embedding":"AAAA"}]})",
                             R"({"data":[{"embedding":[1]},{"embedding":[2]}]})"}) {
        FarModel far(answer(200, body));
        const auto made = far.compute({"one"});
        ASSERT_FALSE(made) << body;
        EXPECT_NE(made.error().code, ErrorCode::kInvalidRequest) << body;
        EXPECT_EQ(far.sink.records.size(), 1U) << body;
    }
    FarModel mixed(answer(200, R"({"data":[{"embedding":[1,2]},{"embedding":[2]}]})"));
    EXPECT_FALSE(mixed.compute({"one", "two"}));
    for (const int status : {401, 404, 429, 500, 503}) {
        FarModel far(answer(status, "{}"));
        const auto made = far.compute({"one"});
        ASSERT_FALSE(made);
        EXPECT_EQ(made.error().code, ErrorCode::kUpstreamInvalid) << status;
    }
}

TEST(EmbeddingUpstream, ABrokenCallIsChargedAsReserved) {
    FarModel far("", true);
    const std::int64_t now_s = unix_now_s();
    far.book.configure({global_budget(1'000'000'000'000)}, {}, now_s);
    ASSERT_FALSE(far.compute({"one"}));
    ASSERT_EQ(far.sink.records.size(), 1U);
    ASSERT_TRUE(far.sink.records[0].cost) << "never 0 where nobody knows";
    EXPECT_GT(far.sink.records[0].cost->value(), 0);
    EXPECT_EQ(far.book.counters().open, 0U);
}

TEST(EmbeddingUpstream, TheEndStopsCallsUnderWayAndTheyHaveTheirRow) {
    // A head that promises more than comes.
    FarModel far(
        "HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{");
    auto under_way = far.begin({"one"});
    ASSERT_TRUE(net::testing::eventually([&] { return !far.requests().empty(); }));
    far.stop_calls();
    EXPECT_FALSE(under_way.get());
    ASSERT_EQ(far.sink.records.size(), 1U);
    EXPECT_EQ(far.sink.records[0].error, "shutting_down");
    EXPECT_FALSE(far.compute({"two"}));
    EXPECT_EQ(far.requests().size(), 1U);
}

}  // namespace
}  // namespace leeway::app
