#pragma once

#include "net/http_client.hpp"
#include "net/http_server.hpp"

#include <vector>

namespace leeway::app {

/// Sends the answer that `call` has begun to the client as it comes, without holding all of it; one that breaks off is cut for the
/// client, too. `fields`: ours and those of the upstream that pass.
[[nodiscard]] inline Task<void> pass_through(net::Exchange& exchange, net::UpstreamCall& call,
                                             std::vector<net::Field> fields) {
    bool open = co_await exchange.begin_stream(call.head().status, fields);
    while (open) {
        const auto pieces = co_await call.read_some();
        if (!pieces) {
            exchange.break_off();  // never let a cut look like an end
            co_return;
        }
        if (pieces->empty()) break;
        open = co_await exchange.send(*pieces);
    }
    if (open) co_await exchange.end_stream();
}

}  // namespace leeway::app
