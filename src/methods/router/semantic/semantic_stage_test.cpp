#include "guard/topics/topics_stage.hpp"
#include "methods/router/semantic/semantic_routes_stage.hpp"
#include "methods/router/semantic/user_turns.hpp"
#include "pipeline/context.hpp"
#include "pipeline/runner.hpp"
#include "wire/openai/request_view.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <optional>

namespace leeway::router {
namespace {

using guard::topics::Otherwise;
using guard::topics::TopicsStage;
using pipeline::Verdict;
using ::testing::HasSubstr;

/// Vectors by the words of a text, at once. Counts what it is asked for.
class WordEmbedder final : public models::Embedder {
public:
    Task<Result<models::Embedded>> embed(std::string text, Executor& /*executor*/,
                                         Duration /*limit*/) override {
        ++asked;
        last = text;
        if (down) co_return fail(ErrorCode::kUnavailable, "no host");
        models::Embedded out;
        out.vector = std::make_shared<const std::vector<float>>(vector_of(text));
        out.model = model;
        co_return out;
    }
    static std::vector<float> vector_of(std::string_view text) {
        static constexpr std::array<std::string_view, 4> kWords{"flight", "beach", "hello", "code"};
        std::vector<float> out(8, 0.05F);
        for (std::size_t i = 0; i < kWords.size(); ++i)
            if (text.find(kWords[i]) != std::string_view::npos) out[i] += 1;
        float length = 0;
        for (const float value : out) length += value * value;
        for (float& value : out) value /= std::sqrt(length);
        return out;
    }
    int asked = 0;
    std::string last;
    bool down = false;
    std::shared_ptr<const models::EmbeddingModel> model =
        std::make_shared<const models::EmbeddingModel>(models::EmbeddingModel{"m", "print", 8});
};

/// A model's answer as it is told, at once.
class SaidModel final : public pipeline::ModelAsker {
public:
    Task<Result<std::string>> ask_model(pipeline::OwnCall call, Duration limit) override {
        ++asked;
        last = std::move(call);
        within = limit;
        if (!reason.empty()) co_return fail(Error{ErrorCode::kUnavailable, "no", {}, {}, reason});
        co_return says;
    }
    [[nodiscard]] bool may_answer(const pipeline::Model&) const override { return true; }
    int asked = 0;
    pipeline::OwnCall last;
    Duration within{};
    std::string says;
    std::string reason;
};

class NoExecutor final : public Executor {
public:
    void post(std::function<void()> work) override { work(); }
};

class SemanticStages : public ::testing::Test {
protected:
    void SetUp() override {
        set_.routes = {{"flights", "", {"flight to athens", "a flight home"}, 0.3, {}},
                       {"beaches", "", {"a beach", "which beach"}, 0.3, {}},
                       {"talk", "", {"hello", "hello you"}, 0.3, {}}};
        set_.routes[1].action.model = "small";
        set_.routes[2].action.answer = "Hello \"you\"!";
        set_.rules.push_back({"keyword(bomb)", "", 1});
        set_.rejection.answer = "Sorry.";
        big_.name = "big";
        small_.name = "small";
        small_.local = true;
    }

    TableUse use(bool ready = true) {
        auto rules = SemanticRouter::rules_of(set_);
        EXPECT_TRUE(rules);
        auto table = std::make_shared<RouteTable>(std::move(*rules));
        models::VectorTable vectors;
        vectors.dimension = 8;
        for (const std::string& text : SemanticRouter::texts_of(set_))
            for (const float value : WordEmbedder::vector_of(text)) vectors.values.push_back(value);
        auto router = SemanticRouter::build(set_, *embedder_.model, vectors);
        EXPECT_TRUE(router);
        if (ready)
            table->set_ready({std::make_shared<const SemanticRouter>(std::move(*router)), "print"});
        table_ = table;
        TableUse out;
        out.table = table;
        out.embedder = &embedder_;
        for (const auto& route : set_.routes)
            out.models.push_back(route.action.model.empty() ? nullptr : &small_);
        out.models.push_back(nullptr);
        for (const auto& route : set_.routes)
            out.argument_models.push_back(route.action.arguments_model.empty() ? nullptr : &big_);
        out.argument_models.push_back(nullptr);
        return out;
    }

    Verdict ask(pipeline::Stage& stage, const std::string& messages, bool stream = false) {
        body_ =
            "{\"model\":\"big\",\"messages\":" + messages + (stream ? ",\"stream\":true}" : "}");
        context_ = {};
        auto view = wire::openai::parse_request(wire::openai::Endpoint::kChatCompletions, body_);
        EXPECT_TRUE(view);
        context_.view = std::move(*view);
        context_.body = body_;
        context_.model = &big_;
        context_.executor = &executor_;
        context_.asker = &model_;
        context_.arrived_unix_us = 1'778'544'000'000'000;  // 2026-05-12
        std::optional<Verdict> out;
        spawn(run(stage, out), [](const std::exception_ptr&) { FAIL(); });
        return out ? std::move(*out) : Verdict(pipeline::Failed{});
    }
    Task<void> run(pipeline::Stage& stage, std::optional<Verdict>& out) {
        out.emplace(co_await stage.on_request(context_));
    }
    static std::string user(const std::string& text) {
        return R"([{"role":"user","content":")" + text + "\"}]";
    }
    /// Flights ask where to and when.
    void make_dynamic() {
        RouteAction& action = set_.routes[0].action;
        for (const char* name : {"destination", "date"}) {
            ArgumentProperty one;
            one.name = name;
            one.required = true;
            one.date = one.name == "date";
            ASSERT_TRUE(prepare(one));
            action.arguments.properties.push_back(std::move(one));
        }
        action.arguments_model = "big";
    }
    static std::string said(const Verdict& verdict) {
        const auto* respond = std::get_if<pipeline::Respond>(&verdict);
        return respond == nullptr ? std::string() : *respond->answer.body;
    }

    RouteSet set_;
    pipeline::Model big_;
    pipeline::Model small_;
    WordEmbedder embedder_;
    NoExecutor executor_;
    SaidModel model_;
    std::shared_ptr<RouteTable> table_;
    std::string body_;
    pipeline::RequestContext context_;
};

TEST_F(SemanticStages, ARouteKeepsTheModelOrNamesAnotherOrAnswers) {
    SemanticRoutesStage stage(use());
    EXPECT_TRUE(std::holds_alternative<pipeline::Continue>(ask(stage, user("a flight please"))));
    EXPECT_THAT(context_.semantic_route, HasSubstr("flights; p="));
    EXPECT_THAT(context_.notes, HasSubstr("semantic_routes=flights"));
    const Verdict retarget = ask(stage, user("the beach"));
    ASSERT_TRUE(std::holds_alternative<pipeline::Retarget>(retarget));
    EXPECT_EQ(std::get<pipeline::Retarget>(retarget).model, &small_);
    EXPECT_THAT(said(ask(stage, user("hello"))), HasSubstr(R"("content":"Hello \"you\"!")"));
}

TEST_F(SemanticStages, WhatNoRouteTakesIsAnsweredPolitelyInTheFormThatIsWanted) {
    SemanticRoutesStage stage(use());
    const Verdict whole = ask(stage, user("write code"));
    EXPECT_THAT(said(whole), HasSubstr(R"("content":"Sorry.")"));
    EXPECT_THAT(said(whole), HasSubstr("\"id\":\"chatcmpl-" + context_.id.text() + "\""));
    const auto& answer = std::get<pipeline::Respond>(whole).answer;
    EXPECT_EQ(answer.origin, pipeline::AnswerOrigin::kGateway);
    EXPECT_EQ(answer.usage_state, prices::UsageState::kZero);
    const Verdict stream = ask(stage, user("write code"), true);
    EXPECT_THAT(said(stream), HasSubstr("data: "));
    EXPECT_THAT(said(stream), HasSubstr("[DONE]"));
    EXPECT_EQ(std::get<pipeline::Respond>(stream).answer.form, pipeline::AnswerForm::kEventStream);
}

TEST_F(SemanticStages, ARuleNeedsNoVectorEvenBeforeThereAreAny) {
    SemanticRoutesStage stage(use(/*ready=*/false));
    EXPECT_THAT(said(ask(stage, user("a Bomb!"))), HasSubstr("Sorry."));
    EXPECT_THAT(context_.semantic_route, HasSubstr("by=rule"));
    EXPECT_THAT(said(ask(stage, user(""))), HasSubstr("Sorry."));
    EXPECT_EQ(embedder_.asked, 0);
    const Verdict waiting = ask(stage, user("a flight"));
    ASSERT_TRUE(std::holds_alternative<pipeline::Failed>(waiting));
    EXPECT_EQ(std::get<pipeline::Failed>(waiting).error.reason, "not_ready");
    EXPECT_EQ(embedder_.asked, 0);
}

TEST_F(SemanticStages, WithoutAnEmbedderTheyFailSoThatTheRunnerSkipsThem) {
    SemanticRoutesStage stage(use());
    embedder_.down = true;
    EXPECT_TRUE(std::holds_alternative<pipeline::Failed>(ask(stage, user("a flight"))));
}

TEST_F(SemanticStages, AnotherModelIsNoticedAndTheTableEmbeddedAgain) {
    SemanticRoutesStage stage(use());
    embedder_.model =
        std::make_shared<const models::EmbeddingModel>(models::EmbeddingModel{"m", "other", 8});
    const Verdict verdict = ask(stage, user("a flight"));
    ASSERT_TRUE(std::holds_alternative<pipeline::Failed>(verdict));
    EXPECT_EQ(std::get<pipeline::Failed>(verdict).error.reason, "model_changed");
    EXPECT_EQ(table_->ready().router, nullptr);
}

TEST_F(SemanticStages, OnlyARejectedFollowUpAsksForTheTurnBefore) {
    SemanticRoutesStage stage(use());
    const std::string turns =
        R"([{"role":"user","content":"a flight to athens"},{"role":"assistant","content":"x"},)"
        R"({"role":"user","content":")";
    (void)ask(stage, turns + "the beach\"}]");
    EXPECT_EQ(embedder_.asked, 1);
    (void)ask(stage, turns + "and code?\"}]");
    EXPECT_EQ(embedder_.asked, 3);
    EXPECT_EQ(embedder_.last, "a flight to athens");
}

TEST_F(SemanticStages, AGuardLetsItsTopicsPassAndDoesOtherwiseWithTheRest) {
    TopicsStage rejecting(use(), Otherwise::kReject);
    EXPECT_TRUE(std::holds_alternative<pipeline::Continue>(ask(rejecting, user("a flight"))));
    EXPECT_EQ(context_.notes, "");
    EXPECT_THAT(said(ask(rejecting, user("code"))), HasSubstr("Sorry."));
    TopicsStage logging(use(), Otherwise::kLog);
    EXPECT_TRUE(std::holds_alternative<pipeline::Continue>(ask(logging, user("code"))));
    EXPECT_THAT(context_.notes, HasSubstr("guard=rejected"));
    TopicsStage allowing(use(), Otherwise::kAllow);
    EXPECT_TRUE(std::holds_alternative<pipeline::Continue>(ask(allowing, user("code"))));
    EXPECT_EQ(context_.notes, "");
}

TEST_F(SemanticStages, LocalOnlyIsAnsweredHereOrNotAtAll) {
    TableUse without = use();
    TopicsStage nowhere(without, Otherwise::kLocalOnly);
    const Verdict refused = ask(nowhere, user("code"));
    ASSERT_TRUE(std::holds_alternative<pipeline::Reject>(refused));
    EXPECT_EQ(std::get<pipeline::Reject>(refused).error.reason, "local_only");
    TableUse with = use();
    with.local = &small_;
    TopicsStage here(with, Otherwise::kLocalOnly);
    const Verdict moved = ask(here, user("code"));
    ASSERT_TRUE(std::holds_alternative<pipeline::Retarget>(moved));
    EXPECT_TRUE(context_.local_only);
}

TEST_F(SemanticStages, WhatAGuardOfThisMachineCannotDecideStaysOnIt) {
    TableUse undecided = use(/*ready=*/false);
    undecided.local = &small_;
    TopicsStage here(undecided, Otherwise::kLocalOnly);
    EXPECT_TRUE(std::holds_alternative<pipeline::Retarget>(ask(here, user("a flight"))));
    EXPECT_TRUE(context_.local_only);
    EXPECT_THAT(context_.notes, HasSubstr("guard=not_ready"));
}

TEST_F(SemanticStages, TheRunnerSendsNothingAwayThatAGuardKeepsHere) {
    TableUse with = use();
    with.local = &small_;
    TopicsStage guard(with, Otherwise::kLocalOnly);
    pipeline::Model cloud;
    cloud.name = "cloud";
    class Away final : public pipeline::Stage {
    public:
        explicit Away(const pipeline::Model& to) : to_(to) {}
        [[nodiscard]] const pipeline::StageInfo& info() const noexcept override { return info_; }
        Task<Verdict> on_request(pipeline::RequestContext&) override {
            ++ran;
            co_return Verdict(pipeline::Retarget{&to_});
        }
        int ran = 0;

    private:
        const pipeline::Model& to_;
        const pipeline::StageInfo info_{.name = "away"};
    } away(cloud);
    pipeline::Route route;
    route.stages = {&guard, &away};
    (void)ask(guard, user("code"));  // fills in the context
    const auto decide_as = [&](bool held_out) {
        context_.model = &big_;
        context_.route = &route;
        context_.held_out = held_out;
        context_.local_only = false;
        telemetry::WorkerMetrics metrics;
        pipeline::Runner runner({}, context_, metrics);
        std::optional<Verdict> out;
        spawn(
            [](pipeline::Runner& runs, std::optional<Verdict>& into) -> Task<void> {
                into.emplace(co_await runs.on_request());
            }(runner, out),
            [](const std::exception_ptr&) { FAIL(); });
        ASSERT_TRUE(out);
        EXPECT_TRUE(std::holds_alternative<pipeline::Continue>(*out));
        EXPECT_EQ(context_.model, &small_);
    };
    decide_as(false);
    EXPECT_EQ(away.ran, 1);
    // A guard is no saving: those that show what there is without us pass it as well.
    decide_as(true);
    EXPECT_EQ(away.ran, 1);
}

TEST_F(SemanticStages, ADynamicRouteAsksNoModelForWhatStandsInTheText) {
    make_dynamic();
    SemanticRoutesStage stage(use());
    EXPECT_TRUE(std::holds_alternative<pipeline::Continue>(
        ask(stage, user("a flight to Thíra on 14 May"))));
    EXPECT_EQ(context_.route_arguments,
              R"({"arguments":{"destination":"Th\u00edra","date":"2026-05-14"}})");
    EXPECT_THAT(context_.notes, HasSubstr("arguments=found:2/2"));
    EXPECT_EQ(model_.asked, 0);
    (void)ask(stage, user("the beach"));
    EXPECT_EQ(context_.route_arguments, "") << "another route has none";
}

TEST_F(SemanticStages, ADynamicRouteAsksItsModelForTheRestAndChecksWhatItSays) {
    make_dynamic();
    SemanticRoutesStage stage(use());
    const std::string text = user("a flight to Athens when the school is out");
    model_.says = "```json\n{\"date\": \"2026-06-15\"}\n```";
    EXPECT_TRUE(std::holds_alternative<pipeline::Continue>(ask(stage, text)));
    EXPECT_EQ(model_.asked, 1);
    EXPECT_EQ(model_.last.model, &big_);
    EXPECT_EQ(model_.last.tag, "arguments");
    EXPECT_EQ(model_.within, std::chrono::milliseconds(2'000));
    EXPECT_THAT(model_.last.body, HasSubstr("Today is 2026-05-12, a Tuesday"));
    EXPECT_THAT(model_.last.body, HasSubstr("\"json_schema\""));
    EXPECT_THAT(model_.last.body, ::testing::Not(HasSubstr("destination")))
        << "what was found is not asked for";
    EXPECT_EQ(context_.route_arguments,
              R"({"arguments":{"destination":"Athens","date":"2026-06-15"},"by_model":["date"]})");
    EXPECT_THAT(context_.notes, HasSubstr("arguments=found:2/2,model:asked"));
    const std::string missing = R"({"arguments":{"destination":"Athens"},"missing":["date"]})";
    for (const char* bad :
         {"", "no idea", "{\"date\": \"soon\"}", "{\"date\": \"2026-02-30\"}", "{\"date\": 5}",
          "[1]", "{\"destination\": \"Kos\", \"date\": \"2026-06-15\"}", "{\"other\": 1}"}) {
        model_.says = bad;
        EXPECT_TRUE(std::holds_alternative<pipeline::Continue>(ask(stage, text)));
        EXPECT_EQ(context_.route_arguments, missing) << bad;
        EXPECT_THAT(context_.notes, HasSubstr("arguments=found:1/2,model:invalid")) << bad;
    }
    model_.says = R"({"date": null})";
    (void)ask(stage, text);
    EXPECT_EQ(context_.route_arguments, missing);
    EXPECT_THAT(context_.notes, HasSubstr("arguments=found:1/2,model:asked"));
    model_.reason = "no_answer";
    (void)ask(stage, text);
    EXPECT_EQ(context_.route_arguments, missing);
    EXPECT_THAT(context_.notes, HasSubstr("arguments=found:1/2,model:no_answer"));
}

TEST_F(SemanticStages, ArgumentsOfWhatStaysHereAreNotAskedForElsewhere) {
    make_dynamic();
    set_.routes[0].action.local_only = true;
    TableUse here = use();
    here.local = &small_;
    TopicsStage stage(here, Otherwise::kReject);
    EXPECT_TRUE(std::holds_alternative<pipeline::Retarget>(ask(stage, user("a flight"))));
    EXPECT_EQ(model_.asked, 0);
    EXPECT_THAT(context_.notes, HasSubstr("arguments=found:0/2,model:local_only"));
    here.argument_models[0] = &small_;
    TopicsStage local(here, Otherwise::kReject);
    (void)ask(local, user("a flight"));
    EXPECT_EQ(model_.asked, 1);
    EXPECT_THAT(model_.last.body, ::testing::Not(HasSubstr("response_format")));
}

TEST_F(SemanticStages, FixedWordsNameTheArgumentsOrAModelAnswers) {
    make_dynamic();
    set_.routes[0].action.arguments_model.clear();
    set_.routes[0].action.answer = "To {destination} on {date}: {{ok}}";
    SemanticRoutesStage stage(use());
    EXPECT_THAT(said(ask(stage, user("a flight to Athens tomorrow"))),
                HasSubstr(R"("content":"To Athens on 2026-05-13: {ok}")"));
    EXPECT_TRUE(std::holds_alternative<pipeline::Continue>(ask(stage, user("a flight to Athens"))));
}

TEST_F(SemanticStages, WhatCannotBeDecidedIsRejectedWhereThatIsWanted) {
    SemanticRoutesStage routes(use(/*ready=*/false), pipeline::OnError::kReject);
    EXPECT_THAT(said(ask(routes, user("a flight"))), HasSubstr("Sorry."));
    EXPECT_THAT(context_.notes, HasSubstr("semantic_routes=not_ready"));
    TopicsStage guard(use(), Otherwise::kLog, pipeline::OnError::kReject);
    EXPECT_TRUE(guard.info().guards);
    EXPECT_TRUE(std::holds_alternative<pipeline::Continue>(ask(guard, user("code"))));
    embedder_.down = true;
    EXPECT_THAT(said(ask(guard, user("a flight"))), HasSubstr("Sorry."));
    EXPECT_THAT(context_.notes, HasSubstr("guard=undecided"));
}

TEST_F(SemanticStages, TheOlderEndpointIsNoWayPastAGuard) {
    TopicsStage guard(use(), Otherwise::kReject);
    (void)ask(guard, user("code"));
    context_.endpoint = pipeline::Endpoint::kCompletions;
    std::optional<Verdict> out;
    spawn(run(guard, out), [](const std::exception_ptr&) { FAIL(); });
    ASSERT_TRUE(out);
    ASSERT_TRUE(std::holds_alternative<pipeline::Reject>(*out));
    EXPECT_EQ(std::get<pipeline::Reject>(*out).error.reason, "guarded");
}

TEST(UserTurns, AreTheLastTwoOfTheUserWhateverStandsBetween) {
    const UserTurns turns = user_turns(
        R"([{"role":"system","content":"s"},{"content":"one","role":"user"},)"
        R"({"role":"assistant","content":null,"tool_calls":[{"id":"a"}]},)"
        R"({"role":"tool","tool_call_id":"a","content":"t"},)"
        R"({"role":"user","content":[{"type":"text","text":"two \u00e9"},)"
        R"({"type":"image_url","image_url":{"url":"data:x"}},{"type":"text","text":"three"}]}])");
    EXPECT_EQ(turns.last, "two é\nthree");
    EXPECT_EQ(turns.before, "one");
    EXPECT_EQ(user_turns("[]").last, "");
    EXPECT_EQ(user_turns(R"([{"role":"system","content":"s"}])").last, "");
    EXPECT_EQ(user_turns("").last, "");
}

}  // namespace
}  // namespace leeway::router
