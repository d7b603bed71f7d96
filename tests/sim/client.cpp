#include "sim/client.hpp"

#include "json/node.hpp"
#include "sim/world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>
#include <vector>

namespace leeway::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// The gateway's longest limit is 20 s for all attempts together; a request that waits for its turn in a queue, and a
// client that writes or reads slowly, need longer.
constexpr Duration kLongest = seconds(40);
constexpr Duration kLongestSlow = seconds(120);

std::size_t count(std::string_view text, std::string_view what) {
    std::size_t out = 0;
    for (std::size_t at = text.find(what); at != std::string_view::npos;
         at = text.find(what, at + what.size())) {
        ++out;
    }
    return out;
}

}  // namespace

void Client::start(unsigned requests) {
    left_ = requests;
    Network::get().connect(
        std::string(kGatewayAddress), nullptr,
        [self = shared_from_this()](EndPtr end) { self->connected(std::move(end)); });
}

void Client::connected(EndPtr end) {
    if (!end) return;  // the gateway is down at the moment
    end_ = std::move(end);
    end_->on_bytes = [self = shared_from_this()](std::string_view bytes) {
        self->received(bytes);
    };
    end_->on_over = [self = shared_from_this()](End::Over how) {
        self->over(how);
    };
    send_request();
}

std::string Client::request_text() {
    World& world = World::get();
    Asked& now = asked();
    const std::array<std::string_view, 5> models{"large", "middle", "small", "spread", "quick"};
    std::string model(models[world.random.below(models.size())]);
    dialect_ = static_cast<Dialect>(world.random.below(3));
    stream_ = world.random.chance(0.6);
    std::int64_t most = world.random.between(5, 60);
    now.group = now.number;
    std::string path;
    std::string body;
    if (now.number > 3 && world.strikes(Fault::client_repeats)) {
        // One of a few bodies that many send, at temperature 0: what the cache is for.
        now.group = 1'000'000 + static_cast<std::uint32_t>(world.random.below(2));
        model = "small";
        most = 20;
    }
    if (world.strikes(Fault::client_no_model)) {
        model = "no-such-model";
        now.well_formed = false;
    }
    const bool unlimited = dialect_ != Dialect::kMessages && world.strikes(Fault::client_no_limit);
    const std::string limit_name =
        dialect_ == Dialect::kResponses ? "max_output_tokens" : "max_tokens";
    const std::string limit =
        unlimited ? std::string() : fmt::format(R"("{}":{},)", limit_name, most);
    const std::string zero = now.group >= 1'000'000 ? R"("temperature":0,)" : "";
    const std::string prompt = fmt::format("group {} of the simulated requests", now.group);
    if (dialect_ == Dialect::kResponses) {
        path = "/v1/responses";
        body = fmt::format(R"({{"model":"{}",{}{}"stream":{},"store":false,"input":"{}"}})", model,
                           limit, zero, stream_, prompt);
    } else {
        path = dialect_ == Dialect::kMessages ? "/v1/messages" : "/v1/chat/completions";
        body = fmt::format(
            R"({{"model":"{}",{}{}"stream":{},"messages":[{{"role":"user","content":"{}"}}]}})",
            model, limit, zero, stream_, prompt);
    }
    if (world.strikes(Fault::client_bad_json)) {
        body.resize(body.size() / 2);
        now.well_formed = false;
    }
    std::string_view key = world.random.chance(0.7) ? kClientKey : kOtherKey;
    if (world.strikes(Fault::client_bad_key)) {
        key = "lw-nobody-knows-this-key-at-all";
        now.well_formed = false;
    }
    std::string first = fmt::format("POST {} HTTP/1.1\r\n", path);
    if (world.strikes(Fault::client_bad_http)) {
        first = "POST /v1/chat completions HTTP/9\r\n";
        now.well_formed = false;
    }
    // The same body with the same key is the same request, asked again.
    std::string again;
    if (now.group >= 1'000'000 && world.strikes(Fault::client_asks_again))
        again = fmt::format("idempotency-key: again-{}\r\n", now.group);
    const std::string auth =
        dialect_ == Dialect::kMessages ? "x-api-key: " : "authorization: Bearer ";
    return fmt::format(
        "{}host: leeway\r\n{}{}\r\ncontent-type: application/json\r\nx-request-id: r{}\r\n"
        "x-leeway-session: r{}\r\nx-leeway-user: u{}\r\n{}content-length: {}\r\n\r\n{}",
        first, auth, key, now.number, now.number, now.number % 3, again, body.size(), body);
}

void Client::send_request() {
    World& world = World::get();
    --left_;
    index_ = oracle_.asked.size();
    Asked& now = oracle_.asked.emplace_back();
    now.number = static_cast<std::uint32_t>(index_ + 1);
    now.life = life_();
    now.begin = world.now();
    running_ = true;
    slow_ = false;
    leaves_later_ = world.strikes(Fault::client_gone_later);
    std::string text = request_text();
    world.tell(fmt::format("r{} is sent", now.number));
    pipelined_ = world.strikes(Fault::client_pipelines);
    if (pipelined_) text += "GET /v1/models HTTP/1.1\r\nhost: leeway\r\n\r\n";
    if (world.strikes(Fault::client_slow_writer)) {
        slow_ = true;
        Duration at{0};
        for (std::size_t from = 0; from < text.size(); from += 60) {
            world.after(at, [self = shared_from_this(), part = text.substr(from, 60)] {
                self->end_->send(part);
            });
            at += milliseconds(60);
        }
    } else {
        end_->send(text);
    }
    const auto self = shared_from_this();
    const std::size_t mine = index_;
    const auto soon = [&](bool reset) {
        world.after(world.random.between(milliseconds(0), milliseconds(60)), [self, mine, reset] {
            if (self->running_ && self->index_ == mine) self->leave(reset);
        });
    };
    if (world.strikes(Fault::client_gone_early)) soon(false);
    if (world.strikes(Fault::client_resets)) soon(true);
    if (world.strikes(Fault::client_half_close)) {
        now.gone = true;  // a gateway may take it for a hang-up
        end_->finish();
    }
    if (world.strikes(Fault::client_slow_reader)) {
        slow_ = true;
        Duration at{0};
        for (int i = 0; i < 4; ++i) {
            world.after(at, [self] { self->end_->pause_reading(true); });
            at += seconds(2);
            world.after(at, [self] { self->end_->pause_reading(false); });
            at += milliseconds(50);
        }
    }
    world.after(slow_ ? kLongestSlow : kLongest, [self, mine] {
        if (!self->running_ || self->index_ != mine) return;
        World::get().violated(fmt::format("r{} has no end in time", self->asked().number));
        self->leave(true);
    });
}

void Client::leave(bool reset) {
    asked().gone = true;
    World::get().tell(fmt::format("r{} leaves", asked().number));
    if (reset) {
        end_->reset();
    } else {
        end_->close();
    }
    finish();
}

void Client::received(std::string_view bytes) {
    if (bytes.find("sk-simulated") != std::string_view::npos)
        World::get().violated("a client sees the credential of a provider");
    reader_.add(bytes);
    if (!running_) return;
    if (reader_.state() == HttpReader::State::kWhole) return answered();
    if (leaves_later_ && reader_.status() == 200 && World::get().random.chance(0.3)) leave(false);
}

void Client::over(End::Over) {
    if (running_) {
        reader_.end();
        answered();
    }
    end_->close();
}

/// The text that the answer shows, as an SDK would put it together. What cannot be read as JSON is left out.
std::string Client::text_of(std::string_view body) const {
    using Path = std::vector<std::string_view>;
    static const std::array<Path, 3> kWhole{Path{"choices", "", "message", "content"},
                                            Path{"content", "", "text"},
                                            Path{"output", "", "content", "", "text"}};
    static const std::array<Path, 3> kDelta{Path{"choices", "", "delta", "content"},
                                            Path{"delta", "text"}, Path{"delta"}};
    // An empty step is the first element of an array.
    const auto at = [](std::string_view json, const Path& path) {
        const auto parsed = json::parse_node(json);
        const json::Node* node = parsed ? &*parsed : nullptr;
        for (const std::string_view step : path) {
            if (node == nullptr) break;
            if (step.empty()) {
                node = node->elements.empty() ? nullptr : node->elements.data();
            } else {
                node = node->find(step);
            }
        }
        return node != nullptr && node->is_string() ? node->text : std::string();
    };
    const auto place = static_cast<std::size_t>(dialect_);
    if (!stream_) return at(body, kWhole[place]);
    std::string out;
    for (std::size_t line = body.find("data: "); line != std::string_view::npos;
         line = body.find("data: ", line + 6)) {
        out += at(body.substr(line + 6, body.find('\n', line) - line - 6), kDelta[place]);
    }
    return out;
}

void Client::answered() {
    World& world = World::get();
    Asked& now = asked();
    now.status = reader_.status();
    const bool whole = reader_.state() == HttpReader::State::kWhole;
    world.tell(
        fmt::format("r{} has its answer: {}{}", now.number, now.status, whole ? "" : ", cut"));
    if (whole && now.status == 200 && !now.well_formed)
        world.violated(fmt::format("r{} is malformed and gets a 200", now.number));
    if (whole && now.status >= 400 && reader_.body().find("\"error\"") == std::string::npos)
        world.violated(fmt::format("r{} gets status {} and no error", now.number, now.status));
    if (now.status == 200 && stream_ && now.well_formed) {
        judge_stream(whole);
    } else if (now.status == 200 && now.well_formed) {
        now.success = whole;
        const std::string wrong = oracle_.judge(now, text_of(reader_.body()), whole);
        if (!wrong.empty()) world.violated(fmt::format("r{}: {}", now.number, wrong));
    }
    if (world.trace) std::printf("%s\n", reader_.body().c_str());
    const bool close = reader_.field("connection") == "close" || !whole || pipelined_;
    finish();
    if (close) return end_->close();
    reader_.next();
    if (left_ == 0) return end_->close();
    World::get().after(world.random.between(milliseconds(0), milliseconds(300)),
                       [self = shared_from_this()] {
                           if (!self->end_->closed()) self->send_request();
                       });
}

void Client::judge_stream(bool message_whole) {
    World& world = World::get();
    Asked& now = asked();
    const std::string& body = reader_.body();
    std::size_t ends = 0;
    std::size_t behind = 0;  // where what follows the end begins
    bool told = false;
    switch (dialect_) {
        case Dialect::kChat:
            ends = count(body, "data: [DONE]");
            behind = body.find("data: [DONE]") + 12;
            told = body.find("\"finish_reason\":\"stop\"") != std::string::npos ||
                   body.find("\"finish_reason\":\"length\"") != std::string::npos;
            break;
        case Dialect::kMessages:
            ends = count(body, "event: message_stop");
            behind = body.find("event: message_stop") + 19;
            told = body.find("\"stop_reason\":\"") != std::string::npos;
            break;
        case Dialect::kResponses:
            ends = count(body, "event: response.completed") +
                   count(body, "event: response.incomplete");
            behind = std::min(body.find("event: response.completed"),
                              body.find("event: response.incomplete"));
            told = ends > 0;
            break;
    }
    const bool error = body.find("\"error\":{") != std::string::npos ||
                       body.find("event: error") != std::string::npos ||
                       body.find("response.failed") != std::string::npos;
    if (ends > 1) world.violated(fmt::format("r{}: a stream with {} ends", now.number, ends));
    if (ends == 1 && error && dialect_ != Dialect::kResponses)
        world.violated(fmt::format("r{}: a stream with an error and an end", now.number));
    if (message_whole && ends == 0 && !error)
        world.violated(fmt::format("r{}: a stream ends without a word", now.number));
    if (ends == 1 && body.find("w<", behind) != std::string::npos &&
        dialect_ != Dialect::kResponses)
        world.violated(fmt::format("r{}: text behind the end of a stream", now.number));
    now.success = message_whole && ends == 1 && told && !error;
    const std::string wrong = oracle_.judge(now, text_of(body), now.success);
    if (!wrong.empty()) world.violated(fmt::format("r{}: {}", now.number, wrong));
}

void Client::finish() {
    running_ = false;
    Asked& now = asked();
    now.over = true;
}

}  // namespace leeway::sim
