#include "app/client_request.hpp"

#include "app/config_values.hpp"
#include "base/clock.hpp"
#include "base/hash.hpp"
#include "base/strings.hpp"
#include "guard/auth/key_directory.hpp"
#include "methods/agent_cache/answer_judge.hpp"
#include "wire/openai/request_view.hpp"

namespace leeway::app {
namespace {

/// A number below a million that depends on the route's name and the request's id only: who has both can
/// draw again.
std::uint32_t draw(std::string_view route, const RequestId& id) {
    std::string text(route);
    text.append(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
    return static_cast<std::uint32_t>(checksum64(text) % 1'000'000);
}

/// "2500ms", "2.5s", "1m", or a number of seconds. nullopt: nothing that can be read, or no time at all.
std::optional<std::chrono::milliseconds> read_timeout(std::string_view text) {
    std::string_view number = trim(text);
    std::uint64_t unit_ms = 1000;
    for (const auto& [suffix, ms] :
         {std::pair<std::string_view, std::uint64_t>{"ms", 1}, {"s", 1000}, {"m", 60'000}}) {
        if (!number.ends_with(suffix)) continue;
        number.remove_suffix(suffix.size());
        unit_ms = ms;
        break;
    }
    const std::size_t dot = number.find('.');
    const auto whole = parse_u64(number.substr(0, dot));
    constexpr std::uint64_t kMost = 31'536'000;
    if (!whole || *whole > kMost) return std::nullopt;
    std::uint64_t ms = *whole * unit_ms;
    if (dot != std::string_view::npos) {
        std::string thousandths(number.substr(dot + 1, 3));
        if (thousandths.empty() ||
            number.substr(dot + 1).find_first_not_of("0123456789") != std::string_view::npos)
            return std::nullopt;
        thousandths.resize(3, '0');
        ms += parse_u64(thousandths).value_or(0) * unit_ms / 1000;
    }
    if (ms == 0) return std::nullopt;
    return std::chrono::milliseconds(ms);
}

ledger::Source source_of(pipeline::AnswerOrigin origin) {
    switch (origin) {
        case pipeline::AnswerOrigin::kExactCache: break;
        case pipeline::AnswerOrigin::kSemanticCache: return ledger::Source::kSemanticCache;
        case pipeline::AnswerOrigin::kGateway: return ledger::Source::kGateway;
    }
    return ledger::Source::kExactCache;
}

}  // namespace

ClientRequest::ClientRequest(WorkerState& worker, net::Exchange& exchange,
                             pipeline::Endpoint endpoint, wire::Dialect dialect)
    : worker_(worker),
      exchange_(exchange),
      dialect_(dialect),
      snapshot_(worker.snapshot),
      runner_(snapshot_->mandatory(), context_, worker.metrics) {
    context_.arrived_unix_us = unix_now_us();
    context_.id = RequestId::make(context_.arrived_unix_us / 1000);
    context_.endpoint = endpoint;
    context_.headers = this;
    context_.executor = &worker.loop;
    context_.interruption = this;
    context_.asker = this;
    context_.loopback_only = snapshot_->loopback_only();
}

std::optional<std::string_view> ClientRequest::header(std::string_view name) const {
    return exchange_.head().fields.find(name);
}

std::optional<std::string_view> ClientRequest::query(std::string_view name) const {
    for (std::string_view rest = exchange_.head().query; !rest.empty();) {
        const std::string_view one = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(one.size() + 1, rest.size()));
        if (one.size() > name.size() && one.starts_with(name) && one[name.size()] == '=') {
            return one.substr(name.size() + 1);
        }
    }
    return std::nullopt;
}

void ClientRequest::on_interrupt(void (*callback)(void*), void* context) {
    stage_guard_.reset();
    if (callback != nullptr && deadline_) stage_guard_.emplace(*deadline_, callback, context);
}

Task<void> ClientRequest::run() {
    const bool let_in = co_await authenticate();
    if (!let_in) co_return;
    auto read = co_await read_request();
    if (!read) {
        Error error = std::move(read.error());
        const bool passing = error.code == ErrorCode::kUnavailable;  // no memory for it, or the end
        co_await refuse(std::move(error), passing ? 1 : 0);
        co_return;
    }
    if (auto limited = limit_request()) {
        co_await refuse(std::move(limited->error), limited->retry_after_s);
        co_return;
    }
    exchange_.watch(*deadline_);
    if (recorder_ != nullptr) {
        const bool over = co_await replay();
        if (over) co_return;
    }
    pipeline::Verdict verdict = co_await runner_.on_request();
    stage_guard_.reset();
    check_trial();
    // The key's rights were judged by the model that it asked; a stage may have named another.
    const auto* key = static_cast<const guard::auth::KeySpec*>(context_.key);
    const bool goes_on = std::holds_alternative<pipeline::Continue>(verdict);
    if (goes_on && key != nullptr && !key->may_use_model(context_.model->name)) {
        Error error{ErrorCode::kForbidden,
                    "Key '" + key->name + "' may not use model '" + context_.model->name + "'.",
                    {},
                    {},
                    "model_not_allowed"};
        verdict = pipeline::Reject{std::move(error)};
    }
    if (goes_on && compares())
        context_.capture_bytes = std::max(context_.capture_bytes, agent_cache::kMostCompared);
    co_await follow(std::move(verdict));
    if (replay_lease_) keep_for_replay();
    if (!unembedded_.empty()) co_await keep_vector();
    if (context_.route != nullptr && context_.route->shadow != nullptr) start_shadow();
    for (pipeline::LaterCall& call : context_.later)
        worker_.shadows.start(worker_, snapshot_, context_.id, context_.route->name,
                              std::move(call));
}

/// How long the caller waits for all of its answer, as it says. `x-stainless-timeout` is what OpenAI's and Anthropic's
/// SDKs wait for the next byte: all of an answer that comes at once, no more than a part of a stream.
std::optional<std::chrono::milliseconds> ClientRequest::wished_total() const {
    if (const auto told = header("x-leeway-timeout")) return read_timeout(*told);
    if (context_.view.stream) return std::nullopt;
    // An SDK that tells its own limit gives up by itself then. Its caller shall see that, not an answer of ours that comes
    // just before.
    constexpr std::chrono::milliseconds kAfterThem{250};
    for (const char* name : {"x-stainless-timeout", "x-stainless-read-timeout"}) {
        const auto told = header(name);
        if (!told) continue;
        const auto limit = read_timeout(*told);
        return limit ? std::optional(*limit + kAfterThem) : std::nullopt;
    }
    return std::nullopt;
}

Task<bool> ClientRequest::authenticate() {
    pipeline::Verdict verdict = runner_.on_head();
    auto* reject = std::get_if<pipeline::Reject>(&verdict);
    if (reject != nullptr) {
        co_await refuse(std::move(reject->error), reject->retry_after_s);
        co_return false;
    }
    auto limited = limit_caller();
    if (!limited) co_return true;
    co_await refuse(std::move(limited->error), limited->retry_after_s);
    co_return false;
}

Task<Result<void>> ClientRequest::read_request() {
    auto body = co_await exchange_.read_body();
    if (!body) co_return fail(std::move(body.error()));
    context_.body = *body;
    if (dialect_ != wire::Dialect::kOpenAiChat) {
        auto chat = take_in(*body);
        if (!chat) co_return fail(std::move(chat.error()));
        context_.body = *chat;
    }
    auto view = wire::openai::parse_request(context_.endpoint, context_.body);
    if (!view) co_return fail(std::move(view.error()));
    context_.view = std::move(*view);
    if (!snapshot_->resolve(context_.view.model, context_)) {
        co_return fail(Error{ErrorCode::kNotFound,
                             "The model '" + context_.view.model + "' does not exist.",
                             "GET /v1/models lists what there is", "model", "model_not_found"});
    }
    if (auto read = read_wait(); !read) co_return read;
    resolved_ = true;
    context_.dimensions = pipeline::read_dimensions(*this, context_.view, context_.body);
    draw_arm();
    net::Timeouts limits = snapshot_->provider(*context_.model).origin.timeouts;
    if (const auto wish = wished_total()) limits.total = std::min(limits.total, *wish);
    deadline_.emplace(worker_.loop, limits);
    co_return Result<void>();
}

/// How long its caller can wait, where it says so.
Result<void> ClientRequest::read_wait() {
    const auto text = header("x-leeway-wait");
    if (!text) return {};
    const auto wait = parse_duration(trim(*text));
    if (!wait) {
        return fail(Error{ErrorCode::kInvalidRequest,
                          "The header x-leeway-wait is no duration: " + wait.error().message,
                          "such as 30s, 10m or 24h",
                          {},
                          "invalid_value"});
    }
    caller_wait_ = *wait;
    return {};
}

void ClientRequest::take_dimensions() {
    context_.dimensions = pipeline::read_dimensions(*this, context_.view, {});
}

// Some requests are answered as if we were not there, to measure what we save. Only those are drawn that
// could be: a caller whose key may not use the baseline's model is never sent to it.
void ClientRequest::draw_arm() {
    const pipeline::Route* route = context_.route;
    if (route == nullptr || route->holdout_ppm == 0) return;
    if (route->target != nullptr && route->baseline != nullptr) {
        const auto* spec = static_cast<const guard::auth::KeySpec*>(context_.key);
        if (!route->baseline->disabled.empty()) return;
        if (spec != nullptr && !spec->may_use_model(route->baseline->name)) return;
    }
    context_.held_out = draw(route->name, context_.id) < route->holdout_ppm;
    record_.arm = context_.held_out ? ledger::Arm::kHeldOut : ledger::Arm::kTreated;
}

Task<void> ClientRequest::follow(pipeline::Verdict verdict) {
    if (auto* reject = std::get_if<pipeline::Reject>(&verdict)) {
        co_await refuse(std::move(reject->error), reject->retry_after_s);
    } else if (auto* respond = std::get_if<pipeline::Respond>(&verdict)) {
        co_await deliver_stage_answer(std::move(respond->answer));
    } else {
        if (context_.held_out) {
            context_.note("holdout", "drawn");
            // After the stages that every request passes: the key's rights were judged by the model asked.
            const pipeline::Route& route = *context_.route;
            const bool stays = context_.local_only && !(route.baseline && route.baseline->local);
            if (route.target != nullptr && route.baseline != nullptr && !stays)
                context_.model = route.baseline;
        }
        if (auto lost = no_holder()) {
            co_await refuse(std::move(lost->error));
            co_return;
        }
        const bool waits = gathers();
        if (waits) {
            co_await gather();
        } else {
            co_await forward();
        }
    }
}

Task<void> ClientRequest::refuse(Error error, std::int64_t retry_after_s, int status) {
    pipeline::Outcome outcome;
    outcome.status = status > 0 ? status : http_status(error.code);
    record_.error = error.reason;
    if (record_.attempts.empty()) record_.source = ledger::Source::kGateway;
    settle(outcome, end_of(error));
    const std::string body = wire::codec_of(dialect_).write_error(error);
    const auto base = answer_fields("application/json", true);
    std::vector<net::Field> fields(base.begin(), base.end());
    const std::string retry_after = std::to_string(retry_after_s);
    if (retry_after_s > 0) fields.push_back({"retry-after", retry_after});
    if (status == 409) fields.push_back({"x-should-retry", "false"});
    if (error.code == ErrorCode::kUnauthenticated) fields.push_back({"www-authenticate", "Bearer"});
    co_await exchange_.respond(outcome.status, fields, body);
}

Task<void> ClientRequest::deliver_stage_answer(pipeline::StageAnswer answer) {
    const auto told = in_callers_dialect(std::move(answer));
    if (!told) {
        co_await refuse(told.error());
        co_return;
    }
    pipeline::Outcome outcome;
    outcome.from_stage = true;
    outcome.status = 200;
    outcome.form = told->form;
    outcome.usage = told->usage;
    outcome.usage_state = told->usage_state;
    outcome.finish_reason = told->finish_reason;
    record_.source = source_of(told->origin);
    settle(outcome, ledger::EndState::kOk);
    co_await send_whole(*told);
}

/// The caller's own dialect already.
Task<void> ClientRequest::send_whole(const pipeline::StageAnswer& answer) {
    if (answer.form == pipeline::AnswerForm::kJson) {
        co_await exchange_.respond(200, answer_fields("application/json", true), *answer.body);
        co_return;
    }
    const bool begun = co_await exchange_.begin_stream(200, answer_fields(stream_type(), true));
    if (!begun) co_return;
    const std::array<std::string_view, 1> pieces{*answer.body};
    const bool sent = co_await exchange_.send(pieces);
    if (sent) co_await exchange_.end_stream();
}

}  // namespace leeway::app
