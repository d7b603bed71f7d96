#pragma once

#include "app/client_request.hpp"
#include "app/places.hpp"
#include "app/response_store.hpp"
#include "net/deadline.hpp"
#include "providers/provider.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::app {

/// One request for a response that is kept (docs/formats/responses.md): answered from our store, or passed to the
/// provider that keeps it. Worker-local; lives in the frame of `Gateway::handle`.
class ResponseRequest {
public:
    /// `id`: from the address.
    ResponseRequest(WorkerState& worker, net::Exchange& exchange, const Place& place,
                    std::string_view id);
    ~ResponseRequest();
    ResponseRequest(const ResponseRequest&) = delete;
    ResponseRequest& operator=(const ResponseRequest&) = delete;

    /// Authenticates, and answers.
    Task<void> run();

private:
    Result<FoundResponse> find();
    Result<std::string> answer(const FoundResponse& found);
    Result<std::string> input_page(const FoundResponse& found);
    Task<void> pass_on(const FoundResponse& found);
    Task<void> refuse(Error error);
    [[nodiscard]] std::string passed_query() const;
    std::vector<net::Field> own_fields();

    WorkerState& worker_;
    net::Exchange& exchange_;
    const Place& place_;
    const std::string id_;
    ClientRequest caller_;
    const std::shared_ptr<const Snapshot> snapshot_;  // pinned
    std::optional<net::Deadline> deadline_;
    std::string request_id_;
};

}  // namespace leeway::app
