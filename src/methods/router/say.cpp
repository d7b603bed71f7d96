#include "methods/router/say.hpp"

#include "wire/openai/said_answer.hpp"

#include <memory>
#include <string>
#include <utility>

namespace leeway::router {

pipeline::Verdict say(std::string_view text, const pipeline::RequestContext& context) {
    const std::string id = context.id.text();
    wire::openai::SaidAnswer said;
    said.id = id;
    said.model = context.model->name;
    said.created_unix_s = context.arrived_unix_us / 1'000'000;
    said.text = text;
    said.stream = context.view.stream;
    said.include_usage = context.view.include_usage;
    auto body = wire::openai::write_said_answer(said);
    if (!body) return pipeline::Failed{std::move(body.error())};
    pipeline::Respond out;
    out.answer.body = std::make_shared<const std::string>(std::move(*body));
    out.answer.form = context.wanted_form();
    out.answer.usage_state = prices::UsageState::kZero;
    out.answer.finish_reason = "stop";
    out.answer.origin = pipeline::AnswerOrigin::kGateway;
    return out;
}

}  // namespace leeway::router
