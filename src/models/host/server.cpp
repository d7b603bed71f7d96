#include "models/host/server.hpp"

#include "base/ids.hpp"
#include "json/write.hpp"
#include "models/embed/fingerprint.hpp"
#include "models/host/chat_mailbox.hpp"
#include "models/host/chat_render.hpp"
#include "models/loop_wait.hpp"
#include "wire/openai/error.hpp"
#include "wire/openai/models_list.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <utility>

namespace leeway::models {
namespace {

constexpr std::int64_t kUsPerSecond = 1'000'000;
// What a slow client may leave unread; the sockets hold more.
constexpr std::size_t kStreamLimit = std::size_t{1} << 20U;
// A buffered answer is bounded by the model's context; this is only a stop.
constexpr std::size_t kBufferLimit = std::size_t{64} << 20U;

/// The gateway sets the limits of time and hangs up; here is only the end of all patience.
constexpr net::Timeouts patience() {
    constexpr std::chrono::hours kLong{24};
    return {kLong, kLong, kLong, kLong};
}

Task<void> respond_json(net::Exchange& exchange, int status, std::string_view body) {
    const std::array<net::Field, 2> fields{net::Field{"content-type", "application/json"},
                                           net::Field{"retry-after", "1"}};
    const std::size_t count = status == http_status(ErrorCode::kUnavailable) ? 2 : 1;
    const std::span<const net::Field> used(fields.data(), count);
    co_await exchange.respond(status, used, body);
}

Task<void> refuse(net::Exchange& exchange, Error error) {
    if (error.code == ErrorCode::kClientGone) {
        exchange.break_off();
        co_return;
    }
    const std::string body = wire::openai::render_error(error);
    co_await respond_json(exchange, http_status(error.code), body);
}

/// A store's error as a client should see it: what is wrong on this machine is no fault of its request.
Error for_client(Error error, bool is_listed) {
    const bool local_fault =
        error.code == ErrorCode::kConfig || error.code == ErrorCode::kInternal ||
        error.code == ErrorCode::kForbidden || (error.code == ErrorCode::kNotFound && is_listed);
    if (local_fault) error.code = ErrorCode::kUnavailable;
    if (error.reason.empty()) {
        if (error.code == ErrorCode::kNotFound) error.reason = "model_not_found";
        if (error.code == ErrorCode::kUnavailable) error.reason = "model_load_failed";
    }
    if (error.param.empty()) error.param = "model";
    return error;
}

Error end_error(const ChatEnd& end) {
    if (end.error) return *end.error;
    return Error{ErrorCode::kUnavailable,
                 "the model host is stopping",
                 "send the request again",
                 {},
                 "shutting_down"};
}

bool failed(const ChatEnd& end) {
    return end.reason == FinishReason::kError || end.reason == FinishReason::kCanceled;
}

void add_usage(Usage& sum, const Usage& usage) {
    // All choices share one prompt, which is counted once.
    sum.prompt_tokens = usage.prompt_tokens;
    sum.cached_tokens = std::max(sum.cached_tokens, usage.cached_tokens);
    sum.completion_tokens += usage.completion_tokens;
}

}  // namespace

/// The jobs of one chat request and what came of them.
struct HostServer::ChatAnswer {
    ChatAnswer(net::EventLoop& loop, std::shared_ptr<Engine> e, net::Deadline& d,
               std::uint32_t choices, bool streamed, ChatRender r)
        : engine(std::move(e)),
          deadline(d),
          mailbox(
              std::make_shared<ChatMailbox>(loop, choices, streamed ? kStreamLimit : kBufferLimit)),
          jobs(std::make_shared<std::vector<JobId>>()),
          render(std::move(r)),
          open(choices) {
        mailbox->set_stop([weak = std::weak_ptr<Engine>(engine), ids = jobs] {
            const auto alive = weak.lock();
            if (!alive) return;
            for (const JobId id : *ids) alive->cancel(id);
        });
    }
    ~ChatAnswer() {
        // Ended jobs are unknown to the engine, so this stops only what nobody waits for any more.
        if (open == 0) return;
        for (const JobId id : *jobs) engine->cancel(id);
    }
    ChatAnswer(const ChatAnswer&) = delete;
    ChatAnswer& operator=(const ChatAnswer&) = delete;

    std::shared_ptr<Engine> engine;
    net::Deadline& deadline;
    std::shared_ptr<ChatMailbox> mailbox;
    std::shared_ptr<std::vector<JobId>> jobs;
    ChatRender render;
    std::uint32_t open;  // choices that have not ended
    Usage usage;
    std::vector<ChatMailbox::Piece> pieces;
    std::optional<Error> error;

    /// Waits for the next pieces. False: the request was interrupted, or failed (`error`).
    Task<bool> next() {
        auto arrival = mailbox->arrival();
        if (!deadline.interrupted()) co_await arrival;
        if (deadline.interrupted()) {
            error = deadline.error();
            co_return false;
        }
        static_cast<void>(mailbox->take(pieces));
        if (mailbox->overflowed()) {
            error = Error{ErrorCode::kRequestTimeout,
                          "the answer was not read fast enough",
                          "read the stream while it comes",
                          {},
                          "slow_reader"};
            co_return false;
        }
        for (const ChatMailbox::Piece& piece : pieces) {
            if (!piece.end) continue;
            --open;
            add_usage(usage, piece.end->usage);
            if (failed(*piece.end) && !error) error = end_error(*piece.end);
        }
        co_return !error;
    }
};

HostServer::HostServer(net::EventLoop& loop, ModelStore& store)
    : loop_(loop), store_(store), created_(unix_now_us() / kUsPerSecond) {
    for (const ModelFacts& facts : store.list()) names_.push_back(facts.name);
}

std::string HostServer::render_error(const Error& error, std::string_view /*path*/) {
    return wire::openai::render_error(error);
}

bool HostServer::listed(std::string_view name) const {
    return std::find(names_.begin(), names_.end(), name) != names_.end();
}

Task<void> HostServer::handle(net::Exchange& exchange) {
    constexpr std::string_view kModels = "/v1/models";
    const std::string_view path = exchange.head().path;
    const bool is_chat = path == "/v1/chat/completions";
    const bool posts = is_chat || path == "/v1/embeddings";
    const bool gets = path == "/health" || path == kModels || path.starts_with("/v1/models/");
    if (!posts && !gets) {
        co_await refuse(exchange,
                        Error{ErrorCode::kNotFound,
                              fmt::format("there is no {} here", path.substr(0, 100)),
                              "POST /v1/chat/completions, POST /v1/embeddings, GET /v1/models",
                              {},
                              "unknown_url"});
        co_return;
    }
    const std::string_view method = exchange.head().method;
    if (posts ? method != "POST" : method != "GET" && method != "HEAD") {
        Error error{ErrorCode::kMethodNotAllowed,
                    fmt::format("{} takes {} requests only", path, posts ? "POST" : "GET"),
                    {},
                    {},
                    "method_not_supported"};
        co_await refuse(exchange, std::move(error));
        co_return;
    }
    if (is_chat) {
        co_await chat(exchange);
        co_return;
    }
    if (posts) {
        co_await embeddings(exchange);
        co_return;
    }
    std::string body;
    if (path == "/health") {
        body = health_json();
    } else {
        body = models_json(path.size() > kModels.size() ? path.substr(kModels.size() + 1)
                                                        : std::string_view());
    }
    if (body.empty()) {
        Error error{ErrorCode::kNotFound, "there is no such model",
                    "GET /v1/models lists what there is", "model", "model_not_found"};
        co_await refuse(exchange, std::move(error));
        co_return;
    }
    co_await respond_json(exchange, 200, body);
}

Task<Result<std::shared_ptr<Engine>>> HostServer::engine(const std::string& name,
                                                         net::Deadline& deadline) {
    if (deadline.interrupted()) co_return fail(deadline.error());
    if (auto there = store_.loaded(name)) co_return there;
    using Wait = LoopWait<Result<std::shared_ptr<Engine>>>;
    const auto wait = std::make_shared<Wait>(loop_);
    const net::Deadline::Guard guard(deadline, &Wait::interrupt, wait.get());
    ModelStore::Loaded done = [wait](Result<std::shared_ptr<Engine>> result) {
        wait->deliver(std::move(result));
    };
    store_.engine_async(name, std::move(done));
    Wait& awaited = *wait;
    co_await awaited;
    if (!wait->has_value()) co_return fail(deadline.error());
    auto result = wait->take();
    if (!result) co_return fail(for_client(std::move(result.error()), listed(name)));
    co_return result;
}

Result<void> HostServer::submit(ChatAnswer& answer, ChatRequest& request) {
    for (std::uint32_t choice = 0; choice < request.choices; ++choice) {
        ChatJob job;
        const bool last = choice + 1 == request.choices;
        job.messages = last ? std::move(request.messages) : request.messages;
        job.sampling = request.sampling;
        // Choices of one seed would all be the same.
        if (job.sampling.seed) *job.sampling.seed += choice;
        job.sink = answer.mailbox->sink(choice);
        auto id = answer.engine->submit_chat(std::move(job));
        if (!id) return fail(std::move(id.error()));
        answer.jobs->push_back(*id);
    }
    return {};
}

Task<void> HostServer::chat(net::Exchange& exchange) {
    auto body = co_await exchange.read_body();
    if (!body) {
        co_await refuse(exchange, std::move(body.error()));
        co_return;
    }
    auto request = parse_chat_request(*body);
    if (!request) {
        co_await refuse(exchange, std::move(request.error()));
        co_return;
    }
    net::Deadline deadline(loop_, patience());
    exchange.watch(deadline);
    auto ready = co_await engine(request->model, deadline);
    if (!ready) {
        exchange.unwatch();
        co_await refuse(exchange, std::move(ready.error()));
        co_return;
    }
    const std::int64_t now_us = unix_now_us();
    ChatRender render("chatcmpl-" + RequestId::make(now_us / 1000).text(), now_us / kUsPerSecond,
                      request->model, request->stream && request->include_usage,
                      request->wants_logprobs());
    ChatAnswer answer(loop_, std::move(*ready), deadline, request->choices, request->stream,
                      std::move(render));
    const net::Deadline::Guard guard(deadline, &ChatMailbox::interrupt, answer.mailbox.get());
    if (auto submitted = submit(answer, *request); !submitted) {
        exchange.unwatch();
        co_await refuse(exchange, std::move(submitted.error()));
        co_return;
    }
    if (request->stream) {
        co_await stream(exchange, answer);
    } else {
        co_await buffer(exchange, answer);
    }
    exchange.unwatch();
}

Task<void> HostServer::buffer(net::Exchange& exchange, ChatAnswer& answer) {
    std::vector<ChatChoice> choices(answer.open);
    while (answer.open != 0) {
        const bool good = co_await answer.next();
        if (!good) {
            exchange.unwatch();
            co_await refuse(exchange, *answer.error);
            co_return;
        }
        for (std::size_t i = 0; i < choices.size(); ++i) {
            ChatMailbox::Piece& piece = answer.pieces[i];
            choices[i].text += piece.text;
            std::move(piece.tokens.begin(), piece.tokens.end(),
                      std::back_inserter(choices[i].tokens));
            if (piece.end) choices[i].reason = piece.end->reason;
        }
    }
    const std::string body = answer.render.completion(choices, answer.usage);
    co_await respond_json(exchange, 200, body);
}

Task<void> HostServer::stream(net::Exchange& exchange, ChatAnswer& answer) {
    const std::array<net::Field, 2> fields{
        net::Field{"content-type", "text/event-stream; charset=utf-8"},
        net::Field{"cache-control", "no-cache"}};
    std::vector<bool> begun(answer.open);
    bool head_sent = false;
    std::string out;
    while (answer.open != 0) {
        const bool good = co_await answer.next();
        if (!good && !head_sent) {
            // Nothing was said yet, so the status can still tell the truth.
            exchange.unwatch();
            co_await refuse(exchange, *answer.error);
            co_return;
        }
        out.clear();
        for (std::uint32_t i = 0; good && i < answer.pieces.size(); ++i) {
            const ChatMailbox::Piece& piece = answer.pieces[i];
            if (piece.empty()) continue;
            if (!begun[i]) answer.render.role_chunk(out, i);
            begun[i] = true;
            if (!piece.text.empty() || !piece.tokens.empty()) {
                answer.render.content_chunk(out, i, piece.text, piece.tokens);
            }
            if (piece.end) answer.render.finish_chunk(out, i, piece.end->reason);
        }
        if (!good) {
            if (answer.error->code == ErrorCode::kClientGone) {
                exchange.break_off();
                co_return;
            }
            out = wire::openai::render_stream_error(*answer.error);
        } else if (answer.open == 0) {
            answer.render.usage_chunk(out, answer.usage);
            ChatRender::done(out);
        }
        if (!head_sent) {
            const bool begun_well = co_await exchange.begin_stream(200, fields);
            if (!begun_well) co_return;
            head_sent = true;
        }
        const std::array<std::string_view, 1> pieces{out};
        const bool sent = co_await exchange.send(pieces);
        if (!sent) co_return;
        if (!good) break;
    }
    co_await exchange.end_stream();
}

Task<void> HostServer::embeddings(net::Exchange& exchange) {
    auto body = co_await exchange.read_body();
    if (!body) {
        co_await refuse(exchange, std::move(body.error()));
        co_return;
    }
    auto request = parse_embed_request(*body);
    if (!request) {
        co_await refuse(exchange, std::move(request.error()));
        co_return;
    }
    net::Deadline deadline(loop_, patience());
    exchange.watch(deadline);
    auto ready = co_await engine(request->model, deadline);
    if (!ready) {
        exchange.unwatch();
        co_await refuse(exchange, std::move(ready.error()));
        co_return;
    }
    const std::shared_ptr<Engine> model = std::move(*ready);
    const std::uint32_t dimension = model->info().dimension;
    if (request->dimensions && *request->dimensions != dimension) {
        Error error{
            ErrorCode::kInvalidRequest,
            fmt::format("Invalid 'dimensions': this model's vectors have {} values and cannot "
                        "be shortened.",
                        dimension),
            {},
            "dimensions",
            "invalid_value"};
        exchange.unwatch();
        co_await refuse(exchange, std::move(error));
        co_return;
    }
    using Wait = LoopWait<Result<Embeddings>>;
    const auto wait = std::make_shared<Wait>(loop_);
    const net::Deadline::Guard guard(deadline, &Wait::interrupt, wait.get());
    const EngineInfo& info = model->info();
    EmbedJob job;
    job.texts = std::move(request->texts);
    if (request->truncate) {
        job.truncate_tokens = info.context_tokens;
        for (std::string& text : job.texts)
            text.resize(cut_for_embedding(text, info.context_tokens).size());
    }
    job.done = [wait](Result<Embeddings> result) {
        wait->deliver(std::move(result));
    };
    auto id = model->submit_embeddings(std::move(job));
    if (!id) {
        exchange.unwatch();
        co_await refuse(exchange, std::move(id.error()));
        co_return;
    }
    Wait& awaited = *wait;
    co_await awaited;
    exchange.unwatch();
    if (!wait->has_value()) {
        model->cancel(*id);
        co_await refuse(exchange, deadline.error());
        co_return;
    }
    auto result = wait->take();
    if (!result) {
        co_await refuse(exchange, std::move(result.error()));
        co_return;
    }
    const std::string out = render_embeddings(*result, request->model, request->base64);
    const std::string print = file_fingerprint(info.file_sha256, dimension, info.context_tokens);
    const std::array<net::Field, 2> fields{net::Field{"content-type", "application/json"},
                                           net::Field{kFingerprintField, print}};
    co_await exchange.respond(200, fields, out);
}

std::string HostServer::models_json(std::string_view id) const {
    if (!id.empty()) {
        if (!listed(id)) return {};
        return wire::openai::render_model({std::string(id), created_, "leeway"});
    }
    std::vector<wire::openai::ModelEntry> entries;
    entries.reserve(names_.size());
    for (const std::string& name : names_) entries.push_back({name, created_, "leeway"});
    return wire::openai::render_models(entries);
}

std::string HostServer::health_json() const {
    std::string out;
    json::Writer writer(out);
    writer.object().key("status").string("ok").key("models").array();
    for (const std::string& name : names_) {
        const auto model = store_.loaded(name);
        writer.object().key("name").string(name).key("loaded").boolean(model != nullptr);
        if (model) {
            const EngineStats stats = model->stats();
            const auto count = [&](const char* key, std::uint64_t value) {
                writer.key(key).integer(static_cast<std::int64_t>(value));
            };
            count("prompt_tokens", stats.prompt_tokens);
            count("cached_tokens", stats.cached_tokens);
            count("completion_tokens", stats.completion_tokens);
            count("embedded_texts", stats.embedded_texts);
            count("jobs_done", stats.jobs_done);
            count("preempted", stats.preempted);
            count("waiting", stats.waiting);
            count("running", stats.running);
        }
        writer.close_object();
    }
    writer.close_array().close_object();
    return out;
}

}  // namespace leeway::models
