#include "sim/provider.hpp"

#include "sim/world.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <functional>
#include <optional>
#include <utility>

namespace leeway::sim {
namespace {

using std::chrono::milliseconds;

/// The number behind the first `name` in `text`.
std::optional<std::int64_t> number_after(std::string_view text, std::string_view name) {
    const std::size_t at = text.find(name);
    if (at == std::string_view::npos) return std::nullopt;
    std::string_view rest = text.substr(at + name.size());
    while (!rest.empty() && (rest[0] == ' ' || rest[0] == ':')) rest.remove_prefix(1);
    std::int64_t out = 0;
    if (std::from_chars(rest.data(), rest.data() + rest.size(), out).ec != std::errc())
        return std::nullopt;
    return out;
}

std::string text_after(std::string_view text, std::string_view name) {
    const std::size_t at = text.find(name);
    if (at == std::string_view::npos) return {};
    const std::size_t begin = text.find('"', at + name.size());
    if (begin == std::string_view::npos) return {};
    return std::string(text.substr(begin + 1, text.find('"', begin + 1) - begin - 1));
}

std::string chunk_of(std::string_view bytes, std::string_view extension = {}) {
    return fmt::format("{:x}{}\r\n{}\r\n", bytes.size(), extension, bytes);
}

constexpr std::array<std::pair<Fault, int>, 10> kStatuses{{{Fault::up_status_400, 400},
                                                           {Fault::up_status_401, 401},
                                                           {Fault::up_status_404, 404},
                                                           {Fault::up_status_408, 408},
                                                           {Fault::up_status_409, 409},
                                                           {Fault::up_status_429, 429},
                                                           {Fault::up_status_500, 500},
                                                           {Fault::up_status_502, 502},
                                                           {Fault::up_status_503, 503},
                                                           {Fault::up_status_529, 529}}};

}  // namespace

struct Provider::Connection {
    EndPtr end;
    HttpReader reader{true};
    bool busy = false;
    sim::Call* current = nullptr;  // what is being worked at
};

Provider::Price Provider::price_of(const std::string& model) {
    if (model == "large") return {3, 15};
    if (model == "middle") return {1, 5};
    return {1, 2};
}

Provider::Provider(Oracle& oracle, std::string name, std::string address, bool anthropic)
    : oracle_(oracle),
      name_(std::move(name)),
      address_(std::move(address)),
      anthropic_(anthropic),
      secret_("sk-simulated-" + name_) {
    Network::get().listen(address_, this, nullptr, [this](EndPtr end) {
        auto connection = std::make_shared<Connection>();
        connection->end = end;
        end->on_bytes = [this, connection](std::string_view bytes) {
            connection->reader.add(bytes);
            serve(connection);
        };
        end->on_over = [connection](End::Over) {
            // It may have taken all of the answer with it.
            if (connection->current != nullptr) connection->current->silent = true;
            connection->end->close();
        };
    });
}

void Provider::serve(const std::shared_ptr<Connection>& connection) {
    if (connection->busy || connection->reader.state() != HttpReader::State::kWhole) return;
    connection->busy = true;
    World& world = World::get();
    const HttpReader& request = connection->reader;
    const std::string auth =
        anthropic_ ? request.field("x-api-key") : request.field("authorization");
    if (auth != (anthropic_ ? secret_ : "Bearer " + secret_))
        world.violated("a provider got a credential that is not its own: " + auth);
    Call& call = oracle_.calls.emplace_back();
    call.provider = name_;
    call.number = static_cast<std::uint32_t>(oracle_.calls.size() - 1);
    const std::string id = request.field("x-request-id");
    call.request = static_cast<std::uint32_t>(number_after(id, "r").value_or(0));
    call.group = static_cast<std::uint32_t>(number_after(request.body(), "group").value_or(0));
    call.model = text_after(request.body(), "\"model\"");
    const std::string& body = request.body();
    const bool stream = body.find("\"stream\":true") != std::string::npos ||
                        body.find("\"stream\": true") != std::string::npos;
    auto most = number_after(body, "\"max_tokens\"");
    if (!most) most = number_after(body, "\"max_completion_tokens\"");
    world.tell(fmt::format("call {} for r{} at {}", call.number, call.request, address_));
    const Answer answer = this->answer(call, stream, most.value_or(50));
    world.tell(fmt::format("call {} is {}", call.number, call.what));
    Duration at = answer.before;
    const EndPtr end = connection->end;
    connection->current = &call;
    call.silent = answer.then == Answer::Then::kReset ||
                  (answer.head.empty() && answer.then != Answer::Then::kHang);
    bool first = true;
    for (const std::string& part : answer.parts) {
        world.after(at, [end, bytes = first ? answer.head + part : part] { end->send(bytes); });
        at += answer.between + std::chrono::microseconds(1);  // works of one moment have no order
        first = false;
    }
    if (first && !answer.head.empty())
        world.after(at, [end, bytes = answer.head] { end->send(bytes); });
    const auto then = answer.then;
    world.after(at + std::chrono::microseconds(1), [this, connection, end, then] {
        if (end->broken() && connection->current != nullptr) connection->current->silent = true;
        switch (then) {
            case Answer::Then::kHang: return;
            case Answer::Then::kReset: return end->reset();
            case Answer::Then::kClose: return end->close();
            case Answer::Then::kKeep: break;
        }
        if (end->broken()) return;
        connection->busy = false;
        connection->current = nullptr;
        if (World::get().strikes(Fault::up_closes_idle)) return end->close();
        connection->reader.next();
        serve(connection);
    });
}

void Provider::refuse(Call& call, int status, Answer& out) const {
    call.truth = Call::Truth::kRefused;
    call.what = fmt::format("status {}", status);
    const std::string body = fmt::format(
        R"({{"type":"error","error":{{"message":"scripted {}","type":"some_error","param":null,"code":null}}}})",
        status);
    std::string wait;
    if (World::get().strikes(Fault::up_retry_after)) wait = "retry-after: 1\r\n";
    out.head = fmt::format(
        "HTTP/1.1 {} X\r\ncontent-type: application/json\r\n{}content-length: {}\r\n\r\n", status,
        wait, body.size());
    out.parts = {body};
}

std::string Provider::usage(std::int64_t input, std::int64_t output, Call& call) const {
    World& world = World::get();
    const Price price = price_of(call.model);
    // USD per million tokens are 1e6 of our smallest units per token.
    call.cost = (input * price.input + output * price.output) * 1'000'000;
    if (world.strikes(Fault::up_usage_missing)) {
        call.cost = -1;
        return {};
    }
    if (world.strikes(Fault::up_usage_zero)) input = output = call.cost = 0;
    if (world.strikes(Fault::up_usage_negative)) {
        call.cost = -1;
        output = -5;
    } else if (world.strikes(Fault::up_usage_huge)) {
        call.cost = -1;
        output = INT64_MAX;
    }
    if (anthropic_)
        return fmt::format(R"("usage":{{"input_tokens":{},"output_tokens":{}}})", input, output);
    return fmt::format(R"("usage":{{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{}}})",
                       input, output, output == INT64_MAX ? output : input + output);
}

std::vector<std::string> Provider::events(Call& call, std::int64_t input, bool cut_short) const {
    World& world = World::get();
    std::vector<std::string> out;
    const std::string line = world.strikes(Fault::up_crlf) ? "\r\n" : "\n";
    const auto event = [&](std::string_view name, const std::string& data) {
        out.push_back(name.empty()
                          ? fmt::format("data: {}{}{}", data, line, line)
                          : fmt::format("event: {}{}data: {}{}{}", name, line, data, line, line));
    };
    const std::string told = usage(input, call.words, call);
    const bool comments = world.strikes(Fault::up_comments);
    if (anthropic_) {
        const std::string early =
            told.empty() ? std::string()
                         : fmt::format(R"(,"usage":{{"input_tokens":{},"output_tokens":1}})",
                                       call.cost == 0 ? 0 : input);
        event(
            "message_start",
            fmt::format(
                R"({{"type":"message_start","message":{{"id":"msg","type":"message","role":"assistant","model":"{}","content":[],"stop_reason":null,"stop_sequence":null{}}}}})",
                call.model, early));
        event(
            "content_block_start",
            R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}})");
        for (std::uint32_t i = 0; i < call.words; ++i) {
            if (comments)
                out.push_back(fmt::format("event: ping{0}data: {{\"type\":\"ping\"}}{0}{0}", line));
            event(
                "content_block_delta",
                fmt::format(
                    R"({{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{}"}}}})",
                    Oracle::word(call, i)));
        }
        event("content_block_stop", R"({"type":"content_block_stop","index":0})");
        event(
            "message_delta",
            fmt::format(
                R"({{"type":"message_delta","delta":{{"stop_reason":"{}","stop_sequence":null}}{}}})",
                cut_short ? "max_tokens" : "end_turn", told.empty() ? told : "," + told));
        event("message_stop", R"({"type":"message_stop"})");
        return out;
    }
    const auto piece = [&](const std::string& delta, const std::string& reason,
                           const std::string& more) {
        event(
            {},
            fmt::format(
                R"({{"id":"c","object":"chat.completion.chunk","created":1,"model":"{}","choices":[{{"index":0,"delta":{},"finish_reason":{}}}]{}}})",
                call.model, delta, reason, more));
    };
    piece(R"({"role":"assistant","content":""})", "null", {});
    if (!told.empty() && world.strikes(Fault::up_usage_early))
        piece("{}", "null",
              R"(,"usage":{"prompt_tokens":1,"completion_tokens":0,"total_tokens":1})");
    for (std::uint32_t i = 0; i < call.words; ++i) {
        if (comments) out.push_back(fmt::format(": still here{0}{0}", line));
        piece(fmt::format(R"({{"content":"{}"}})", Oracle::word(call, i)), "null", {});
    }
    piece("{}", cut_short ? R"("length")" : R"("stop")", {});
    const auto last = [&] {
        event(
            {},
            fmt::format(
                R"({{"id":"c","object":"chat.completion.chunk","created":1,"model":"{}","choices":[],{}}})",
                call.model, told));
    };
    if (!told.empty()) last();
    if (!told.empty() && world.strikes(Fault::up_usage_twice)) last();
    out.push_back("data: [DONE]" + line + line);
    return out;
}

std::string Provider::whole_body(Call& call, std::int64_t input, bool cut_short) const {
    std::string text;
    for (std::uint32_t i = 0; i < call.words; ++i) text += Oracle::word(call, i);
    const std::string told = usage(input, call.words, call);
    const std::string more = told.empty() ? told : "," + told;
    if (anthropic_) {
        return fmt::format(
            R"({{"id":"msg","type":"message","role":"assistant","model":"{}","content":[{{"type":"text","text":"{}"}}],"stop_reason":"{}","stop_sequence":null{}}})",
            call.model, text, cut_short ? "max_tokens" : "end_turn", more);
    }
    return fmt::format(
        R"({{"id":"c","object":"chat.completion","created":1,"model":"{}","choices":[{{"index":0,"message":{{"role":"assistant","content":"{}"}},"finish_reason":"{}"}}]{}}})",
        call.model, text, cut_short ? "length" : "stop", more);
}

Provider::Answer Provider::answer(Call& call, bool stream, std::int64_t most) const {
    World& world = World::get();
    Answer out;
    out.before = world.random.between(milliseconds(1), milliseconds(80));
    out.between = world.random.between(milliseconds(0), milliseconds(20));
    if (world.strikes(Fault::up_slow_first_byte)) out.before += milliseconds(1500);
    if (world.strikes(Fault::up_slow_tokens)) out.between += milliseconds(150);
    for (const auto& [fault, status] : kStatuses) {
        if (!world.strikes(fault)) continue;
        refuse(call, status, out);
        return out;
    }
    call.words = static_cast<std::uint32_t>(world.random.below(14));
    const bool talks_on = world.strikes(Fault::up_talks_on);
    if (talks_on) call.words = static_cast<std::uint32_t>(most) + 100;
    bool cut_short = world.strikes(Fault::up_length_limit);
    if (!talks_on && call.words > most) {
        call.words = static_cast<std::uint32_t>(most);
        cut_short = true;
    }
    call.what = stream ? "a stream" : "an answer";
    const std::int64_t input = 40 + static_cast<std::int64_t>(world.random.below(60));
    if (world.strikes(Fault::up_never_answers)) {
        call.truth = Call::Truth::kBroken;
        call.what = "silence";
        out.then = Answer::Then::kHang;
        return out;
    }
    if (world.strikes(Fault::up_closes_unheard)) {
        call.truth = Call::Truth::kBroken;
        call.what = "closed unheard";
        out.then = world.random.chance(0.5) ? Answer::Then::kClose : Answer::Then::kReset;
        return out;
    }
    if (world.strikes(Fault::up_not_http)) {
        call.truth = Call::Truth::kBroken;
        call.what = "not HTTP";
        out.head = "SSH-2.0-OpenSSH_9.2\r\n";
        out.then = Answer::Then::kClose;
        return out;
    }

    std::vector<std::string> events;
    if (stream) {
        events = this->events(call, input, cut_short);
    } else {
        events = {whole_body(call, input, cut_short)};
    }
    const auto breaks = [&](std::string_view what) {
        call.truth = Call::Truth::kBroken;
        call.what = what;
        call.cost = -1;
    };
    const auto odd = [&](std::string_view what) {
        if (call.truth == Call::Truth::kWhole) call.truth = Call::Truth::kOdd;
        call.what = what;
        call.cost = -1;
    };
    const std::string error =
        anthropic_ ? std::string(
                         "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":"
                         "\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n")
                   : std::string(
                         "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\","
                         "\"param\":null,\"code\":null}}\n\n");
    // Where it breaks: behind some of the events, never behind what ends the answer.
    const std::size_t closing = anthropic_ ? 2 : 3;
    const std::size_t middle = stream && events.size() > closing + 1
                                   ? 1 + world.random.below(events.size() - closing - 1)
                                   : 0;
    if (stream && world.strikes(Fault::up_error_first_event)) {
        breaks("an error as first event");
        call.truth = Call::Truth::kRefused;
        events = {error};
    } else if (stream && middle > 0 && world.strikes(Fault::up_error_later_event)) {
        breaks("an error as later event");
        events.resize(middle);
        events.push_back(error);
    } else if (stream && world.strikes(Fault::up_empty_stream)) {
        breaks("an empty stream");
        events.clear();
    } else if (stream && !anthropic_ && world.strikes(Fault::up_no_done)) {
        odd("no [DONE]");
        events.pop_back();
    } else if (stream && world.strikes(Fault::up_two_done)) {
        odd("two ends");
        events.push_back(events.back());
    } else if (stream && world.strikes(Fault::up_data_after_done)) {
        odd("data behind the end");
        events.push_back(events[0]);
    }
    if (world.strikes(Fault::up_nul)) {
        odd("a NUL");
        const std::size_t at = events.empty() ? 0 : events[0].find("\"created\":1");
        if (!events.empty() && at != std::string::npos) events[0].insert(at, 1, '\0');
    } else if (world.strikes(Fault::up_bad_utf8)) {
        odd("bad UTF-8");
        for (std::string& one : events) {
            if (const std::size_t at = one.find("w<"); at != std::string::npos)
                one.insert(at, "\xff\xfe");
        }
    } else if (!stream && world.strikes(Fault::up_not_json)) {
        breaks("not JSON");
        events = {"<html>it works</html>"};
    } else if (!stream && world.strikes(Fault::up_json_broken_off)) {
        breaks("JSON broken off");
        events[0].resize(events[0].size() / 2);
    }

    const bool old = world.strikes(Fault::up_http10);
    const bool closes = old || world.strikes(Fault::up_connection_close);
    const bool chunked = stream && !old && !(closes && world.random.chance(0.5));
    const bool to_end = closes && !chunked && (stream || world.random.chance(0.5));
    std::size_t length = 0;
    for (const std::string& one : events) length += one.size();
    std::string framing;
    if (chunked) framing = "transfer-encoding: chunked\r\n";
    bool too_long = false;
    if (!chunked && !to_end) {
        too_long = world.strikes(Fault::up_long_length);
        framing = fmt::format("content-length: {}\r\n", length + (too_long ? 10 : 0));
        if (too_long) breaks("a length that is too long");
    }
    if (world.strikes(Fault::up_early_hints))
        out.head = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    std::string large;
    if (world.strikes(Fault::up_large_head)) {
        odd("a large head");
        large = "x-large: " + std::string(40'000, 'x') + "\r\n";
    }
    out.head += fmt::format("HTTP/1.{} 200 OK\r\ncontent-type: {}\r\n{}{}{}\r\n", old ? 0 : 1,
                            stream ? "text/event-stream" : "application/json", framing, large,
                            closes && !old ? "connection: close\r\n" : "");
    if (closes || too_long) out.then = Answer::Then::kClose;
    const bool extension = world.strikes(Fault::up_chunk_extension);
    for (const std::string& one : events)
        out.parts.push_back(chunked ? chunk_of(one, extension ? ";a=b" : "") : one);
    if (chunked) {
        out.parts.emplace_back(world.strikes(Fault::up_trailers) ? "0\r\nx-trailer: 1\r\n\r\n"
                                                                 : "0\r\n\r\n");
    }

    // What the network does to it: nothing is said behind the cut.
    struct Cut {
        Fault fault;
        std::string_view what;
    };
    for (const Cut& cut :
         {Cut{Fault::up_broken_chunk, "a broken chunk"}, Cut{Fault::up_cut_reset, "cut by a reset"},
          Cut{Fault::up_cut_fin, "cut by an end"},
          Cut{Fault::up_cut_inside_event, "cut inside an event"},
          Cut{Fault::up_stalls, "stalled"}}) {
        if (middle == 0 || middle >= out.parts.size() || call.truth != Call::Truth::kWhole) break;
        if (cut.fault == Fault::up_broken_chunk && !chunked) continue;
        if (!world.strikes(cut.fault)) continue;
        breaks(cut.what);
        out.parts.resize(middle);
        out.then = cut.fault == Fault::up_cut_reset ? Answer::Then::kReset : Answer::Then::kClose;
        if (cut.fault == Fault::up_stalls) out.then = Answer::Then::kHang;
        if (cut.fault == Fault::up_cut_inside_event) {
            std::string& last = out.parts.back();
            last.resize(last.size() - 1 -
                        world.random.below(std::min<std::size_t>(last.size() - 1, 20)));
        }
        if (cut.fault == Fault::up_broken_chunk) out.parts.emplace_back("zz\r\nno\r\n");
    }
    return out;
}

}  // namespace leeway::sim
