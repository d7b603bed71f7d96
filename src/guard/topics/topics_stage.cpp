#include "guard/topics/topics_stage.hpp"

#include <utility>

namespace leeway::guard::topics {

namespace {

pipeline::Verdict chat_only() {
    return pipeline::Reject{{ErrorCode::kInvalidRequest,
                             "This route keeps to its topics, and answers chat requests only",
                             "POST /v1/chat/completions",
                             {},
                             "guarded"}};
}

}  // namespace

Task<pipeline::Verdict> TopicsStage::on_request(pipeline::RequestContext& context) {
    // Else whoever wants past the guard asks the older endpoint.
    const bool strict = otherwise_ == Otherwise::kReject || otherwise_ == Otherwise::kLocalOnly;
    if (context.endpoint == pipeline::Endpoint::kCompletions && strict) co_return chat_only();
    if (context.endpoint != pipeline::Endpoint::kChatCompletions)
        co_return pipeline::Verdict(pipeline::Continue{});
    auto decided = co_await router::decide(use_, context);
    if (!decided && otherwise_ == Otherwise::kLocalOnly) {
        // It may be one of those that must not leave, and a model that runs here takes any.
        context.note(kInfo.name, decided.error().reason);
        router::RouteAction stay;
        stay.local_only = true;
        co_return router::act(stay, nullptr, use_, context);
    }
    if (!decided)
        co_return router::undecided(std::move(decided.error()), info_, use_.table->set(), context);
    // What is simply allowed needs no word.
    const bool off_topic = decided->name.empty();
    const bool quiet = off_topic ? otherwise_ == Otherwise::kAllow
                                 : !decided->action->log && !decided->action->reject &&
                                       !decided->action->local_only && decided->model == nullptr &&
                                       decided->action->answer.empty();
    if (!quiet) router::tell(*decided, kInfo.name, context);
    if (!off_topic) co_return co_await router::carry_out(*decided, use_, context);
    switch (otherwise_) {
        case Otherwise::kReject: co_return router::decline(use_.table->set(), context);
        case Otherwise::kLocalOnly: {
            router::RouteAction stay;
            stay.local_only = true;
            co_return router::act(stay, nullptr, use_, context);
        }
        case Otherwise::kAllow:
        case Otherwise::kLog: break;
    }
    co_return pipeline::Verdict(pipeline::Continue{});
}

}  // namespace leeway::guard::topics
