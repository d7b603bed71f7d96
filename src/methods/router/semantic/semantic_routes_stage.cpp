#include "methods/router/semantic/semantic_routes_stage.hpp"

#include <utility>

namespace leeway::router {

Task<pipeline::Verdict> SemanticRoutesStage::on_request(pipeline::RequestContext& context) {
    if (context.endpoint != pipeline::Endpoint::kChatCompletions)
        co_return pipeline::Verdict(pipeline::Continue{});
    auto decided = co_await decide(use_, context);
    if (!decided)
        co_return undecided(std::move(decided.error()), info_, use_.table->set(), context);
    tell(*decided, kInfo.name, context);
    const bool rejected = decided->name.empty();
    if (rejected && decided->action->model.empty()) co_return decline(use_.table->set(), context);
    co_return co_await carry_out(*decided, use_, context);
}

}  // namespace leeway::router
