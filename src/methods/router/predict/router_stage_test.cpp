#include "methods/router/predict/router_stage.hpp"

#include "base/chances.hpp"
#include "methods/router/predict/conversation.hpp"
#include "methods/router/predict/router_memory.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace leeway::router {
namespace {

using pipeline::Model;

class NoExecutor final : public Executor {
public:
    void post(std::function<void()> work) override { work(); }
};

/// Texts with a star lie on the hard side.
class StarEmbedder final : public models::Embedder {
public:
    Task<Result<models::Embedded>> embed(std::string text, Executor&, Duration) override {
        ++asked;
        if (fails) co_return fail(ErrorCode::kUpstreamTimeout, "late");
        models::Embedded out;
        const bool hard = text.find('*') != std::string::npos;
        out.vector = std::make_shared<const std::vector<float>>(hard ? std::vector<float>{-1, 0}
                                                                     : std::vector<float>{1, 0});
        out.model = std::make_shared<const models::EmbeddingModel>(
            models::EmbeddingModel{"m", fingerprint, 2});
        co_return out;
    }
    [[nodiscard]] bool is_local() const override { return local; }
    int asked = 0;
    bool fails = false;
    bool local = true;
    std::string fingerprint = "f00d";
};

/// The caller's key may not use some models.
class Rights final : public pipeline::ModelAsker {
public:
    Task<Result<std::string>> ask_model(pipeline::OwnCall, Duration) override {
        co_return fail(ErrorCode::kUnavailable, "no");
    }
    [[nodiscard]] bool may_answer(const Model& model) const override {
        return model.name != forbidden;
    }
    std::string forbidden;
};

OutcomeRows star_rows(std::size_t n) {
    Chances chances(5);
    OutcomeRows out;
    out.dimension = 2;
    out.models = {{"small", {}, {}, {}}, {"large", {}, {}, {}}};
    for (std::size_t r = 0; r < n; ++r) {
        const bool easy = r % 2 == 0;
        const auto y = static_cast<float>(chances.uniform() - 0.5) * 0.2F;
        const float length = std::sqrt(1 + y * y);
        out.vectors.insert(out.vectors.end(), {(easy ? 1.0F : -1.0F) / length, y / length});
        out.cues.push_back(cues_of(easy ? "hello" : "3 * 4"));
        out.models[0].quality.push_back(easy ? 1.0F : 0.0F);
        out.models[1].quality.push_back(1.0F);
        out.models[0].cost.emplace_back(10'000'000);  // 0.00001 USD
        out.models[1].cost.emplace_back(1'000'000'000);  // 0.001
        for (auto& model : out.models) model.tokens_out.push_back(-1);
    }
    return out;
}

std::shared_ptr<const LearnedRouter> router_of(const Spending& spending, bool learned = true) {
    const OutcomeRows rows = star_rows(300);
    auto fitted = fit_predictor(rows);
    RouterFile file;
    file.state = fitted->predictor.state();
    const auto lambdas = lambda_ladder(1e-3);
    file.policy = learned ? fit_policy(rows, fitted->held_out, lambdas)
                          : zero_policy(rows, std::vector<double>{spending.lambda});
    file.fingerprint = "f00d";
    return std::make_shared<const LearnedRouter>(std::move(file), spending);
}

std::shared_ptr<const prices::ModelPrices> price(const char* input, const char* cached) {
    prices::Rates rates;
    rates.set(prices::Bucket::kInput, *parse_usd_per_million(input));
    if (cached != nullptr) rates.set(prices::Bucket::kCachedInput, *parse_usd_per_million(cached));
    rates.set(prices::Bucket::kOutput, *parse_usd_per_million(input));
    return std::make_shared<const prices::ModelPrices>(rates);
}

class RouterStages : public ::testing::Test {
protected:
    RouterStages() {
        small_.name = "small";
        small_.price = price("0.15", "0.075");
        large_.name = "large";
        large_.price = price("2.50", "1.25");
        use_.router = router_of({.budget_usd = std::nullopt, .lambda = 300});
        use_.models = {&small_, &large_};
        use_.own = 1;
        use_.route = "support";
        use_.embedder = &embedder_;
        use_.memory = &memory_;
    }

    struct Ran {
        std::string model;
        std::string notes;
        bool failed = false;
        double chance = 1;
    };
    /// One request through the stage; `tokens`: what its answer's usage says.
    Ran run(const std::string& body, std::int64_t tokens = 0) {
        RouterStage stage(use_);
        pipeline::RequestContext context;
        context.body = body;
        context.view = *wire::openai::parse_request(pipeline::Endpoint::kChatCompletions, body);
        context.id = RequestId::make(++clock_);
        context.model = start_ != nullptr ? start_ : use_.models[use_.own];
        context.executor = &executor_;
        context.asker = &rights_;
        context.local_only = local_only_;
        context.key_name = key_;
        context.dimensions.session = session_;
        Ran out;
        pipeline::Verdict verdict = pipeline::Continue{};
        spawn(drive(stage, context, verdict), [](const std::exception_ptr&) { FAIL(); });
        if (const auto* to = std::get_if<pipeline::Retarget>(&verdict)) context.model = to->model;
        out.failed = std::holds_alternative<pipeline::Failed>(verdict);
        if (out.failed) out.notes = std::get<pipeline::Failed>(verdict).error.reason;
        pipeline::Outcome outcome;
        outcome.status = 200;
        outcome.cost = cost_;
        if (tokens > 0) {
            outcome.usage_state = prices::UsageState::kFinal;
            outcome.usage[prices::Bucket::kInput] = tokens;
        }
        stage.on_outcome(context, outcome);
        out.model = context.model->name;
        out.chance = context.chance;
        if (!out.failed) out.notes = context.notes;
        return out;
    }

    static Task<void> drive(RouterStage& stage, pipeline::RequestContext& context,
                            pipeline::Verdict& out) {
        out = co_await stage.on_request(context);
    }

    Model small_;
    Model large_;
    const Model* start_ = nullptr;
    RouterUse use_;
    StarEmbedder embedder_;
    RouterMemory memory_;
    Rights rights_;
    NoExecutor executor_;
    bool local_only_ = false;
    std::string key_;
    std::string session_;
    std::optional<PicoUsd> cost_;
    std::int64_t clock_ = 1000;
};

std::string chat(const std::string& text, const std::string& more = "") {
    return fmt::format(R"({{"model":"m","messages":[{{"role":"user","content":"{}"}}]{}}})", text,
                       more);
}
std::string follow_up(const std::string& first, const std::string& second) {
    return fmt::format(
        R"({{"model":"m", "messages": [{{"role":"user","content":"{}"}}, )"
        R"({{"role":"assistant","content":"so"}}, {{"role":"user","content":"{}"}} ]}})",
        first, second);
}

TEST_F(RouterStages, SendsEachToWhatIsWorthItsPrice) {
    const Ran easy = run(chat("hello you"));
    EXPECT_EQ(easy.model, "small") << easy.notes;
    EXPECT_TRUE(easy.notes.starts_with("router=small:q")) << easy.notes;
    const Ran hard = run(chat("3 * 4"));
    EXPECT_EQ(hard.model, "large") << hard.notes;
    EXPECT_TRUE(hard.notes.starts_with("router=large:q")) << hard.notes;
}

TEST_F(RouterStages, LeavesOutWhoCannotOrMustNotAnswer) {
    rights_.forbidden = "large";
    EXPECT_EQ(run(chat("3 * 4")).notes, "router=small:ineligible");
    rights_.forbidden = "small";
    EXPECT_EQ(run(chat("hello")).notes, "router=large:ineligible");
    rights_.forbidden.clear();
    small_.abilities.tools = false;
    const std::string tools =
        R"(,"tools":[{"type":"function","function":{"name":"f","parameters":{}}}])";
    EXPECT_EQ(run(chat("hello", tools)).notes, "router=large:ineligible");
    EXPECT_EQ(run(chat("hello")).model, "small");
    small_.abilities = {};
    small_.abilities.context_tokens = 100;
    EXPECT_EQ(run(chat(std::string(400, 'a'))).model, "large");
    EXPECT_EQ(run(chat("hello", R"(,"max_tokens":90)")).model, "large");
    EXPECT_EQ(run(chat("hello")).model, "small");
    small_.abilities = {};
    small_.abilities.schema = false;
    EXPECT_EQ(
        run(chat("hello", R"(,"response_format":{"type":"json_schema","json_schema":{}})")).model,
        "large");
    small_.abilities = {};
    small_.disabled = "no key";
    EXPECT_EQ(run(chat("hello")).model, "large");
    large_.disabled = "no key";
    EXPECT_EQ(run(chat("hello")).notes, "router=ineligible");
    small_.disabled = large_.disabled = "";
    local_only_ = true;
    EXPECT_EQ(run(chat("hello")).notes, "router=ineligible");
    small_.local = true;
    EXPECT_EQ(run(chat("3 * 4")).notes, "router=small:ineligible");
    EXPECT_EQ(embedder_.asked, 2) << "who has no choice needs no vector";
}

TEST_F(RouterStages, IsSkippedWithoutAVectorInTime) {
    embedder_.fails = true;
    const Ran late = run(chat("hello"));
    EXPECT_TRUE(late.failed);
    EXPECT_EQ(late.model, "large");
    EXPECT_EQ(late.notes, "no_embedding");
    embedder_.fails = false;
    embedder_.fingerprint = "another";
    EXPECT_EQ(run(chat("hello")).notes, "other_embeddings");
    embedder_.fingerprint = "f00d";
    EXPECT_EQ(run(chat("")).notes, "no_text");
    start_ = &small_;
    EXPECT_EQ(run(chat("3 * 4")).notes, "router=other_model");
}

TEST_F(RouterStages, WithoutEvidenceKeepsToOneModel) {
    use_.router = router_of({.budget_usd = std::nullopt, .lambda = 300}, false);
    EXPECT_EQ(run(chat("3 * 4")).notes, run(chat("hello")).notes);
    EXPECT_EQ(embedder_.asked, 0);
}

TEST_F(RouterStages, AConversationStaysUnlessLeavingPays) {
    EXPECT_EQ(run(chat("hello you"), 50'000).model, "small");
    // 50,000 tokens at 2.50 instead of 0.075 per million are 0.12 USD: far more than a right answer is worth here.
    const Ran stays = run(follow_up("hello you", "3 * 4"), 50'100);
    EXPECT_EQ(stays.notes, "router=small:sticky");
    EXPECT_EQ(run(chat("3 * 4")).model, "large") << "elsewhere it is worth it";
    // A short one costs 0.0005 USD to leave, or 0.15 of quality.
    EXPECT_EQ(run(chat("hello there"), 200).model, "small");
    const Ran leaves = run(follow_up("hello there", "3 * 4"), 250);
    EXPECT_EQ(leaves.model, "large");
    EXPECT_TRUE(leaves.notes.ends_with(",switched")) << leaves.notes;
    // Nobody knows what an unknown price loses.
    EXPECT_EQ(run(chat("hello here"), 10).model, "small");
    large_.price = std::make_shared<const prices::ModelPrices>();
    EXPECT_EQ(run(follow_up("hello here", "3 * 4")).notes, "router=small:sticky");
}

TEST_F(RouterStages, AConversationIsItsCallersOwn) {
    EXPECT_EQ(run(chat("hello you"), 50'000).model, "small");
    key_ = "other";
    EXPECT_EQ(run(follow_up("hello you", "3 * 4")).model, "large");
    key_.clear();
    use_.route = "another";
    EXPECT_EQ(run(follow_up("hello you", "3 * 4")).model, "large");
    use_.route = "support";
    EXPECT_EQ(run(follow_up("hello me", "3 * 4")).model, "large");
    EXPECT_EQ(run(follow_up("hello you", "3 * 4")).model, "small");
    // A session that says so is one whatever is left of its messages.
    session_ = "s1";
    EXPECT_EQ(run(chat("hello all"), 50'000).model, "small");
    EXPECT_EQ(run(follow_up("cut", "3 * 4")).notes, "router=small:sticky");
}

TEST_F(RouterStages, AConversationStaysWithoutAVectorToo) {
    EXPECT_EQ(run(chat("hello you"), 50'000).model, "small");
    embedder_.fails = true;
    EXPECT_EQ(run(follow_up("hello you", "again")).notes, "router=small:sticky");
    rights_.forbidden = "small";  // who answered before must not any more
    EXPECT_EQ(run(follow_up("hello you", "again")).model, "large");
}

TEST_F(RouterStages, TellsWithWhatChanceItChose) {
    use_.router = router_of({.budget_usd = 0.0002, .lambda = 0});
    ASSERT_GT(use_.router->mixture().share, 0);
    ASSERT_LT(use_.router->mixture().share, 1);
    int large = 0;
    for (int i = 0; i < 400; ++i) {
        const Ran hard = run(chat("3 * 4"));
        large += hard.model == "large" ? 1 : 0;
        EXPECT_NE(hard.notes.find(",p0."), std::string::npos) << hard.notes;
        EXPECT_GT(hard.chance, 0);
        EXPECT_LT(hard.chance, 1);
    }
    // Half of the queries are hard, and the budget pays for the large model on about two fifths of these.
    EXPECT_NEAR(large / 400.0, 0.39, 0.1);
}

TEST_F(RouterStages, PacesWhatIsSpent) {
    use_.router = router_of({.budget_usd = 0.0002, .lambda = 0});
    use_.pacer = memory_.pacer("support", "a", [&] { return use_.router->pacer(); });
    // Twice as dear as the outcomes were: the price of money rises until the mean is kept all the same.
    double spent = 0;
    constexpr int kRequests = 3000;
    for (int i = 0; i < kRequests; ++i) {
        const std::string body = chat(i % 2 == 0 ? "hello" : "3 * 4");
        const double lambda = use_.pacer->lambda();
        const std::size_t trade = use_.router->trade_for(lambda);
        const auto told =
            use_.router->predict(i % 2 == 0 ? std::vector<float>{1, 0} : std::vector<float>{-1, 0},
                                 i % 2 == 0 ? "hello" : "3 * 4");
        cost_ =
            PicoUsd(use_.router->choose(trade, told, kAllModels) == 1 ? 2'000'000'000 : 20'000'000);
        (void)run(body);
        spent += in_usd(*cost_);
    }
    EXPECT_NEAR(spent / kRequests, 0.0002, 0.0002 * 0.02);
    // The same terms, the same pacer; others begin anew.
    EXPECT_EQ(memory_.pacer("support", "a", [&] { return use_.router->pacer(); }), use_.pacer);
    EXPECT_NE(memory_.pacer("support", "b", [&] { return use_.router->pacer(); }), use_.pacer);
}

TEST(Conversation, IsWhatWasAskedBeforeTheLastAnswer) {
    const std::string first = R"([{"role":"user","content":"a [b], {c}"}])";
    const Conversation one = conversation_of(first);
    EXPECT_FALSE(one.continues());
    const std::string second =
        R"([ {"role":"user","content":"a [b], {c}"} , {"role":"assistant","content":null,"tool_calls":[]},)"
        R"({"role":"tool","content":"1"}])";
    const Conversation two = conversation_of(second);
    EXPECT_TRUE(two.continues());
    EXPECT_NE(two.before.find(one.all), std::string_view::npos);
    const std::string third =
        second.substr(0, second.size() - 1) +
        R"(,{"role":"assistant","content":"x"},{"role":"user","content":"y"}])";
    EXPECT_EQ(conversation_of(third).before, two.all);
    for (const char* odd : {"", "[]", "[", "{}", "[1,2]", "[{\"role\":7}]"})
        EXPECT_FALSE(conversation_of(odd).continues()) << odd;
    EXPECT_FALSE(conversation_of(R"([{"role":"assistant","content":"I begin"}])").continues());
}

TEST(RouterMemory, ForgetsTheOldestOfThoseThatFallTogether) {
    RouterMemory memory;
    const auto at = [](std::uint64_t n) {
        return Hash128{1, n * 512};  // one set
    };
    for (std::uint64_t n = 0; n < 4; ++n) memory.put(at(n), {"m", static_cast<std::int64_t>(n)});
    EXPECT_TRUE(memory.find(at(0)).has_value());
    memory.put(at(9), {"n", 9});
    EXPECT_FALSE(memory.find(at(1)).has_value());
    EXPECT_EQ(memory.find(at(0))->tokens, 0);
    EXPECT_EQ(memory.find(at(9))->model, "n");
}

}  // namespace
}  // namespace leeway::router
