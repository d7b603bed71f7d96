#include "methods/router/controller/controller_stage.hpp"

#include "json/splice.hpp"
#include "methods/router/controller/plan_run.hpp"
#include "pipeline/runner.hpp"
#include "telemetry/metrics.hpp"
#include "wire/openai/request_view.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <coroutine>
#include <deque>
#include <functional>
#include <optional>
#include <utility>

namespace leeway::router {
namespace {

using pipeline::Verdict;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr std::string_view kThree =
    R"({"steps":[{"id":1,"task":"Left","kind":"search","needs":[]},)"
    R"({"id":2,"task":"Right","kind":"write","needs":[]},)"
    R"({"id":3,"task":"Both of <result-1> and <result-2>","kind":"search","needs":[1,2]}]})";

/// Runs what is posted when it is told to, as a loop does.
class QueuedExecutor final : public Executor {
public:
    void post(std::function<void()> work) override { work_.push_back(std::move(work)); }
    void run() {
        while (!work_.empty()) {
            const auto one = std::move(work_.front());
            work_.pop_front();
            one();
        }
    }

private:
    std::deque<std::function<void()>> work_;
};

/// A model that answers when it is told to; the planner at once.
class SlowModel final : public pipeline::ModelAsker {
public:
    struct Asked {
        pipeline::OwnCall call;
        Duration limit{};
        std::optional<Result<std::string>> answer;
        std::coroutine_handle<> waiter;

        [[nodiscard]] bool await_ready() const noexcept { return answer.has_value(); }
        void await_suspend(std::coroutine_handle<> handle) noexcept { waiter = handle; }
        void await_resume() const noexcept {}
    };
    explicit SlowModel(pipeline::RequestContext& context) : context_(context) {}

    Task<Result<std::string>> ask_model(pipeline::OwnCall call, Duration limit) override {
        Asked& asked = asked_.emplace_back();
        asked.call = std::move(call);
        asked.limit = limit;
        if (asked.call.tag == kPlanTag || at_once) asked.answer = next(asked.call);
        if (throws && asked.call.tag == kStepTag) throw std::bad_alloc();
        co_await asked;
        if (context_.asked_cost)
            context_.asked_cost = context_.asked_cost->plus(PicoUsd(1'000'000));
        co_return std::move(*asked.answer);
    }
    [[nodiscard]] bool may_answer(const pipeline::Model& model) const override {
        return model.name != forbidden;
    }
    /// Of the `n`th call of all.
    void answer(std::size_t n, std::string text) { end(n, std::move(text)); }
    void refuse(std::size_t n, std::string reason) {
        end(n, fail(Error{ErrorCode::kUnavailable, "no", {}, {}, std::move(reason)}));
    }
    [[nodiscard]] const std::deque<Asked>& asked() const { return asked_; }
    /// How many have not ended.
    [[nodiscard]] std::size_t running() const {
        return static_cast<std::size_t>(
            std::ranges::count_if(asked_, [](const Asked& one) { return !one.answer; }));
    }

    std::string plan{kThree};
    std::string plan_fails;  ///< a reason
    std::string forbidden;
    bool at_once = false;
    bool throws = false;

private:
    Result<std::string> next(const pipeline::OwnCall& call) {
        if (call.tag != kPlanTag) return std::string("done");
        if (!plan_fails.empty())
            return fail(Error{ErrorCode::kUnavailable, "no", {}, {}, plan_fails});
        return plan;
    }
    void end(std::size_t n, Result<std::string> with) {
        asked_[n].answer = std::move(with);
        if (asked_[n].waiter) std::exchange(asked_[n].waiter, {}).resume();
    }

    pipeline::RequestContext& context_;
    std::deque<Asked> asked_;  // they do not move
};

class Interruptible final : public pipeline::Interruption {
public:
    [[nodiscard]] bool interrupted() const noexcept override { return now; }
    [[nodiscard]] Duration remaining() const noexcept override { return left; }
    void on_interrupt(void (*)(void*), void*) override { FAIL() << "it is the asker's"; }
    bool now = false;
    Duration left = std::chrono::seconds(60);
};

class Controller : public ::testing::Test {
protected:
    void SetUp() override {
        small_.name = "small";
        big_.name = "big";
        use_.route = "trips";
        use_.planner = &small_;
        use_.own = &big_;
        use_.kinds = {{"search", &small_, ""}, {"write", &big_, ""}};
        use_.max_steps = 6;
        use_.max_parallel = 3;
        use_.timeout = std::chrono::seconds(30);
        use_.answer_tokens = 800;
        use_.tally = &tally_;
    }

    void ask(const std::string& members = {},
             const std::string& messages = R"([ {"role":"user","content":"Plan it"} ])") {
        stage_.emplace(use_);
        body_ = R"({"model":"trips","messages":)" + messages + members + "}";
        auto view = wire::openai::parse_request(wire::openai::Endpoint::kChatCompletions, body_);
        ASSERT_TRUE(view);
        context_.view = std::move(*view);
        context_.body = body_;
        context_.model = &big_;
        context_.executor = &executor_;
        context_.asker = &model_;
        context_.interruption = &interruption_;
        spawn(run(), [this](const std::exception_ptr&) { threw_ = true; });
        executor_.run();
    }
    Task<void> run() { verdict_.emplace(co_await stage_->on_request(context_)); }
    void answer(std::size_t n, std::string text) {
        model_.answer(n, std::move(text));
        executor_.run();
    }
    void refuse(std::size_t n, std::string reason) {
        model_.refuse(n, std::move(reason));
        executor_.run();
    }
    [[nodiscard]] bool goes_on() const {
        return verdict_ && std::holds_alternative<pipeline::Continue>(*verdict_);
    }
    /// What its upstream would get.
    [[nodiscard]] std::string edited() const {
        json::Splice splice(context_.body);
        for (const auto& edit : context_.edits()) EXPECT_TRUE(splice.add(edit.change));
        return splice.str();
    }
    [[nodiscard]] std::vector<std::string> counted() const {
        std::vector<std::string> out;
        for (const auto& one : tally_.counted())
            out.push_back(fmt::format("{} {} {}", one.route, one.verdict, one.count));
        return out;
    }

    pipeline::Model small_;
    pipeline::Model big_;
    ControllerTally tally_;
    ControllerUse use_;
    QueuedExecutor executor_;
    Interruptible interruption_;
    std::string body_;
    pipeline::RequestContext context_;
    SlowModel model_{context_};
    std::optional<ControllerStage> stage_;
    std::optional<Verdict> verdict_;
    bool threw_ = false;
};

TEST_F(Controller, StepsRunSideBySideAndTheirResultsAreAdded) {
    ask();
    ASSERT_EQ(model_.asked().size(), 3U);
    EXPECT_EQ(model_.asked()[0].call.model, &small_);
    EXPECT_EQ(model_.running(), 2U) << "those that need nothing";
    EXPECT_EQ(model_.asked()[2].call.model, &big_) << "by its kind";
    answer(2, "R");
    EXPECT_EQ(model_.asked().size(), 3U) << "the last one needs both";
    answer(1, "L");
    ASSERT_EQ(model_.asked().size(), 4U);
    EXPECT_THAT(model_.asked()[3].call.body, HasSubstr("Both of result 1 and result 2"));
    EXPECT_THAT(model_.asked()[3].call.body, HasSubstr(R"(\"text\":\"L\")"));
    EXPECT_FALSE(verdict_);
    answer(3, "B\"");
    ASSERT_TRUE(goes_on());
    EXPECT_EQ(context_.notes, "controller=plan:3,cost:0.000004");
    EXPECT_THAT(counted(), ElementsAre("trips plan 1"));
    const std::string body = edited();
    const auto view = wire::openai::parse_request(wire::openai::Endpoint::kChatCompletions, body);
    ASSERT_TRUE(view);
    EXPECT_EQ(view->message_count, 2U);
    EXPECT_THAT(body,
                HasSubstr(R"({"role":"user","content":"Plan it"} ,{"role":"user","content":)"));
    EXPECT_THAT(body, HasSubstr(R"(\"text\":\"B\\\"\")"));
}

TEST_F(Controller, NoMoreStepsRunThanMayAtATime) {
    use_.max_parallel = 1;
    ask();
    EXPECT_EQ(model_.running(), 1U);
    answer(1, "L");
    EXPECT_EQ(model_.running(), 1U);
    answer(2, "R");
    answer(3, "B");
    EXPECT_TRUE(goes_on());
    EXPECT_EQ(model_.asked().size(), 4U);
}

TEST_F(Controller, StepsThatEndAtOnceAreRunAll) {
    model_.at_once = true;
    ask();
    EXPECT_TRUE(goes_on());
    EXPECT_THAT(context_.notes, HasSubstr("controller=plan:3"));
    EXPECT_EQ(model_.asked().size(), 4U);
}

TEST_F(Controller, NothingToPlanLeavesTheRequestAsItIs) {
    for (const char* plan :
         {R"({"steps":[]})", R"({"steps":[{"id":1,"task":"a","kind":"search","needs":[]}]})"}) {
        model_.plan = plan;
        ask();
        EXPECT_TRUE(goes_on());
        EXPECT_THAT(context_.edits(), IsEmpty());
    }
    EXPECT_EQ(model_.asked().size(), 2U);
    EXPECT_THAT(context_.notes, HasSubstr("controller=single,cost:0.000001"));
    EXPECT_THAT(counted(), ElementsAre("trips single 2"));
}

TEST_F(Controller, BadPlansAreRefusedAndTheRequestGoesOn) {
    for (const auto& [plan, why] : std::vector<std::pair<std::string, std::string>>{
             {"I cannot plan that.", "not_json"},
             {R"({"steps":[{"id":1,"task":"a","kind":"search","needs":[2]},)"
              R"({"id":2,"task":"b","kind":"search","needs":[1]}]})",
              "cycle"},
             {R"({"steps":[{"id":1,"task":"a","kind":"spend","needs":[]}]})", "unknown_kind"}}) {
        model_.plan = plan;
        ask();
        EXPECT_TRUE(goes_on());
        EXPECT_THAT(context_.notes, HasSubstr("controller=" + why + ",cost:"));
    }
    EXPECT_EQ(model_.asked().size(), 3U) << "only the planner";
    EXPECT_THAT(context_.edits(), IsEmpty());
}

TEST_F(Controller, APlannerThatFailsIsNoHarm) {
    model_.plan_fails = "no_answer";
    ask();
    EXPECT_TRUE(goes_on());
    EXPECT_THAT(context_.notes, HasSubstr("controller=no_answer"));
    EXPECT_THAT(context_.edits(), IsEmpty());
}

TEST_F(Controller, AfterAFailedStepNoneIsBegunAndTheOthersAreAwaited) {
    ask();
    refuse(1, "no_answer");
    EXPECT_FALSE(verdict_) << "one is under way";
    answer(2, "R");
    ASSERT_TRUE(goes_on());
    EXPECT_EQ(model_.asked().size(), 3U);
    EXPECT_EQ(context_.notes, "controller=step_failed:no_answer,cost:0.000003");
    EXPECT_THAT(counted(), ElementsAre("trips step_failed 1"));
    EXPECT_THAT(context_.edits(), IsEmpty());
}

TEST_F(Controller, AnInterruptionBeginsNoMoreSteps) {
    use_.max_parallel = 1;
    ask();
    interruption_.now = true;
    answer(1, "L");
    EXPECT_TRUE(goes_on());
    EXPECT_EQ(model_.asked().size(), 2U);
    EXPECT_THAT(context_.notes, HasSubstr("controller=step_failed:interrupted"));
}

TEST_F(Controller, TheTimeIsSharedWithTheAnswer) {
    interruption_.left = std::chrono::seconds(10);
    ask();
    EXPECT_EQ(model_.asked()[0].limit, std::chrono::seconds(5));
    EXPECT_LE(model_.asked()[1].limit, std::chrono::seconds(5));
    answer(1, "L");
    answer(2, "R");
    answer(3, "B");
    interruption_.left = std::chrono::seconds(0);
    ask();
    EXPECT_EQ(model_.asked().size(), 5U) << "a plan, and no time for its steps";
    EXPECT_TRUE(goes_on());
    EXPECT_THAT(context_.notes, HasSubstr("controller=step_failed:late"));
}

TEST_F(Controller, ALibrarysExceptionTravelsWhenAllHasEnded) {
    model_.throws = true;
    ask();
    EXPECT_TRUE(threw_);
    EXPECT_FALSE(verdict_);
    EXPECT_EQ(model_.running(), model_.asked().size() - 1) << "none awaits an answer";
    EXPECT_EQ(model_.asked().size(), 2U) << "nothing is begun after it";
}

TEST_F(Controller, WhatItCannotPlanIsNotPaidFor) {
    const auto skipped = [&](const std::string& members, const std::string& messages = {}) {
        const std::size_t before = model_.asked().size();
        context_.notes.clear();
        messages.empty() ? ask(members) : ask(members, messages);
        EXPECT_TRUE(goes_on());
        EXPECT_EQ(model_.asked().size(), before) << context_.notes;
        return context_.notes;
    };
    EXPECT_EQ(skipped(R"(,"n":2)"), "controller=choices");
    EXPECT_EQ(skipped(R"(,"tools":[{"type":"function","function":{"name":"f"}}])"),
              "controller=tools");
    EXPECT_EQ(skipped(R"(,"response_format":{"type":"json_object"})"), "controller=format");
    EXPECT_EQ(
        skipped({},
                R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}}]}])"),
        "controller=media");
    EXPECT_EQ(skipped({}, R"([{"role":"user","content":"a"},{"role":"assistant","content":"b"}])"),
              "controller=not_asked");
    model_.forbidden = "small";
    EXPECT_EQ(skipped({}), "controller=not_allowed");
    model_.forbidden.clear();
    small_.disabled = "no secret";
    EXPECT_EQ(skipped({}), "controller=disabled");
    small_.disabled.clear();
    context_.local_only = true;
    EXPECT_EQ(skipped({}), "controller=local_only");
    context_.local_only = false;
    use_.own = &small_;
    EXPECT_EQ(skipped({}), "controller=other_model");
    use_.own = &big_;
    context_.opaque = true;
    EXPECT_EQ(skipped({}), "controller=not_chat");
    context_.opaque = false;
    model_.at_once = true;
    ask(R"(,"response_format":{"type":"text"})");
    EXPECT_THAT(context_.notes, HasSubstr("controller=plan:3"));
}

TEST_F(Controller, TheLastStepCanBeTheAnswer) {
    use_.join_last = true;
    model_.at_once = true;
    for (const bool stream : {false, true}) {
        ask(stream ? R"(,"stream":true)" : "");
        ASSERT_TRUE(verdict_ && std::holds_alternative<pipeline::Respond>(*verdict_));
        const auto& answer = std::get<pipeline::Respond>(*verdict_).answer;
        EXPECT_THAT(*answer.body, HasSubstr("done"));
        EXPECT_EQ(answer.form, context_.wanted_form());
        EXPECT_EQ(answer.origin, pipeline::AnswerOrigin::kGateway);
    }
    ask(R"(,"max_tokens":5)");
    EXPECT_TRUE(goes_on()) << "only its own call keeps to that";
    model_.plan = R"({"steps":[{"id":1,"task":"a","kind":"search","needs":[]},)"
                  R"({"id":2,"task":"b","kind":"search","needs":[]}]})";
    ask();
    EXPECT_TRUE(goes_on()) << "there are two last steps";
    EXPECT_THAT(edited(), HasSubstr("subtasks"));
}

}  // namespace
}  // namespace leeway::router
