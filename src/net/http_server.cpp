#include "net/http_server.hpp"

#include "net/detail/connection.hpp"
#include "net/listener.hpp"

#include <utility>
#include <vector>

namespace leeway::net {
namespace {

// So many over the limit are told so; more are closed without a word.
constexpr std::size_t kPoliteRefusals = 64;

Task<void> serve(std::unique_ptr<Connection> connection, bool full) {
    co_await connection->run(full);
}

}  // namespace

struct HttpServer::Impl {
    Impl(EventLoop& loop, ServerOptions options, Handler& handler)
        : state(std::move(options), handler, loop), listener(loop, &Impl::on_accepted, this) {}

    static void on_accepted(void* self, std::unique_ptr<Stream> stream) {
        ServerState& state = static_cast<Impl*>(self)->state;
        const std::size_t open = state.count.load(std::memory_order_relaxed);
        if (open >= state.options.connections + kPoliteRefusals) return;
        auto connection = std::make_unique<Connection>(state, std::move(stream));
        state.loop.spawn(serve(std::move(connection), open >= state.options.connections));
    }

    ServerState state;
    Listener listener;
};

HttpServer::HttpServer(EventLoop& loop, ServerOptions options, Handler& handler)
    : impl_(std::make_unique<Impl>(loop, std::move(options), handler)) {}

HttpServer::~HttpServer() = default;

Result<Address> HttpServer::listen(const Address& address, bool shared) {
    return impl_->listener.open(address, shared);
}

void HttpServer::stop_accepting() {
    impl_->state.draining = true;
    impl_->listener.close();
    for (Connection* connection : impl_->state.connections) connection->drain();
}

void HttpServer::interrupt_all() {
    // An interruption may end a connection at once and take it off the list.
    const std::vector<Connection*> all(impl_->state.connections.begin(),
                                       impl_->state.connections.end());
    for (Connection* connection : all) {
        for (Connection* alive : impl_->state.connections) {
            if (alive != connection) continue;
            connection->interrupt();
            break;
        }
    }
}

std::size_t HttpServer::connections() const noexcept {
    return impl_->state.count.load(std::memory_order_relaxed);
}

std::string_view reason_phrase(int status) noexcept {
    switch (status) {
        case 200: return "OK";
        case 201: return "Created";
        case 202: return "Accepted";
        case 204: return "No Content";
        case 400: return "Bad Request";
        case 401: return "Unauthorized";
        case 403: return "Forbidden";
        case 404: return "Not Found";
        case 405: return "Method Not Allowed";
        case 408: return "Request Timeout";
        case 409: return "Conflict";
        case 413: return "Content Too Large";
        case 415: return "Unsupported Media Type";
        case 422: return "Unprocessable Content";
        case 429: return "Too Many Requests";
        case 431: return "Request Header Fields Too Large";
        case 499: return "Client Closed Request";
        case 500: return "Internal Server Error";
        case 501: return "Not Implemented";
        case 502: return "Bad Gateway";
        case 503: return "Service Unavailable";
        case 504: return "Gateway Timeout";
        default: return "Status";
    }
}

}  // namespace leeway::net
