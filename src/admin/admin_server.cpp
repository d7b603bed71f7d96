#include "admin/admin_server.hpp"

#include "json/write.hpp"

#include <pthread.h>

#include <array>
#include <chrono>
#include <future>

namespace leeway::admin {
namespace {

net::ServerOptions limits() {
    net::ServerOptions options;
    options.body_bytes = 64 * 1024;
    options.connections = 256;
    return options;
}

Task<void> answer(net::Exchange& exchange, int status, std::string_view type, std::string body) {
    const std::array<net::Field, 2> fields{net::Field{"content-type", type},
                                           net::Field{"cache-control", "no-store"}};
    co_await exchange.respond(status, fields, body);
}

std::string status_json(std::string_view status, const std::optional<std::string>& reason) {
    std::string body;
    json::Writer writer(body);
    writer.object().key("status").string(status);
    if (reason) writer.key("reason").string(*reason);
    writer.close_object();
    body.push_back('\n');
    return body;
}

}  // namespace

AdminServer::AdminServer(AdminSource source) : source_(std::move(source)) {
    server_ = std::make_unique<net::HttpServer>(loop_, limits(), *this);
}

Result<net::Address> AdminServer::start(const net::Address& address) {
    auto bound = server_->listen(address, false);
    if (!bound) return bound;
    thread_ = std::thread([this] {
        ::pthread_setname_np(::pthread_self(), "admin");
        loop_.run();
    });
    return bound;
}

AdminServer::~AdminServer() {
    if (!thread_.joinable()) return;
    loop_.post([this] {
        server_->stop_accepting();
        server_->interrupt_all();
    });
    // Connections end within the loop's next turns; give them that, not more.
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
    while (server_->connections() > 0 && std::chrono::steady_clock::now() < give_up) {
        std::promise<void> turned;
        loop_.post([&turned] { turned.set_value(); });
        turned.get_future().wait();
        std::this_thread::yield();
    }
    loop_.stop();
    thread_.join();
}

Task<void> AdminServer::handle(net::Exchange& exchange) {
    const std::string_view path = exchange.head().path;
    const std::string_view method = exchange.head().method;
    if (method != "GET" && method != "HEAD") {
        co_await answer(exchange, 405, "application/json",
                        status_json("method_not_allowed", "use GET"));
    } else if (path == "/healthz") {
        co_await answer(exchange, 200, "application/json", status_json("ok", std::nullopt));
    } else if (path == "/readyz") {
        const auto reason = source_.not_ready();
        const int status = reason ? 503 : 200;
        const std::string_view word = reason ? "not_ready" : "ready";
        co_await answer(exchange, status, "application/json",
                        status_json(word, reason ? reason : source_.note()));
    } else if (path == "/metrics") {
        std::string text = co_await source_.metrics(loop_);
        co_await answer(exchange, 200, "text/plain; version=0.0.4; charset=utf-8", std::move(text));
    } else {
        co_await answer(exchange, 404, "application/json",
                        status_json("not_found", "the paths are /healthz, /readyz and /metrics"));
    }
}

std::string AdminServer::render_error(const Error& error, std::string_view) {
    return status_json("error", error.text());
}

}  // namespace leeway::admin
