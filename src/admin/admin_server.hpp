#pragma once

#include "base/result.hpp"
#include "base/task.hpp"
#include "net/event_loop.hpp"
#include "net/http_server.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

namespace leeway::admin {

/// Where the admin port gets its answers from. Called on the admin thread.
struct AdminSource {
    /// Why paid work cannot be admitted now; nullopt: it can.
    std::function<std::optional<std::string>()> not_ready;
    /// What an operator should know although paid work can be admitted; nullopt: nothing.
    std::function<std::optional<std::string>()> note;
    /// The text of `/metrics`.
    std::function<Task<std::string>(net::EventLoop& admin_loop)> metrics;
};

/// The admin port: `/healthz` (the loop turns), `/readyz` (paid work can be admitted), `/metrics`
/// (Prometheus). Its own thread and loop, so that it answers while the workers are overloaded.
class AdminServer final : public net::Handler {
public:
    explicit AdminServer(AdminSource source);
    ~AdminServer() override;  ///< stops and joins
    AdminServer(const AdminServer&) = delete;
    AdminServer& operator=(const AdminServer&) = delete;

    /// Listens and starts the thread.
    [[nodiscard]] Result<net::Address> start(const net::Address& address);

private:
    Task<void> handle(net::Exchange& exchange) override;
    std::string render_error(const Error& error, std::string_view path) override;

    AdminSource source_;
    net::EventLoop loop_;
    std::unique_ptr<net::HttpServer> server_;
    std::thread thread_;
};

}  // namespace leeway::admin
