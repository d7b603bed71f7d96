#include "app/client_request.hpp"
#include "base/hash.hpp"
#include "base/strings.hpp"
#include "json/node.hpp"
#include "json/write.hpp"
#include "tokens/chat_count.hpp"
#include "wire/gemini/array_stream.hpp"
#include "wire/gemini/embed_codec.hpp"
#include "wire/openai/convert.hpp"
#include "wire/openai/embed_codec.hpp"

#include <fmt/format.h>

namespace leeway::app {
namespace {

using wire::Dialect;

const wire::Codec& chat() { return wire::codec_of(Dialect::kOpenAiChat); }

/// All events of a stream that is whole in memory.
Result<std::vector<wire::StreamEvent>> events_of(std::string_view bytes) {
    const auto reader = chat().stream_reader(wire::usage::Flavour::kOpenAiChat);
    wire::openai::SseScanner scanner;
    scanner.feed(bytes);
    std::vector<wire::StreamEvent> out;
    wire::openai::SseEvent event;
    while (true) {
        const auto more = scanner.next(event);
        if (!more) return fail(more.error());
        if (!*more && !scanner.finish(event)) break;
        if (auto read = reader->read(event, out); !read) return fail(read.error());
        if (!event.whole) break;
    }
    return out;
}

}  // namespace

void ClientRequest::asked_in_address(std::string_view model, bool stream) {
    address_model_ = model;
    address_stream_ = stream;
    // Google streams one JSON array to those that do not ask for events.
    array_stream_ = stream && query("alt").value_or("") != "sse";
}

/// What a stream is to the caller.
std::string_view ClientRequest::stream_type() const {
    return array_stream_ ? "application/json" : "text/event-stream";
}

/// An answer that is not in the form in which its provider gave it.
void ClientRequest::tell_content_type(std::string_view type) {
    std::erase_if(upstream_fields_, [](const auto& field) {
        return equals_ignore_case(field.first, "content-type");
    });
    upstream_fields_.emplace_back("content-type", type);
}

std::string_view ClientRequest::endpoint_name() const {
    switch (dialect_) {
        case Dialect::kBedrock:  // no caller speaks these two
        case Dialect::kCohere:
        case Dialect::kOpenAiChat: break;
        case Dialect::kOpenAiResponses: return "responses";
        case Dialect::kAnthropic: return "messages";
        case Dialect::kGemini:
            return context_.endpoint == pipeline::Endpoint::kEmbeddings ? "embed_content"
                                                                        : "generate_content";
    }
    return wire::openai::to_string(context_.endpoint);
}

wire::AnswerFor ClientRequest::answer_for() const {
    wire::AnswerFor to;
    to.id = response_id_.empty() ? header_texts_[0] : response_id_;
    to.previous = previous_;
    to.stored = keeps_;
    to.model = context_.view.model;
    to.now_unix_s = context_.arrived_unix_us / 1'000'000;
    to.include_usage = context_.view.include_usage;
    return to;
}

/// What stages see of a request whose content only its own provider understands: the facts that they need, and the
/// whole body as one text, so that no bound on its size is too low.
std::string ClientRequest::opaque_body(std::string_view body) const {
    const auto node = json::parse_node(body);
    std::string out;
    json::Writer json(out);
    json.object().key("model");
    json.string(address_model_.empty() && node ? node->text_of("model")
                                               : std::string_view(address_model_));
    json.key("messages").array().object().key("role").string("user").key("content").string(body);
    json.close_object().close_array();
    const json::Node* stream = node ? node->find("stream") : nullptr;
    if (address_stream_ || (stream != nullptr && stream->is_true())) {
        json.key("stream").boolean(true);
        json.key("stream_options").object().key("include_usage").boolean(true).close_object();
    }
    for (const std::string_view key : {"max_tokens", "max_output_tokens"}) {
        const json::Node* limit = node ? node->find(key) : nullptr;
        if (limit != nullptr && limit->integer().value_or(0) > 0)
            json.key("max_tokens").integer(*limit->integer());
    }
    json.close_object();
    return out;
}

/// Reads a body in the caller's dialect and returns what the stages see of it.
Result<std::string_view> ClientRequest::take_in(std::string_view body) {
    if (context_.endpoint == pipeline::Endpoint::kEmbeddings) return take_in_embedding(body);
    header_texts_[0] = context_.id.text();
    if (dialect_ == Dialect::kOpenAiResponses) {
        auto recalled = recall(body);
        if (!recalled) return fail(std::move(recalled.error()));
        body = *recalled;
    }
    original_ = body;
    auto request = wire::codec_of(dialect_).read_request(body);
    if (request) {
        if (dialect_ == Dialect::kGemini) {
            request->model = address_model_;
            request->stream = address_stream_;
        }
        request_ = std::move(*request);
        wire::RequestTarget target;
        target.model = request_->model;
        wire::Losses unseen;
        auto written = chat().write_request(*request_, target, unseen);
        if (written) {
            chat_body_ = std::move(*written);
            // What chat cannot say may make another answer: the exact cache must not take one request for the other.
            chat_is_whole_ = request_->unknown.empty() && unseen.dropped.empty();
            if (!chat_is_whole_) {
                chat_body_.insert(1, fmt::format(R"("left_out":"{:016x}",)", checksum64(body)));
            }
            return std::string_view(chat_body_);
        }
        unreadable_ = std::move(written.error());
    } else if (request.error().reason == "untranslatable") {
        unreadable_ = std::move(request.error());
        unreadable_ = out_of_reach();
    } else {
        return fail(std::move(request.error()));
    }
    chat_body_ = opaque_body(body);
    context_.opaque = true;
    return std::string_view(chat_body_);
}

bool ClientRequest::translates(const providers::Provider& provider) const {
    // Rerank is Cohere's, whoever asks for it.
    if (context_.endpoint == pipeline::Endpoint::kRerank && provider.dialect == Dialect::kCohere)
        return false;
    return dialect_ != Dialect::kOpenAiChat || provider.dialect != Dialect::kOpenAiChat;
}

/// A whole answer of OpenAI's chat dialect in the form and the dialect that the caller wants.
Result<pipeline::StageAnswer> ClientRequest::in_callers_form(std::string completion) {
    pipeline::StageAnswer answer;
    answer.form = context_.wanted_form();
    if (answer.form == pipeline::AnswerForm::kEventStream) {
        auto stream = wire::openai::completion_to_stream(completion, context_.view.include_usage);
        if (!stream) return fail(std::move(stream.error()));
        completion = std::move(*stream);
    }
    answer.body = std::make_shared<const std::string>(std::move(completion));
    return in_callers_dialect(std::move(answer));
}

/// What a stage keeps is in OpenAI's chat dialect.
Result<pipeline::StageAnswer> ClientRequest::in_callers_dialect(pipeline::StageAnswer answer) {
    if (dialect_ == Dialect::kOpenAiChat) return answer;
    const wire::Codec& codec = wire::codec_of(dialect_);
    std::string out;
    if (context_.endpoint == pipeline::Endpoint::kEmbeddings) {
        const auto read = wire::openai::read_embed_answer(
            *answer.body, wire::usage::Flavour::kOpenAiChat, embed_ ? embed_->texts.size() : 0);
        if (!read) return fail(read.error());
        out = wire::gemini::write_embed_answer(*read, embed_ && embed_->list);
    } else if (answer.form == pipeline::AnswerForm::kJson) {
        auto read = chat().read_answer(*answer.body, wire::usage::Flavour::kOpenAiChat);
        if (!read) return fail(read.error());
        if (!response_id_.empty()) read->id.clear();
        out = codec.write_answer(*read, answer_for());
    } else {
        auto events = events_of(*answer.body);
        if (!events) return fail(events.error());
        const auto writer = codec.stream_writer(answer_for());
        for (wire::StreamEvent& event : *events) {
            if (!response_id_.empty() && event.kind == wire::StreamEvent::Kind::kStart)
                event.id.clear();
            writer->write(event, out);
        }
        if (array_stream_) {
            std::string array;
            wire::gemini::ArrayWriter elements;
            elements.add(out, array);
            elements.close(array);
            out = std::move(array);
        }
    }
    keep_response(out, answer.form);
    answer.body = std::make_shared<const std::string>(std::move(out));
    return answer;
}

Task<void> ClientRequest::count_tokens() {
    const bool let_in = co_await authenticate();
    if (!let_in) co_return;
    auto read = co_await read_request();
    resolved_ = false;  // nothing is asked of a model: no row
    if (!read) {
        co_await refuse(std::move(read.error()));
        co_return;
    }
    const TokenRule& rule = snapshot_->token_rule(*context_.model);
    tokens::Tokenizer* tokenizer = worker_.tokenizers.of(rule);
    if (tokenizer == nullptr || unreadable_) {
        co_await refuse(unreadable_ ? *unreadable_
                                    : Error{ErrorCode::kUnavailable,
                                            "no vocabulary is at hand to count this model's tokens",
                                            "tools/setup.sh makes the usual ones",
                                            {},
                                            "no_vocabulary"});
        co_return;
    }
    tokens::ChatCounting counting;
    counting.model = context_.model->upstream_name;
    counting.rule = rule.model;
    counting.tokenizer = tokenizer;
    const tokens::Calibration learned = rule.learned();
    counting.calibration = &learned;
    auto count = tokens::count_chat(context_.body, counting);
    if (!count) {
        co_await refuse(std::move(count.error()));
        co_return;
    }
    std::string body;
    json::Writer json(body);
    json.object().key(dialect_ == Dialect::kGemini ? "totalTokens" : "input_tokens");
    json.integer(count->total.tokens).close_object();
    const tokens::TokenCount& total = count->total;
    const auto base = answer_fields("application/json", false);
    std::vector<net::Field> fields(base.begin(), base.end());
    fields.push_back({"x-leeway-count-quality", to_string(total.quality)});
    const std::string interval = fmt::format("{}-{}", total.low, total.high);
    if (total.low != total.high) fields.push_back({"x-leeway-count-interval", interval});
    co_await exchange_.respond(200, fields, body);
}

}  // namespace leeway::app
