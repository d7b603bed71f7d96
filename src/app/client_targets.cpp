#include "app/client_leg.hpp"
#include "base/hash.hpp"
#include "base/random.hpp"
#include "guard/auth/key_directory.hpp"
#include "providers/rate_hint.hpp"

#include <algorithm>
#include <utility>

namespace leeway::app {
namespace {

std::int64_t whole_seconds(Duration wait) noexcept {
    constexpr std::int64_t kSecond = Duration(std::chrono::seconds(1)).count();
    return std::max<std::int64_t>((wait.count() + kSecond - 1) / kSecond, 1);
}

}  // namespace

/// Where a model can be asked, best first.
std::vector<const pipeline::Model*> ClientRequest::places(const pipeline::Model& model) const {
    if (model.targets.empty()) return {&model};
    // Where a session's earlier requests went, or others that begin with the same text, the
    // provider has their prompt in its cache. What is shorter than this is not kept there.
    constexpr std::size_t kPrefix = 1024;
    std::string_view common = context_.dimensions.session;
    if (common.empty()) common = context_.view.messages.in(context_.body).substr(0, kPrefix);
    return snapshot_->places(model, checksum64(common));
}

/// Who is asked next; null: all were. Nearly all requests end at the first, so the others are not looked for before.
const pipeline::Model* ClientRequest::next_target(Course& course) const {
    if (course.next == 0 && course.chosen->targets.empty() && holder_.empty()) {
        course.next = 1;
        return course.chosen;
    }
    if (course.targets.empty()) course.targets = targets(*course.chosen);
    return course.next < course.targets.size() ? course.targets[course.next++] : nullptr;
}

/// The places of the chosen model, and then those of the models that may stand in for it.
std::vector<const pipeline::Model*> ClientRequest::targets(const pipeline::Model& chosen) const {
    std::vector<const pipeline::Model*> out = places_and_fallbacks(chosen);
    if (!holder_.empty()) {
        // Only the provider that keeps a conversation can continue it.
        std::erase_if(
            out, [&](const pipeline::Model* model) { return model->provider_name != holder_; });
    }
    return out;
}

std::vector<const pipeline::Model*> ClientRequest::places_and_fallbacks(
    const pipeline::Model& chosen) const {
    std::vector<const pipeline::Model*> out = places(chosen);
    if (context_.held_out) return out;  // shows what there is without us
    if (context_.trial.weak != nullptr) return out;  // the strong model stands in for it
    const auto* key = static_cast<const guard::auth::KeySpec*>(context_.key);
    const bool routed = context_.route != nullptr && !context_.route->fallbacks.empty();
    for (const pipeline::Model* model : routed ? context_.route->fallbacks : chosen.fallbacks) {
        if (model == &chosen || (key != nullptr && !key->may_use_model(model->name))) continue;
        if (context_.local_only && !model->local) continue;
        // Vectors of different models cannot be compared with each other.
        if (context_.endpoint == pipeline::Endpoint::kEmbeddings &&
            model->upstream_name != chosen.upstream_name)
            continue;
        for (const pipeline::Model* place : places(*model)) out.push_back(place);
    }
    return out;
}

bool ClientRequest::may_answer(const pipeline::Model& model) const {
    const auto* key = static_cast<const guard::auth::KeySpec*>(context_.key);
    if (key != nullptr && !key->may_use_model(model.name)) return false;
    if (holder_.empty()) return true;
    const std::vector<const pipeline::Model*> where = places(model);
    return std::any_of(where.begin(), where.end(), [&](const pipeline::Model* place) {
        return place->provider_name == holder_;
    });
}

/// Whether `context_.model` can be asked now; if not, `failure` says why.
bool ClientRequest::available(Pass& pass, std::optional<Failure>& failure) {
    const pipeline::Model& model = *context_.model;
    if (!model.disabled.empty()) {
        cannot_be_asked(failure,
                        {ErrorCode::kUnavailable,
                         "The model '" + model.name + "' cannot be used: " + model.disabled,
                         {},
                         "model",
                         "provider_disabled"},
                        0);
        return false;
    }
    providers::Breaker* breaker = snapshot_->breaker(model);
    if (breaker == nullptr) return true;
    using Bar = providers::Breaker::Bar;
    const TimePoint now = monotonic_now();
    auto bar = Bar::kNone;
    if (auto let = breaker->admit(now, &bar)) {
        pass.emplace(std::move(*let));
        return true;
    }
    const Duration wait = breaker->wait(now);
    Error error{ErrorCode::kUnavailable,
                "The model '" + model.name + "' is not asked for a moment: its last calls failed.",
                "try again when Retry-After says", "model", "upstream_unwell"};
    if (bar == Bar::kHeld) {
        error.code = ErrorCode::kRateLimited;
        error.message = "The model '" + model.name +
                        "' is not asked for a moment: our rate limit at its provider is reached.";
        error.reason = "upstream_limited";
    } else if (bar == Bar::kFull) {
        error.code = ErrorCode::kRateLimited;
        error.message =
            "As many calls of the model '" + model.name + "' are under way as its provider gets.";
        error.reason = "upstream_busy";
    }
    cannot_be_asked(failure, std::move(error), whole_seconds(wait));
    if (bar == Bar::kHeld) failure->held = wait;
    return false;
}

/// Where nobody else can be asked, a short rest of a target is waited for. False: it cannot be asked after all.
Task<bool> ClientRequest::wait_for_limit(const Course& course, Pass& pass,
                                         std::optional<Failure>& failure) {
    if (on_trial()) co_return false;  // the strong model stands in for it
    const providers::RetryPolicy& retries = snapshot_->provider(*context_.model).retries;
    const bool last = course.targets.empty() ? targets(*course.chosen).size() <= 1
                                             : course.next >= course.targets.size();
    // A little later than told, as others wait for the same moment.
    const Duration wait = *failure->held + providers::backoff(retries, 0, fast_random()) / 4;
    if (!last || wait > retries.cap || wait >= deadline_->remaining()) co_return false;
    const bool goes_on = co_await pause(wait);
    if (!goes_on) co_return false;
    failure.reset();
    co_return available(pass, failure);
}

void ClientRequest::cannot_be_asked(std::optional<Failure>& failure, Error error,
                                    std::int64_t retry_after_s) const {
    failure.emplace();
    failure->model = context_.model;
    failure->error = std::move(error);
    failure->retry_after_s = retry_after_s;
}

/// Whether something must be there before `model` can be asked: a token for its provider, or the process that runs it.
bool ClientRequest::needs_readiness(const pipeline::Model& model) const {
    const providers::Provider& provider = snapshot_->provider(model);
    return provider.tokens != nullptr || provider.kind == providers::Kind::kEmbedded;
}

Task<bool> ClientRequest::wait_ready(std::optional<Failure>& failure) {
    const providers::Provider& provider = snapshot_->provider(*context_.model);
    Result<void> ready;
    if (provider.tokens != nullptr) {
        ready = co_await provider.tokens->wait_ready(worker_.loop, *deadline_);
    } else {
        ready = co_await snapshot_->models()->wait_ready(worker_.loop, *deadline_);
    }
    if (!ready) cannot_be_asked(failure, std::move(ready.error()), 1);
    co_return ready.has_value();
}

/// A target that says that our limit there is used up is left alone until it has recovered.
void ClientRequest::learn_limits(const pipeline::Model& model,
                                 const net::ResponseHead& head) const {
    providers::Breaker* breaker = snapshot_->breaker(model);
    if (breaker == nullptr) return;
    if (const auto rest = providers::rate_rest(head, unix_now_us()))
        breaker->hold(monotonic_now() + *rest);
}

}  // namespace leeway::app
