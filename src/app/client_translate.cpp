#include "app/answer_meter.hpp"
#include "app/client_request.hpp"
#include "app/request_target.hpp"
#include "base/strings.hpp"
#include "wire/canonical/with_model.hpp"
#include "wire/gemini/array_stream.hpp"
#include "wire/openai/chat_parts.hpp"
#include "wire/openai/request_edit.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace leeway::app {
namespace {

using wire::Dialect;
using Event = wire::StreamEvent::Kind;

/// What chat cannot say of an answer would be missing for the next caller of the cache.
bool says_more_than_chat(const wire::ChatAnswer& answer) {
    for (const wire::Choice& choice : answer.choices) {
        for (const wire::Part& part : choice.parts) {
            if (part.kind == wire::Part::Kind::kRedacted || !part.signature.empty()) return true;
        }
    }
    return false;
}

/// Calls must have ids that differ; Google's may have none.
void name_calls(wire::ChatAnswer& answer, std::string_view id) {
    std::size_t number = 0;
    for (wire::Choice& choice : answer.choices) {
        for (wire::Part& part : choice.parts) {
            if (part.kind != wire::Part::Kind::kToolCall) continue;
            if (part.id.empty()) part.id = fmt::format("call_{}_{}", id, number);
            ++number;
        }
    }
}

/// `body`, an object with members, with `tier` as one more; empty: as it is.
std::string with_tier(std::string body, std::string_view tier) {
    if (!tier.empty())
        body.insert(body.find('{') + 1, fmt::format(R"("service_tier":"{}",)", tier));
    return body;
}

/// A body of Responses with this limit on the answer instead of its own.
std::string with_limit(std::string body, std::optional<std::int64_t> tokens) {
    if (!tokens) return body;
    constexpr std::string_view kKey = "max_output_tokens";
    const wire::openai::Span own = wire::openai::find_member(body, kKey);
    if (own.present()) {
        body.replace(own.offset, own.length, std::to_string(*tokens));
    } else {
        body.insert(body.find('{') + 1, fmt::format("\"{}\":{},", kKey, *tokens));
    }
    return body;
}

}  // namespace

/// A stream on its way from one dialect to another, or, where both are the same, as it is.
struct ClientRequest::Translation {
    Translation(const TokenRule& rule, tokens::Tokenizer* tokenizer) : meter(rule, tokenizer) {}
    std::unique_ptr<wire::openai::EventScanner> scanner;
    std::unique_ptr<wire::StreamReader> reader;
    std::unique_ptr<wire::StreamWriter> writer;  ///< null: the bytes go on as they came
    std::unique_ptr<wire::StreamWriter> kept;  ///< for a stage that wants the answer; may be null
    std::string captured;
    AnswerMeter meter;
    std::vector<wire::StreamEvent> events;
    std::string out;
    std::optional<wire::gemini::ArrayWriter> array;  ///< for a caller that takes no events
    wire::usage::UsageReading usage;
    std::string id;  ///< as the provider calls the answer
    std::string model;
    wire::StopReason stop = wire::StopReason::kUnset;
    std::size_t calls = 0;
    bool ended = false;  // the last event has come
    bool failed = false;  // the upstream told an error in the stream
    bool stopped = false;  // more has come than was reserved
    bool no_store = false;
    bool sums_logprobs = false;
    std::optional<Error> broken;
};

/// For an upstream of the caller's own dialect.
std::string ClientRequest::body_as_it_came() const {
    if (dialect_ == Dialect::kGemini || context_.view.model == context_.model->upstream_name)
        return with_tier(std::string(original_), context_.tier_word);
    return with_tier(wire::with_model(original_, context_.model->upstream_name),
                     context_.tier_word);
}

/// The body that stages see, with their changes.
Result<std::string> ClientRequest::edited_body() const {
    json::Splice splice(context_.body);
    for (const auto& edit : context_.edits()) {
        if (auto added = splice.add(edit.change); !added) return fail(std::move(added.error()));
    }
    return splice.str();
}

/// `request_` is the request in no dialect, as stages left it.
Result<void> ClientRequest::read_chat() {
    const bool has_edits = !context_.edits().empty();
    if (request_ && !has_edits) return {};
    std::string edited;
    if (has_edits) {
        auto body = edited_body();
        if (!body) return fail(std::move(body.error()));
        edited = std::move(*body);
    }
    auto read = wire::codec_of(Dialect::kOpenAiChat)
                    .read_request(has_edits ? std::string_view(edited) : context_.body);
    if (!read) return fail(std::move(read.error()));
    if (request_) {
        // All that stages change by now: the limit on the answer, and messages that are added.
        request_->max_tokens = read->max_tokens;
        if (auto taken = take_added_messages(*read); !taken) return taken;
    } else {
        request_ = std::move(*read);
        message_added_ = true;
    }
    return {};
}

/// `chat`, whose caller names no class of service where we do, in the provider's words.
Result<std::string> ClientRequest::in_words_of(const providers::Provider& provider,
                                               wire::ChatRequest& chat) {
    const bool ours = !context_.tier_word.empty();
    if (ours) chat.service_tier = context_.tier_word;
    wire::Losses losses;
    auto body =
        wire::upstream_codec_of(provider.dialect)
            .write_request(chat, request_target(provider, context_.model->upstream_name), losses);
    if (ours) chat.service_tier.clear();  // another attempt may go to one that knows no tiers
    tell_losses(losses);
    return body;
}

/// The body for an upstream of another dialect, or of the caller's own that is not chat.
Result<std::string> ClientRequest::upstream_body(const providers::Provider& provider) {
    if (context_.endpoint == pipeline::Endpoint::kEmbeddings) return embedding_body(provider);
    if (context_.endpoint != pipeline::Endpoint::kChatCompletions) {
        return fail(Error{ErrorCode::kInvalidRequest,
                          fmt::format("Provider '{}' gives no {} here.", provider.name,
                                      wire::openai::to_string(context_.endpoint)),
                          "ask a model of a provider with dialect openai", "model",
                          "untranslatable"});
    }
    const bool same = provider.dialect == dialect_;
    const bool has_edits = !context_.edits().empty();
    if (!holder_.empty() && !(same && provider.name == holder_)) return fail(out_of_reach());
    if (same && !has_edits) return body_as_it_came();
    const std::string& model = context_.model->upstream_name;
    const bool as_openai =
        provider.dialect == Dialect::kOpenAiChat && provider.quirks == wire::kOpenAiQuirks;
    if (chat_is_whole_ && as_openai && !has_edits && context_.tier_word.empty())
        return context_.view.model == model ? chat_body_ : wire::with_model(chat_body_, model);
    if (auto read = read_chat(); !read) return fail(std::move(read.error()));
    // What the provider keeps is named in words that no other dialect has.
    if (same && dialect_ == Dialect::kOpenAiResponses)
        return with_added_input(with_limit(body_as_it_came(), request_->max_tokens));
    if (unreadable_) return fail(*unreadable_);
    return in_words_of(provider, *request_);
}

void ClientRequest::tell_losses(const wire::Losses& losses) {
    losses_ = fmt::format("{}", fmt::join(losses.dropped, ","));
    // Names of a caller's fields come back in a header line.
    std::erase_if(losses_, [](char c) { return c < ' ' || c >= '\x7f'; });
}

/// Whether `context_.model` is asked for another class of service than the usual one, where its caller names none.
void ClientRequest::choose_tier(const providers::Provider& provider) {
    context_.tier_word = {};
    const pipeline::Route* route = context_.route;
    const bool by_route = route != nullptr && route->tier == prices::Tier::kFlex;
    prices::Tier tier = by_route ? route->tier : context_.model->tier;
    const bool own_wait = route != nullptr && route->flex_wait.count() > 0;
    const auto enough = own_wait ? route->flex_wait : context_.model->flex_wait;
    const bool can_wait = enough.count() > 0 && caller_wait_ >= enough;
    if (tier == prices::Tier::kStandard && can_wait) tier = prices::Tier::kFlex;
    if (tier == prices::Tier::kStandard) return;
    const bool known =
        provider.quirks.service_tier || provider.dialect == Dialect::kOpenAiResponses;
    if (!known || context_.held_out || context_.endpoint != pipeline::Endpoint::kChatCompletions)
        return;
    for (const std::string_view body : {context_.body, original_}) {
        if (!body.empty() && wire::openai::find_member(body, "service_tier").present()) return;
    }
    context_.tier_word = prices::to_string(tier);
}

/// The class of service that the body for this provider asks for: bills are by it unless the answer names another.
prices::Tier ClientRequest::tier_asked(const providers::Provider& provider) const {
    constexpr auto kStandard = prices::Tier::kStandard;
    if (provider.kind == providers::Kind::kEmbedded) return kStandard;  // ours knows no other
    // Those that have no word for the tiers of others are not told.
    const bool own_words = dialect_ == Dialect::kGemini && context_.edits().empty();
    const bool told = provider.dialect != Dialect::kAnthropic &&
                      provider.dialect != Dialect::kCohere &&
                      (provider.dialect != Dialect::kGemini || own_words);
    if (!context_.tier_word.empty()) return prices::tier_of(context_.tier_word).value_or(kStandard);
    return told ? context_.view.tier.value_or(kStandard) : kStandard;
}

/// The attempt under way ended with this answer.
void ClientRequest::end_with(int status, const wire::ChatAnswer& answer) {
    attempt_.finish_reason = wire::openai::finish_reason(answer.choices.front().stop);
    attempt_.model_reported = answer.model;
    end_attempt(status, ledger::EndState::kOk, answer.usage);
    if (answer.usage.sum_mismatch || answer.usage.clamped) context_.note("usage", "mismatch");
}

/// What stages and the ledger are told of a whole answer, which outlives `outcome`.
void ClientRequest::describe(const wire::ChatAnswer& answer, pipeline::Outcome& outcome) {
    outcome.complete = true;
    outcome.usage = answer.usage.usage;
    outcome.usage_state = answer.usage.state;
    outcome.finish_reason = wire::openai::finish_reason(answer.choices.front().stop);
    outcome.model_reported = answer.model;
}

Task<void> ClientRequest::deliver_translated(net::UpstreamCall& call,
                                             const providers::Provider& provider) {
    const int status = call.head().status;
    const bool same = provider.dialect == dialect_;
    const wire::UpstreamCodec& theirs = wire::upstream_codec_of(provider.dialect);
    const wire::Codec& ours = wire::codec_of(dialect_);
    pipeline::Outcome outcome;
    const auto body = co_await whole_answer(call, outcome);
    if (!body) co_return;
    outcome.status = status;
    std::string text;  // where it is not theirs as it came
    auto answer = theirs.read_answer(*body, provider.flavour);
    if (!answer) {
        end_attempt(status, ledger::EndState::kError);
        upstream_fields_.clear();
        co_await refuse(std::move(answer.error()));
        co_return;
    }
    name_calls(*answer, header_texts_[0]);
    outcome.form = pipeline::AnswerForm::kJson;
    if (keeps_outcome()) logprobs_.add(answer->choices.front().logprobs);
    end_with(status, *answer);
    describe(*answer, outcome);
    std::string captured;
    if (context_.capture_bytes > 0 && !unreadable_ && !says_more_than_chat(*answer)) {
        captured = wire::codec_of(Dialect::kOpenAiChat).write_answer(*answer, answer_for());
        if (captured.size() <= context_.capture_bytes) outcome.captured = captured;
    }
    if (same) {
        remember_held(answer->id, answer->usage);
    } else {
        if (!response_id_.empty()) answer->id.clear();
        text = ours.write_answer(*answer, answer_for());
        keep_response(text, pipeline::AnswerForm::kJson);
    }
    settle(outcome, ledger::EndState::kOk);
    const std::string_view told = same ? std::string_view(*body) : std::string_view(text);
    co_await exchange_.respond(status, answer_fields({}, true), told);
}

Task<void> ClientRequest::stream_translated(net::UpstreamCall& call,
                                            const providers::Provider& provider, Opening& opening) {
    const TokenRule& rule = snapshot_->token_rule(*context_.model);
    Translation work(rule, worker_.tokenizers.of(rule));
    const wire::UpstreamCodec& theirs = wire::upstream_codec_of(provider.dialect);
    work.scanner = theirs.scanner();
    work.reader = theirs.stream_reader(provider.flavour);
    // What a budget may stop goes on event by event, so that none is shown that was not paid for.
    // Log-probabilities that only we asked for do not pass through it.
    if (provider.dialect != dialect_ || opening.judged)
        work.writer = wire::codec_of(dialect_).stream_writer(answer_for());
    if (array_stream_) work.array.emplace();
    if (work.writer || array_stream_ || !opening.is_events) tell_content_type(stream_type());
    if (context_.capture_bytes > 0 && !unreadable_) {
        wire::AnswerFor whole = answer_for();
        whole.id = header_texts_[0];
        whole.include_usage = true;
        work.kept = wire::codec_of(Dialect::kOpenAiChat).stream_writer(whole);
    }
    work.no_store = opening.no_store;
    work.sums_logprobs = opening.judged && keeps_outcome();
    worker_.metrics.streams(1);
    std::optional<Error> broken;
    const bool begun = co_await exchange_.begin_stream(200, answer_fields({}, false));
    bool goes_on = begun || stays();
    Result<std::span<const std::string_view>> pieces = std::move(opening.first);
    while (goes_on) {
        if (!pieces) broken = std::move(pieces.error());
        if (!pieces || pieces->empty()) break;
        work.out.clear();
        for (const std::string_view piece : *pieces) translate(work, piece);
        if (work.stopped) {
            call.release();
            broken = passed_reservation();
            break;
        }
        if (work.broken) break;
        // A caller takes the last event for the end, so the row must be kept before it is sent.
        if (work.ended) settle_translation(work, ledger::EndState::kOk);
        if (!work.out.empty()) {
            frame(work);
            const std::array<std::string_view, 1> text{work.out};
            const bool sent = co_await exchange_.send(text);
            goes_on = sent || stays();
        }
        if (goes_on) pieces = co_await call.read_some();
    }
    worker_.metrics.streams(-1);
    if (!goes_on) {
        settle_translation(work, ledger::EndState::kClientGone);
        co_return;  // dropping the call stops the upstream
    }
    co_await finish_translation(work, std::move(broken));
}

/// Puts what is to be sent into the caller's form of stream.
void ClientRequest::frame(Translation& work) {
    if (!work.array) return;
    std::string elements;
    work.array->add(work.out, elements);
    work.out = std::move(elements);
}

void ClientRequest::follow_event(Translation& work, const wire::StreamEvent& event) {
    switch (event.kind) {
        case Event::kStart:
            work.id = event.id;
            work.model = event.model;
            break;
        case Event::kStop:
            if (event.choice == 0 || work.stop == wire::StopReason::kUnset) work.stop = event.stop;
            break;
        case Event::kUsage: work.usage = event.usage; break;
        case Event::kError: work.failed = true; break;
        case Event::kEnd: work.ended = true; break;
        case Event::kSignature:
        case Event::kRedacted: work.no_store = true; break;  // chat cannot say it
        default: work.meter.add(event); break;
    }
    if (work.kept) {
        work.kept->write(event, work.captured);
        if (work.captured.size() > context_.capture_bytes) work.kept.reset();
    }
    if (!work.writer) return;
    if (event.kind == Event::kStart && !response_id_.empty()) {
        wire::StreamEvent ours = event;
        ours.id.clear();
        work.writer->write(ours, work.out);
    } else {
        work.writer->write(event, work.out);
    }
}

void ClientRequest::translate(Translation& work, std::string_view bytes) {
    if (work.broken || work.stopped) return;
    work.scanner->feed(bytes);
    wire::openai::SseEvent event;
    for (;;) {
        auto more = work.scanner->next(event);
        if (!more) work.broken = std::move(more.error());
        if (!more || !*more) return;
        if (work.ended) continue;  // nothing is told behind the end
        if (work.sums_logprobs && event.has_data) logprobs_.add_answer(event.data);
        work.events.clear();
        if (auto read = work.reader->read(event, work.events); !read) {
            // What our side cannot read may still be an event of the caller's own dialect.
            if (work.writer) {
                work.broken = std::move(read.error());
                return;
            }
        }
        for (wire::StreamEvent& one : work.events) {
            if (one.kind == Event::kToolCall && one.id.empty())
                one.id = fmt::format("call_{}_{}", header_texts_[0], work.calls);
            if (one.kind == Event::kToolCall) ++work.calls;
            follow_event(work, one);
        }
        work.stopped = budget_output_ > 0 && work.stop == wire::StopReason::kUnset &&
                       work.meter.passed(budget_output_);
        if (work.stopped) return;
        if (!work.writer) work.out.append(event.raw);
        // What only keeps the connection alive keeps the caller's, too, by a comment, which clients pass over.
        const bool beats = !event.has_data || event.type == "ping";
        if (work.writer && beats && dialect_ != Dialect::kGemini) work.out.append(": \n\n");
    }
}

void ClientRequest::settle_translation(Translation& work, ledger::EndState end) {
    if (settled_) return;
    const bool finished = work.stop != wire::StopReason::kUnset;
    if (work.failed && end == ledger::EndState::kOk) end = ledger::EndState::kError;
    if (record_.error.empty() && end == ledger::EndState::kError) record_.error = "upstream_error";
    if (record_.error.empty() && end == ledger::EndState::kClientGone)
        record_.error = "client_gone";
    const std::string finish(finished ? wire::openai::finish_reason(work.stop) : "");
    attempt_.finish_reason = finish;
    attempt_.model_reported = work.model;
    wire::usage::UsageReading usage = work.usage;
    const bool refused = work.failed && work.meter.empty();
    if (!finished && !refused) {
        // Anthropic tells the input at the start and the output as it grows: what was told before a cut is not all.
        const TokenRule& rule = snapshot_->token_rule(*context_.model);
        const auto own = count_cut_stream(context_.body, rule, context_.model->upstream_name,
                                          worker_.tokenizers.of(rule), work.meter);
        if (own && usage.state == prices::UsageState::kMissing) {
            usage.usage = own->usage.usage;
            if (held_tokens_ > 0) usage.usage[prices::Bucket::kInput] += held_tokens_;
            usage.state = own->usage.state;
            attempt_.usage_quality = record_.usage_quality = own->quality;
        } else if (usage.state != prices::UsageState::kMissing) {
            usage.state = prices::UsageState::kPartial;
        }
    }
    end_attempt(200, end, usage);
    if (usage.sum_mismatch || usage.clamped) context_.note("usage", "mismatch");
    pipeline::Outcome outcome;
    outcome.status = 200;
    outcome.complete = end == ledger::EndState::kOk && work.ended && finished && !work.failed;
    outcome.no_store = work.no_store;
    outcome.form = pipeline::AnswerForm::kEventStream;
    if (outcome.complete && work.kept) outcome.captured = work.captured;
    outcome.usage = usage.usage;
    outcome.usage_state = usage.state;
    outcome.finish_reason = finish;
    outcome.model_reported = work.model;
    if (!work.writer) {
        remember_held(work.id, usage);
    } else if (outcome.complete) {
        keep_response(work.out, pipeline::AnswerForm::kEventStream);
    }
    settle(outcome, end);
}

Task<void> ClientRequest::finish_translation(Translation& work, std::optional<Error> broken) {
    if (broken && broken->code == ErrorCode::kClientGone) {
        settle_translation(work, ledger::EndState::kClientGone);
        exchange_.break_off();
        co_return;
    }
    wire::openai::SseEvent rest;
    work.out.clear();
    bool in_event = false;
    if (!work.broken && !work.stopped && !broken) {
        in_event = work.scanner->finish(rest);
        work.events.clear();
        if (in_event) (void)work.reader->read(rest, work.events);
        work.reader->end(work.events);
        // Some of those that speak chat leave out their last event.
        const bool chat = snapshot_->provider(*context_.model).dialect == Dialect::kOpenAiChat &&
                          context_.view.n <= 1;
        for (const wire::StreamEvent& event : work.events) follow_event(work, event);
        if (chat && !work.ended && !work.failed && work.stop != wire::StopReason::kUnset) {
            wire::StreamEvent end;
            end.kind = Event::kEnd;
            follow_event(work, end);
        }
        if (in_event && !work.writer) work.out.append(rest.raw);
    }
    if (work.ended || work.failed) {
        settle_translation(work, work.failed ? ledger::EndState::kError : ledger::EndState::kOk);
        frame(work);
        if (work.array && !work.failed) work.array->close(work.out);
        if (!work.out.empty()) {
            const std::array<std::string_view, 1> text{work.out};
            co_await exchange_.send(text);
        }
        co_await exchange_.end_stream();
        co_return;
    }
    // Never let a cut look like an end.
    Error error = Error{ErrorCode::kUpstreamInvalid,
                        "the upstream's stream ended before the answer was complete",
                        "send the request again",
                        {},
                        "upstream_stream_cut"};
    if (work.broken) error = std::move(*work.broken);
    if (broken && broken->code != ErrorCode::kUpstreamInvalid) error = std::move(*broken);
    const bool late = error.code == ErrorCode::kUpstreamTimeout;
    record_.error = error.reason;
    settle_translation(work, late ? ledger::EndState::kTimeout : ledger::EndState::kCut);
    work.out.clear();
    if (work.writer) {
        wire::StreamEvent told;
        told.kind = Event::kError;
        told.error = std::move(error);
        work.writer->write(told, work.out);
    } else {
        // Only whole events were sent on.
        work.out = wire::codec_of(dialect_).write_stream_error(error);
    }
    frame(work);
    const std::array<std::string_view, 1> pieces{work.out};
    co_await exchange_.send(pieces);
    co_await exchange_.end_stream();
}

}  // namespace leeway::app
