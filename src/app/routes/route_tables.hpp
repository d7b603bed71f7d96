#pragma once

#include "base/result.hpp"
#include "base/task.hpp"
#include "methods/router/semantic/route_table.hpp"
#include "models/embedding.hpp"
#include "net/event_loop.hpp"

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <thread>

namespace leeway::app {

/// The routes files of a gateway. Its thread "routes" embeds their utterances when a configuration first names them, and
/// again when the model is another one; until then the stages that use them are skipped. Main thread only.
class RouteTables {
public:
    RouteTables() = default;
    ~RouteTables() { stop(); }
    RouteTables(const RouteTables&) = delete;
    RouteTables& operator=(const RouteTables&) = delete;

    /// The table of a file. One that did not change since it was opened, and is in use, is the same again. `embedder`
    /// outlives `stop`, and answers even when it was stopped itself. Errors: kConfig, as of load_routes.
    [[nodiscard]] Result<std::shared_ptr<const router::RouteTable>> open(
        const std::string& path, models::Embedder& embedder);
    /// Ends the thread.
    void stop();

private:
    struct Known {
        std::string text;
        std::weak_ptr<router::RouteTable> table;
    };

    Task<void> keep_ready(std::weak_ptr<router::RouteTable> weak, models::Embedder* embedder);
    Task<void> make_ready(std::shared_ptr<router::RouteTable> table, models::Embedder* embedder);

    std::map<std::string, Known> known_;
    net::EventLoop loop_;
    std::thread thread_;
    // The loop's:
    bool stopping_ = false;
    std::size_t running_ = 0;
    bool complained_ = false;
};

}  // namespace leeway::app
