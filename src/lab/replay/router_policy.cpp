#include "lab/replay/router_policy.hpp"

#include "json/write.hpp"
#include "models/embedding.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>
#include <variant>

namespace leeway::lab {
namespace {

using router::in_usd;
using router::Prediction;

/// For a stage that never has to wait.
class AtOnce final : public Executor {
public:
    void post(std::function<void()> work) override { work(); }
};

Task<void> run_stage(pipeline::Stage& stage, pipeline::RequestContext& context,
                     std::optional<pipeline::Verdict>& verdict) {
    verdict.emplace(co_await stage.on_request(context));
}

std::string chat_of(std::string_view text) {
    std::string out;
    json::Writer(out)
        .object()
        .key("model")
        .string("m")
        .key("messages")
        .array()
        .object()
        .key("role")
        .string("user")
        .key("content")
        .string(text)
        .close_object()
        .close_array()
        .close_object();
    return out;
}

/// "small" of a choice by what is predicted ("small:q0.71,p0.30"), else with why ("small:no_evidence").
std::string word_of(const std::string& model, std::string_view note) {
    const std::string_view why = note.substr(model.size() + 1);
    if (why.starts_with('q')) return model;
    return model + ":" + std::string(why.substr(0, why.find(',')));
}

}  // namespace

class ReplayedRouter::Vectors final : public models::Embedder {
public:
    explicit Vectors(const router::LearnedRouter& router)
        : model_(std::make_shared<const models::EmbeddingModel>(
              models::EmbeddingModel{router.embedding_model(), router.fingerprint(),
                                     static_cast<std::uint32_t>(router.dimension())})) {}

    Task<Result<models::Embedded>> embed(std::string /*text*/, Executor& /*executor*/,
                                         Duration /*limit*/) override {
        if (request->vector.empty())
            co_return fail(ErrorCode::kUnavailable, "its vector was not recorded");
        models::Embedded out;
        out.vector = std::make_shared<const std::vector<float>>(request->vector.begin(),
                                                                request->vector.end());
        out.model = model_;
        co_return out;
    }
    [[nodiscard]] router::TextCues cues(std::string_view text) const {
        return request->cues ? *request->cues : router::cues_of(text);
    }

    const RecordedRequest* request = nullptr;  // that is decided on

private:
    std::shared_ptr<const models::EmbeddingModel> model_;
};

router::RouterUse ReplayedRouter::use_of(const RouterReplay& how) {
    router::RouterUse out;
    out.router = router_;
    models_.resize(router_->models());
    for (std::size_t m = 0; m < models_.size(); ++m) {
        names_.push_back(router_->model(m));
        models_[m].name = names_.back();
        out.models.push_back(&models_[m]);
    }
    out.own = reference_;
    out.route = how.route;
    out.embedder = vectors_.get();
    out.memory = &memory_;
    out.cues = [vectors = vectors_.get()](std::string_view text) {
        return vectors->cues(text);
    };
    return out;
}

ReplayedRouter::ReplayedRouter(router::RouterFile file, const RouterReplay& how)
    : router_(std::make_shared<const router::LearnedRouter>(std::move(file), how.spending)),
      reference_(how.reference),
      vectors_(std::make_unique<Vectors>(*router_)),
      stage_(use_of(how)) {}

ReplayedRouter::~ReplayedRouter() = default;

std::vector<ReplaySignals> ReplayedRouter::signals_of(const RecordedRequest& request) const {
    std::vector<ReplaySignals> out(models_.size());
    if (request.vector.size() != router_->dimension()) return out;
    const std::vector<Prediction> told =
        router_->predict(request.vector, vectors_->cues(request.text));
    // Whoever chose among the models of a recording had reasons like ours.
    const double lambda = router_->policy().trades[router_->mixture().first].lambda;
    const auto value = [&](std::size_t m) {
        return static_cast<double>(told[m].quality) - lambda * in_usd(told[m].cost);
    };
    for (std::size_t m = 0; m < told.size(); ++m) {
        double other = -std::numeric_limits<double>::infinity();
        for (std::size_t k = 0; k < told.size(); ++k)
            if (k != m) other = std::max(other, value(k));
        constexpr double kLeastUsd = 1e-12;  // of amounts; has a logarithm
        out[m] = {.quality = static_cast<double>(told[m].quality),
                  .cost = std::log(std::max(in_usd(told[m].cost), kLeastUsd)),
                  .known = told.size() > 1 ? value(m) - other : 0};
    }
    return out;
}

std::optional<ReplayedDecision> ReplayedRouter::decide(const RecordedRequest& request) const {
    vectors_->request = &request;
    // Of a text that was not kept, the stage sees one that no other request has: something was said.
    const bool unseen = request.cues || (request.text.empty() && request.vector.empty());
    const std::string body = chat_of(unseen ? request.id.text() : std::string(request.text));
    auto view = wire::openai::parse_request(pipeline::Endpoint::kChatCompletions, body);
    if (!view) return std::nullopt;
    AtOnce executor;
    pipeline::RequestContext context;
    context.id = request.id;
    context.body = body;
    context.view = std::move(*view);
    context.model = &models_[reference_];
    context.executor = &executor;
    std::optional<pipeline::Verdict> verdict;
    spawn(run_stage(stage_, context, verdict), [](const std::exception_ptr&) noexcept {});
    if (!verdict) return std::nullopt;
    ReplayedDecision out;
    if (const auto* to = std::get_if<pipeline::Retarget>(&*verdict)) {
        out.asked = {static_cast<std::size_t>(to->model - models_.data())};
        out.why = word_of(to->model->name,
                          std::string_view(context.notes).substr(context.notes.find('=') + 1));
    } else if (const auto* failed = std::get_if<pipeline::Failed>(&*verdict);
               failed != nullptr && failed->error.reason == "no_text") {
        out.asked = {reference_};
        out.why = failed->error.reason;
    } else {
        return std::nullopt;
    }
    out.signals = signals_of(request);
    return out;
}

}  // namespace leeway::lab
