#include "methods/agent_cache/semantic_cache_stage.hpp"

#include "json/write.hpp"
#include "methods/agent_cache/answer_judge.hpp"
#include "methods/agent_cache/asked_testing.hpp"
#include "methods/agent_cache/testing.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace leeway::agent_cache {
namespace {

using namespace std::chrono_literals;
using testing::AskedRequest;

/// Vectors of words: texts that share most of their words are near.
class WordEmbedder final : public models::Embedder {
public:
    Task<Result<models::Embedded>> embed(std::string text, Executor&, Duration) override {
        ++asked;
        if (failing) co_return fail(ErrorCode::kUnavailable, "no host");
        auto vector = std::make_shared<std::vector<float>>(kDimension, 0.0F);
        std::string word;
        for (const char c : normalised(text) + " ") {
            if (c != ' ') {
                word += c;
                continue;
            }
            (*vector)[checksum64(word) % kDimension] += 1.0F;
            word.clear();
        }
        float sum = 0;
        for (const float one : *vector) sum += one * one;
        for (float& one : *vector) one /= std::sqrt(sum);
        models::Embedded out;
        out.vector = vector;
        out.model = model;
        co_return out;
    }
    static constexpr std::size_t kDimension = 512;
    std::shared_ptr<const models::EmbeddingModel> model = std::make_shared<models::EmbeddingModel>(
        models::EmbeddingModel{"words", "words-1", kDimension});
    int asked = 0;
    bool failing = false;
};

std::string completion(const std::string& text, const std::string& finish = "stop") {
    std::string out;
    json::Writer json(out);
    json.object().key("id").string("c").key("object").string("chat.completion");
    json.key("created").integer(1).key("model").string("gpt").key("choices").array().object();
    json.key("index").integer(0).key("message").object().key("role").string("assistant");
    json.key("content").string(text).close_object().key("finish_reason").string(finish);
    json.close_object().close_array().close_object();
    return out;
}

std::string chat(const std::string& text, const std::string& more = {}) {
    std::string out;
    json::Writer json(out);
    json.object().key("model").string("gpt").key("messages").array().object();
    json.key("role").string("user").key("content").string(text);
    json.close_object().close_array();
    json.close_object();
    if (!more.empty()) out.insert(1, more + ",");
    return out;
}

class SemanticCacheStageTest : public ::testing::Test {
protected:
    void SetUp() override { start(); }
    void start() {
        ExactStoreOptions exact;
        exact.path = folder_ / "cache.db";
        answers_ = *ExactStore::open(exact);
        store::vectors::VectorStoreOptions vectors;
        vectors.path = folder_ / "vectors.db";
        vectors_ = *store::vectors::open_vector_store(vectors);
        store_ = SemanticStore::open({folder_ / "semantic.db", vectors_.get(), answers_.get()});
        flights_ = std::make_unique<SingleFlight>();
        stage_ = std::make_unique<SemanticCacheStage>(
            CacheServices{answers_.get(), flights_.get(), nullptr, store_.get(), &embedder_});
    }
    void stop() {
        stage_.reset();
        store_.reset();
        EXPECT_TRUE(vectors_->flush());
        EXPECT_TRUE(answers_->flush());
        vectors_.reset();
        answers_.reset();
    }

    struct Came {
        bool hit = false;
        std::string body;
        std::string status;
        std::vector<pipeline::LaterCall> later;
    };

    /// Runs the stage for `request`; without a hit the upstream gives `fresh`.
    Came run(AskedRequest& request, const std::string& fresh) {
        testing::ManualExecutor executor;
        request.context.executor = &executor;
        request.route.semantic = policy_;
        std::optional<pipeline::Verdict> verdict;
        spawn(await(*stage_, request.context, verdict),
              [](std::exception_ptr error) { std::rethrow_exception(error); });
        while (!verdict && executor.run_one()) {
        }
        Came came;
        came.status = request.context.cache_status;
        if (auto* respond = std::get_if<pipeline::Respond>(&*verdict)) {
            came.hit = true;
            came.body = *respond->answer.body;
            EXPECT_EQ(respond->answer.origin, pipeline::AnswerOrigin::kSemanticCache);
        }
        if (auto* failed = std::get_if<pipeline::Failed>(&*verdict))
            came.status = failed->error.reason;
        pipeline::Outcome outcome;
        outcome.status = 200;
        outcome.from_stage = came.hit;
        outcome.complete = !came.hit;
        if (!came.hit) outcome.captured = fresh;
        stage_->on_outcome(request.context, outcome);
        came.later = std::move(request.context.later);
        return came;
    }
    Came ask(const std::string& text, const std::string& answer, const std::string& key = "web") {
        AskedRequest request(chat(text));
        request.context.key_name = key;
        Came came = run(request, completion(answer));
        for (const pipeline::LaterCall& call : came.later) {
            if (call.tag == kAuditTag) (void)call.then({true, answer, {}, 0});
        }
        return came;
    }
    static Task<void> await(SemanticCacheStage& stage, pipeline::RequestContext& context,
                            std::optional<pipeline::Verdict>& out) {
        out.emplace(co_await stage.on_request(context));
    }

    /// Asks the same hundred things in several wordings until it serves. How many questions that took; 0: it never did.
    int teach(const std::string& key = "web", int most = 4000) {
        for (int i = 0; i < most; ++i) {
            const int subject = i % 100;
            if (ask(wording(subject, i), answer(subject), key).hit) return i + 1;
        }
        return 0;
    }
    static std::string subject_name(int subject) {
        static const char* const kOne[] = {"pottery", "basket", "garden", "violin", "bridge",
                                           "window",  "pepper", "saddle", "carpet", "kettle"};
        static const char* const kTwo[] = {"museum",  "market",  "school",  "festival", "workshop",
                                           "library", "harbour", "theatre", "temple",   "station"};
        return std::string(kOne[subject / 10]) + " " + kTwo[subject % 10];
    }
    static std::string wording(int subject, int turn) {
        static const char* const kForms[] = {"where can people find the best % in town",
                                             "where can people find the best % in town please",
                                             "please where can people find the best % in town"};
        std::string out = kForms[turn / 100 % 3];
        return out.replace(out.find('%'), 1, subject_name(subject));
    }
    static std::string answer(int subject) { return "Street " + std::to_string(subject); }

    testing::TemporaryFolder folder_;
    pipeline::SemanticCache policy_{.max_error = 0.05,
                                    .judge = pipeline::SemanticCache::Judge::kExact,
                                    .judge_model = nullptr,
                                    .ttl = 1h,
                                    .shared = false};
    WordEmbedder embedder_;
    std::unique_ptr<ExactStore> answers_;
    std::unique_ptr<store::vectors::VectorStore> vectors_;
    std::unique_ptr<SemanticStore> store_;
    std::unique_ptr<SingleFlight> flights_;
    std::unique_ptr<SemanticCacheStage> stage_;
};

TEST_F(SemanticCacheStageTest, ServesOnlyAfterEvidence) {
    EXPECT_EQ(ask("where is the temple", "There").status, "miss; type=semantic; why=nothing_near");
    const int taken = teach();
    EXPECT_GT(taken, 100);
    const Came came = ask(wording(3, 100), answer(3));
    ASSERT_TRUE(came.hit);
    EXPECT_EQ(came.body, completion(answer(3)));
    EXPECT_TRUE(came.status.starts_with("hit; type=semantic; p=")) << came.status;
    EXPECT_TRUE(came.status.ends_with("; bound=0.05")) << came.status;
}

TEST_F(SemanticCacheStageTest, TenantsNeverMeet) {
    ASSERT_GT(teach("web"), 0);
    const std::uint64_t kept = store_->stats().kept;
    for (int i = 0; i < 100; ++i) EXPECT_FALSE(ask(wording(i, i), "Canary", "other").hit) << i;
    EXPECT_GT(store_->stats().kept, kept);
    // Nor does what the stranger said come back.
    for (int i = 0; i < 300; ++i)
        EXPECT_EQ(ask(wording(i % 100, i), answer(i % 100)).body.find("Canary"), std::string::npos);
}

TEST_F(SemanticCacheStageTest, WithoutAJudgeNothingIsServed) {
    policy_.judge = pipeline::SemanticCache::Judge::kNone;
    EXPECT_EQ(teach("web", 1000), 0);
    EXPECT_GT(store_->stats().verified_right, 0u);  // equal answers need no judge
}

TEST_F(SemanticCacheStageTest, KeepsWhatItLearnedOverARestart) {
    ASSERT_GT(teach(), 0);
    stop();
    start();
    int hits = 0;
    for (int i = 0; i < 100; ++i) hits += ask(wording(i, i), answer(i)).hit ? 1 : 0;
    EXPECT_GT(hits, 50);
}

TEST_F(SemanticCacheStageTest, NumbersAndNegationsAreOtherQuestions) {
    ASSERT_GT(teach(), 0);
    ask("how long is the walk of 5 km to the old harbour", "an hour");
    for (int i = 0; i < 20; ++i) {
        const Came number = ask("how long is the walk of 50 km to the old harbour", "a day");
        EXPECT_TRUE(!number.hit || number.body == completion("a day"));
        const Came negation = ask("where can people not find the best pottery museum in town", "x");
        EXPECT_TRUE(!negation.hit || negation.body == completion("x"));
    }
}

TEST_F(SemanticCacheStageTest, AFollowUpMeetsItsOwnConversationOnly) {
    ASSERT_GT(teach(), 0);
    const auto follow_up = [](const std::string& first) {
        return R"({"model":"gpt","messages":[{"role":"user","content":")" + first +
               R"("},{"role":"assistant","content":"Well."},{"role":"user","content":")" +
               wording(3, 0) + R"("}]})";
    };
    for (int i = 0; i < 50; ++i) {
        AskedRequest request(follow_up("I ask of town " + std::to_string(i)));
        EXPECT_FALSE(run(request, completion("other")).hit);
    }
}

TEST_F(SemanticCacheStageTest, KeepsNoAnswerThatIsNoAnswer) {
    const auto give = [&](const std::string& fresh) {
        AskedRequest request(chat("where is the temple"));
        (void)run(request, fresh);
        return store_->stats().kept;
    };
    EXPECT_EQ(give(completion("half", "length")), 0u);
    EXPECT_EQ(give(completion("", "stop")), 0u);
    EXPECT_EQ(give(completion("no", "content_filter")), 0u);
    EXPECT_EQ(give(""), 0u);
    EXPECT_EQ(give(completion("There")), 1u);
}

TEST_F(SemanticCacheStageTest, HeadersAreObeyed) {
    ASSERT_GT(teach(), 0);
    const auto with = [&](const char* name, const char* value) {
        AskedRequest request(chat(wording(3, 0)));
        request.headers.emplace(name, value);
        return run(request, completion(answer(3)));
    };
    ASSERT_TRUE(ask(wording(3, 0), answer(3)).hit);
    const int before = embedder_.asked;
    EXPECT_EQ(with("cache-control", "no-store").status, "");
    EXPECT_EQ(with("x-leeway-cache-max-error", "0").status, "");
    EXPECT_EQ(embedder_.asked, before);
    EXPECT_FALSE(with("cache-control", "no-cache").hit);
    EXPECT_FALSE(with("x-leeway-cache-max-error", "0.001").hit);  // has no evidence yet
    EXPECT_TRUE(with("x-leeway-cache-max-error", "1").hit);  // no looser than the route
}

TEST_F(SemanticCacheStageTest, StreamsReplayAsStreams) {
    ASSERT_GT(teach(), 0);
    AskedRequest request(chat(wording(3, 0), R"("stream":true)"));
    const Came came = run(request, "");
    ASSERT_TRUE(came.hit);
    EXPECT_TRUE(came.body.starts_with("data: ")) << came.body;
    EXPECT_TRUE(came.body.ends_with("data: [DONE]\n\n")) << came.body;
    EXPECT_NE(came.body.find("Street"), std::string::npos);
}

TEST_F(SemanticCacheStageTest, WithoutVectorsItIsPassedBy) {
    embedder_.failing = true;
    EXPECT_EQ(ask("where is the temple", "There").status, "embedding_unavailable");
    EXPECT_EQ(store_->stats().kept, 0u);
}

TEST_F(SemanticCacheStageTest, WhatIsClearedIsGone) {
    ASSERT_GT(teach("web"), 0);
    ask(wording(3, 0), answer(3), "other");
    store_->erase({"web", std::nullopt});
    const Came came = ask(wording(3, 0), answer(3), "web");
    EXPECT_EQ(came.status, "miss; type=semantic; why=nothing_near");
    EXPECT_NE(ask(wording(3, 100), answer(3), "other").status,
              "miss; type=semantic; why=nothing_near");
}

TEST_F(SemanticCacheStageTest, OtherProcessesOrderWhatIsForgotten) {
    ask(wording(3, 0), answer(3));
    store_->tend();
    auto file = SemanticFile::open(folder_ / "semantic.db");
    ASSERT_TRUE(file);
    const auto number = file->order({std::nullopt, "support"});
    ASSERT_TRUE(number);
    EXPECT_FALSE(*file->is_obeyed(*number));
    store_->tend();
    EXPECT_TRUE(*file->is_obeyed(*number));
    EXPECT_EQ(ask(wording(3, 0), answer(3)).status, "miss; type=semantic; why=nothing_near");
}

TEST_F(SemanticCacheStageTest, EachLookCanBeExplained) {
    AskedRequest first(chat(wording(3, 0)));
    (void)run(first, completion(answer(3)));
    AskedRequest second(chat(wording(3, 100)));
    (void)run(second, completion(answer(3)));
    store_->tend();
    auto file = SemanticFile::open(folder_ / "semantic.db", store::sqlite::Access::kReadOnly);
    ASSERT_TRUE(file);
    EXPECT_NE(file->decision(first.context.id)->value_or("").find("miss: nothing_near"),
              std::string::npos);
    const std::string detail = file->decision(second.context.id)->value_or("");
    EXPECT_NE(detail.find(wording(3, 0)), std::string::npos) << detail;
    EXPECT_NE(detail.find("\"probability\":"), std::string::npos) << detail;
    EXPECT_EQ(*file->decision(RequestId::make(1)), std::nullopt);
}

TEST(PromisedError, IsTightenedInLevelsAndNeverLoosened) {
    EXPECT_EQ(*promised_error(0.01, std::nullopt), 0.01);
    EXPECT_EQ(*promised_error(0.01, "0.5"), 0.01);
    EXPECT_EQ(*promised_error(0.05, " 0.015 "), 0.01);
    EXPECT_EQ(*promised_error(0.05, "0.02"), 0.02);
    EXPECT_EQ(*promised_error(0.01, "0.0001"), 0.0);
    EXPECT_EQ(*promised_error(0.01, "0"), 0.0);
    for (const char* bad : {"", "x", "-0.1", "2", "0.1x", "nan", "inf"})
        EXPECT_FALSE(promised_error(0.01, bad)) << bad;
}

}  // namespace
}  // namespace leeway::agent_cache
