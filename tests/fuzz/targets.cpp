#include "fuzz/targets.hpp"

#include "app/batch_input.hpp"
#include "app/config.hpp"
#include "json/validate.hpp"
#include "net/http_message.hpp"
#include "net/http_parser.hpp"
#include "wire/canonical/batch.hpp"
#include "wire/canonical/codec.hpp"
#include "wire/cohere/embed_codec.hpp"
#include "wire/gemini/embed_codec.hpp"
#include "wire/openai/batch.hpp"
#include "wire/openai/embed_codec.hpp"
#include "wire/openai/multipart.hpp"
#include "wire/openai/responses_items.hpp"

#include <array>
#include <string>
#include <vector>

namespace leeway::fuzz {
namespace {

using wire::Dialect;

constexpr std::array kCallers = {Dialect::kOpenAiChat, Dialect::kOpenAiResponses,
                                 Dialect::kAnthropic, Dialect::kGemini};
constexpr std::array kProviders = {Dialect::kOpenAiChat, Dialect::kOpenAiResponses,
                                   Dialect::kAnthropic,  Dialect::kGemini,
                                   Dialect::kBedrock,    Dialect::kCohere};

constexpr wire::usage::Flavour flavour_of(Dialect dialect) noexcept {
    switch (dialect) {
        case Dialect::kOpenAiChat: return wire::usage::Flavour::kOpenAiChat;
        case Dialect::kOpenAiResponses: return wire::usage::Flavour::kOpenAiResponses;
        case Dialect::kAnthropic: return wire::usage::Flavour::kAnthropic;
        case Dialect::kGemini: return wire::usage::Flavour::kGemini;
        case Dialect::kBedrock: return wire::usage::Flavour::kBedrock;
        case Dialect::kCohere: return wire::usage::Flavour::kCohere;
    }
    return wire::usage::Flavour::kOpenAiChat;
}

/// Where the input itself says to cut it in two.
std::size_t cut_of(std::string_view text) {
    return text.empty() ? 0 : static_cast<unsigned char>(text.back()) % (text.size() + 1);
}

// ---------------------------------------------------------------- HTTP
/// The size of the head, 0: more is needed, -1: refused.
std::ptrdiff_t head_size(std::string_view text, std::size_t cut) {
    net::HeadScanner scanner;
    const net::HeadLimits limits;
    for (const std::size_t size : {cut, text.size()}) {
        const auto found = scanner.scan(text.substr(0, size), limits);
        if (!found) return -1;
        if (*found > 0) return static_cast<std::ptrdiff_t>(*found);
    }
    return 0;
}

void http_request(std::string_view text) {
    const std::ptrdiff_t size = head_size(text, text.size());
    require(size == head_size(text, cut_of(text)) || size < 0);
    if (size <= 0) return;
    net::RequestHead head;
    if (!net::parse_request_head(text.substr(0, static_cast<std::size_t>(size)), {}, head)) return;
    require(!head.method.empty() && head.target.starts_with(head.path));
    for (const net::Field& field : head.fields) require(net::is_field_value(field.value));
}

void http_response(std::string_view text) {
    const std::ptrdiff_t size = head_size(text, text.size());
    if (size <= 0) return;
    net::ResponseHead head;
    for (const bool to_head : {false, true}) {
        if (!net::parse_response_head(text.substr(0, static_cast<std::size_t>(size)), {}, to_head,
                                      head)) {
            continue;
        }
        require(head.status >= 100 && head.status <= 999);
    }
}

/// The body; "refused" or "unfinished" behind it when it is not whole.
std::string unchunked(std::string_view text, std::size_t cut) {
    net::ChunkDecoder decoder;
    std::string out;
    std::size_t done = 0;
    for (const std::size_t end : {cut, text.size()}) {
        while (done < end && !decoder.done()) {
            const auto step = decoder.step(text.substr(done, end - done));
            if (!step) return out + "refused";
            out.append(step->data);
            if (step->consumed == 0) break;
            done += step->consumed;
        }
    }
    return out + (decoder.done() ? "" : "unfinished");
}

void chunked(std::string_view text) {
    require(unchunked(text, text.size()) == unchunked(text, cut_of(text)));
}

// ---------------------------------------------------------------- bodies
/// What a request of Responses names of what is kept is never overlooked, and can be written out.
void recall(std::string_view text) {
    auto node = json::parse_node(text);
    if (!node || !node->is_object()) return;
    const auto wanted = wire::openai::read_recall(*node);
    if (!wanted || wanted->empty()) return;
    require(wire::openai::may_recall(text));
    const std::string kept = R"({"id":"msg_1","type":"message","role":"user","content":"x"})";
    wire::openai::ItemsById known;
    for (const std::string& id : wanted->references) {
        if (!id.empty()) known.emplace(id, kept);
    }
    if (const json::Node* input = node->find("input")) {
        for (const auto& item : wire::openai::input_items(*input, known, "r")) {
            require(!item.id.empty() && json::validate(item.body).has_value());
        }
    }
    if (wire::openai::write_out(*node, {kept}, known))
        require(json::validate(node->json()).has_value());
}

/// A request of a caller, as each provider would get it.
template <Dialect kDialect>
void request_json(std::string_view text) {
    if (!json::validate(text)) return;  // who reads a request has checked that
    if constexpr (kDialect == Dialect::kOpenAiResponses) recall(text);
    const auto request = wire::codec_of(kDialect).read_request(text);
    if (!request) return;
    for (const Dialect provider : kProviders) {
        wire::RequestTarget target;
        target.model = "m";
        wire::Losses losses;
        const auto body = wire::upstream_codec_of(provider).write_request(*request, target, losses);
        if (body) require(json::validate(*body).has_value());
    }
}

/// An answer or an error of a provider, as each caller would get it.
template <Dialect kDialect>
void answer_json(std::string_view text) {
    const wire::UpstreamCodec& codec = wire::upstream_codec_of(kDialect);
    const Error refusal = codec.read_error(429, text);
    const auto answer = codec.read_answer(text, flavour_of(kDialect));
    for (const Dialect caller : kCallers) {
        const wire::Codec& to = wire::codec_of(caller);
        require(json::validate(to.write_error(refusal)).has_value());
        if (!answer) continue;
        require(json::validate(to.write_answer(*answer, {"id", "m", 1, true, "previous", true}))
                    .has_value());
    }
}

// ---------------------------------------------------------------- streams
struct Told {
    std::vector<wire::StreamEvent> events;
    bool broken = false;
};

template <Dialect kDialect>
Told read_stream(std::string_view text, std::size_t cut) {
    const wire::UpstreamCodec& codec = wire::upstream_codec_of(kDialect);
    const auto scanner = codec.scanner();
    const auto reader = codec.stream_reader(flavour_of(kDialect));
    Told out;
    wire::openai::SseEvent event;
    for (const std::string_view piece : {text.substr(0, cut), text.substr(cut)}) {
        scanner->feed(piece);
        for (;;) {
            const auto more = scanner->next(event);
            out.broken = out.broken || !more;
            if (!more || !*more) break;
            if (reader->read(event, out.events)) continue;
            out.broken = true;
            return out;
        }
        if (out.broken) return out;
    }
    // As the gateway does: what is left counts for what it says, and a blank line more or less says nothing.
    if (scanner->finish(event)) (void)reader->read(event, out.events);
    reader->end(out.events);
    return out;
}

/// Cuts change nothing, and each caller can be told what came.
template <Dialect kDialect>
void stream(std::string_view text) {
    const Told whole = read_stream<kDialect>(text, text.size());
    const Told halves = read_stream<kDialect>(text, cut_of(text));
    require(whole.broken == halves.broken && whole.events.size() == halves.events.size());
    for (std::size_t i = 0; i < whole.events.size(); ++i) {
        require(whole.events[i].kind == halves.events[i].kind);
        require(whole.events[i].text == halves.events[i].text);
    }
    for (const Dialect caller : kCallers) {
        const auto writer =
            wire::codec_of(caller).stream_writer({"id", "m", 1, true, "previous", true});
        std::string out;
        for (const wire::StreamEvent& event : whole.events) writer->write(event, out);
        wire::openai::SseScanner scanner;
        scanner.feed(out);
        wire::openai::SseEvent event;
        for (;;) {
            const auto more = scanner.next(event);
            require(more.has_value());
            if (!*more) break;
            if (event.has_data && event.data != "[DONE]")
                require(json::validate(event.data).has_value());
        }
        require(!scanner.finish(event));
    }
}

// ---------------------------------------------------------------- embeddings
/// A request as each provider would get it, and an answer as each caller would.
void embeddings(std::string_view text) {
    if (!json::validate(text)) {
        // Providers may send anything.
        (void)wire::gemini::read_embed_answer(text, wire::usage::Flavour::kGemini, 0);
        (void)wire::openai::read_embed_answer(text, wire::usage::Flavour::kOpenAiChat, 0);
        (void)wire::cohere::read_embed_answer(text, wire::usage::Flavour::kCohere, 0);
        return;
    }
    require(json::validate(wire::gemini::with_embed_model(text, "m")).has_value());
    for (const auto& request :
         {wire::openai::read_embed_request(text), wire::gemini::read_embed_request(text)}) {
        if (!request) continue;
        require(!request->texts.empty());
        wire::Losses losses;
        for (const std::string& body : {wire::openai::embed_request_for_stages(*request),
                                        wire::openai::write_embed_request(*request, "m", losses),
                                        wire::gemini::write_embed_request(*request, "m", losses),
                                        wire::gemini::write_predict_request(*request, losses),
                                        wire::cohere::write_embed_request(*request, "m", losses)})
            require(json::validate(body).has_value());
    }
    for (const auto& answer :
         {wire::gemini::read_embed_answer(text, wire::usage::Flavour::kGemini, 0),
          wire::openai::read_embed_answer(text, wire::usage::Flavour::kOpenAiChat, 0),
          wire::cohere::read_embed_answer(text, wire::usage::Flavour::kCohere, 0)}) {
        if (!answer) continue;
        for (const bool flag : {false, true}) {
            const wire::AnswerFor to{"id", "m", 1, true};
            require(
                json::validate(wire::openai::write_embed_answer(*answer, to, flag)).has_value());
            require(json::validate(wire::gemini::write_embed_answer(*answer, flag)).has_value());
        }
    }
}

// ---------------------------------------------------------------- files and batches
void batches(std::string_view text) {
    if (const auto form = wire::openai::read_form("multipart/form-data; boundary=x", text)) {
        for (const auto& part : *form) {
            require(!part.name.empty() && part.content.data() >= text.data());
            require(part.content.data() + part.content.size() <= text.data() + text.size());
        }
    }
    for (const auto& bound : {app::read_batch_input(text), app::read_message_batch(text)}) {
        if (!bound) continue;
        require(bound->lines > 0 && bound->output_tokens >= 0 && !bound->model.empty());
        require(bound->input_tokens > 0 && bound->unbounded >= 0);
    }
    if (const auto list = wire::read_list(text)) {
        for (const std::string_view item : list->items) require(json::validate(item).has_value());
    }
    if (const auto line = wire::openai::read_batch_line(text))
        require(line->body.empty() || json::validate(line->body).has_value());
    const bool valid = json::validate(text).has_value();
    for (const Dialect kind : {Dialect::kOpenAiChat, Dialect::kAnthropic}) {
        const wire::BatchDialect& dialect = wire::batch_dialect_of(kind);
        for (const auto flavour :
             {wire::usage::Flavour::kOpenAiChat, wire::usage::Flavour::kOpenAiResponses,
              wire::usage::Flavour::kAnthropic}) {
            const auto answer = dialect.read_answer(text, flavour);
            for (const prices::BucketInfo& info : prices::kBuckets)
                require(answer.usage.usage[info.bucket] >= 0);
        }
        (void)dialect.read_state(text);
        require(json::validate(dialect.for_caller(text)).has_value() == valid);
    }
}

// ---------------------------------------------------------------- configuration
void config(std::string_view text) { (void)app::read_config_text(std::string(text), "fuzz.yaml"); }

constexpr std::array kTargets = {
    Target{"http_request", http_request},
    Target{"http_response", http_response},
    Target{"chunked", chunked},
    Target{"openai_requests", openai_requests},
    Target{"openai_answers", openai_answers},
    Target{"openai_streams", openai_streams},
    Target{"request_openai", request_json<Dialect::kOpenAiChat>},
    Target{"request_responses", request_json<Dialect::kOpenAiResponses>},
    Target{"request_anthropic", request_json<Dialect::kAnthropic>},
    Target{"request_gemini", request_json<Dialect::kGemini>},
    Target{"answer_openai", answer_json<Dialect::kOpenAiChat>},
    Target{"answer_responses", answer_json<Dialect::kOpenAiResponses>},
    Target{"answer_anthropic", answer_json<Dialect::kAnthropic>},
    Target{"answer_gemini", answer_json<Dialect::kGemini>},
    Target{"answer_bedrock", answer_json<Dialect::kBedrock>},
    Target{"answer_cohere", answer_json<Dialect::kCohere>},
    Target{"stream_openai", stream<Dialect::kOpenAiChat>},
    Target{"stream_responses", stream<Dialect::kOpenAiResponses>},
    Target{"stream_anthropic", stream<Dialect::kAnthropic>},
    Target{"stream_gemini", stream<Dialect::kGemini>},
    Target{"stream_bedrock", stream<Dialect::kBedrock>},
    Target{"stream_cohere", stream<Dialect::kCohere>},
    Target{"embeddings", embeddings},
    Target{"batches", batches},
    Target{"config", config},
    Target{"answer_checks", answer_checks},
    Target{"route_arguments", route_arguments},
    Target{"routes_file", routes_file},
};

}  // namespace

std::span<const Target> targets() noexcept { return kTargets; }

}  // namespace leeway::fuzz
