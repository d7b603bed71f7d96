#include "app/answer_meter.hpp"
#include "app/client_request.hpp"
#include "json/write.hpp"
#include "wire/cohere/embed_codec.hpp"
#include "wire/gemini/embed_codec.hpp"
#include "wire/openai/embed_codec.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::app {
namespace {

using wire::Dialect;

/// What stages see of a request whose content only its own provider understands: the whole body as its one text, so
/// that no bound on its size is too low and no two requests look alike.
std::string opaque_request(std::string_view body, std::string_view model) {
    std::string out;
    json::Writer json(out);
    json.object().key("model").string(model).key("input").array().string(body);
    json.close_array().close_object();
    return out;
}

Result<wire::EmbedAnswer> read_embedded(const providers::Provider& provider, std::string_view body,
                                        std::size_t wanted) {
    switch (provider.dialect) {
        case Dialect::kGemini:
            return wire::gemini::read_embed_answer(body, provider.flavour, wanted);
        case Dialect::kCohere:
            return wire::cohere::read_embed_answer(body, provider.flavour, wanted);
        case Dialect::kOpenAiChat:
        case Dialect::kOpenAiResponses:
        case Dialect::kAnthropic:
        case Dialect::kBedrock: break;
    }
    return wire::openai::read_embed_answer(body, provider.flavour, wanted);
}

}  // namespace

/// Reads a body in the caller's dialect and returns what the stages see of it.
Result<std::string_view> ClientRequest::take_in_embedding(std::string_view body) {
    original_ = body;
    header_texts_[0] = context_.id.text();
    auto request = wire::gemini::read_embed_request(body);
    if (request) {
        request->model = address_model_;
        chat_body_ = wire::openai::embed_request_for_stages(*request);
        embed_ = std::move(*request);
    } else if (request.error().reason == "untranslatable") {
        unreadable_ = std::move(request.error());
        chat_body_ = opaque_request(body, address_model_);
    } else {
        return fail(std::move(request.error()));
    }
    return std::string_view(chat_body_);
}

/// The body for `provider`, where the request is not passed on as OpenAI's.
Result<std::string> ClientRequest::embedding_body(const providers::Provider& provider) {
    const std::string& model = context_.model->upstream_name;
    const bool predicts = provider.dialect == Dialect::kGemini && provider.tokens != nullptr;
    if (provider.dialect == dialect_ && !predicts) {
        if (context_.view.model == model) return std::string(original_);
        return wire::gemini::with_embed_model(original_, model);
    }
    if (unreadable_) return fail(*unreadable_);
    if (!embed_) {
        auto request = wire::openai::read_embed_request(context_.body);
        if (!request) return fail(std::move(request.error()));
        embed_ = std::move(*request);
    }
    wire::Losses losses;
    std::string body;
    switch (provider.dialect) {
        case Dialect::kOpenAiChat:
            body = wire::openai::write_embed_request(*embed_, model, losses);
            break;
        case Dialect::kGemini:
            body = predicts ? wire::gemini::write_predict_request(*embed_, losses)
                            : wire::gemini::write_embed_request(*embed_, model, losses);
            break;
        case Dialect::kCohere:
            body = wire::cohere::write_embed_request(*embed_, model, losses);
            break;
        case Dialect::kOpenAiResponses:
        case Dialect::kAnthropic:
        case Dialect::kBedrock:
            return fail(Error{ErrorCode::kInvalidRequest,
                              fmt::format("Provider '{}' gives no embeddings here.", provider.name),
                              "ask a model of a provider with dialect openai, gemini or cohere",
                              "model", "untranslatable"});
    }
    tell_losses(losses);
    return body;
}

/// What the provider does not tell is counted by us.
void ClientRequest::count_embedded(wire::usage::UsageReading& usage) {
    if (usage.state != prices::UsageState::kMissing || !embed_) return;
    const TokenRule& rule = snapshot_->token_rule(*context_.model);
    AnswerMeter meter(rule, worker_.tokenizers.of(rule));
    wire::StreamEvent text;
    text.kind = wire::StreamEvent::Kind::kText;
    for (const std::string& one : embed_->texts) {
        text.text = one;
        meter.add(text);
        ++text.choice;  // no token reaches from one text into the next
    }
    const tokens::TokenCount count = meter.counted().all;
    usage.usage[prices::Bucket::kInput] = std::max<std::int64_t>(count.tokens, 0);
    usage.state = prices::UsageState::kPartial;
    attempt_.usage_quality = record_.usage_quality = count.quality;
}

Task<void> ClientRequest::deliver_embedded(net::UpstreamCall& call,
                                           const providers::Provider& provider) {
    const int status = call.head().status;
    pipeline::Outcome outcome;
    const auto body = co_await whole_answer(call, outcome);
    if (!body) co_return;
    const std::size_t wanted = embed_ ? embed_->texts.size() : 0;
    auto answer = read_embedded(provider, *body, wanted);
    if (!answer) {
        end_attempt(status, ledger::EndState::kError);
        upstream_fields_.clear();
        co_await refuse(std::move(answer.error()));
        co_return;
    }
    attempt_.model_reported = answer->model;
    count_embedded(answer->usage);
    end_attempt(status, ledger::EndState::kOk, answer->usage);
    if (answer->usage.sum_mismatch || answer->usage.clamped) context_.note("usage", "mismatch");
    outcome.status = status;
    outcome.complete = true;
    outcome.form = pipeline::AnswerForm::kJson;
    outcome.usage = answer->usage.usage;
    outcome.usage_state = answer->usage.state;
    outcome.model_reported = answer->model;
    const bool packed = embed_ && embed_->base64;
    // What stages keep is in OpenAI's form.
    std::string told;
    if (dialect_ == Dialect::kOpenAiChat || context_.capture_bytes > 0)
        told = wire::openai::write_embed_answer(*answer, answer_for(), packed);
    if (told.size() <= context_.capture_bytes && !unreadable_) outcome.captured = told;
    settle(outcome, ledger::EndState::kOk);
    std::string_view text = told;
    const bool predicts = provider.dialect == Dialect::kGemini && provider.tokens != nullptr;
    std::string own;
    if (provider.dialect == dialect_ && !predicts) {
        text = *body;
    } else if (dialect_ != Dialect::kOpenAiChat) {
        own = wire::gemini::write_embed_answer(*answer, embed_->list);
        text = own;
    }
    co_await exchange_.respond(status, answer_fields({}, true), text);
}

}  // namespace leeway::app
