#pragma once

#include "app/client_request.hpp"
#include "lab/outcomes/stored_outcome.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::app {

/// What a caller says of one answer (docs/formats/feedback.md).
struct FeedbackBody {
    std::string id;  ///< that the answer was told with
    lab::StoredFeedback feedback;
};
/// Errors: kInvalidRequest with the member as `param`.
[[nodiscard]] Result<FeedbackBody> read_feedback(std::string_view body);

/// One `POST /v1/feedback`. Worker-local; lives in the frame of `Gateway::handle`.
class FeedbackRequest {
public:
    FeedbackRequest(WorkerState& worker, net::Exchange& exchange);
    FeedbackRequest(const FeedbackRequest&) = delete;
    FeedbackRequest& operator=(const FeedbackRequest&) = delete;

    /// Authenticates, reads, keeps, answers.
    Task<void> run();

private:
    Task<Result<std::string>> take(std::string_view body);
    Task<void> respond(int status, std::string_view body);
    Task<void> refuse(Error error);

    WorkerState& worker_;
    net::Exchange& exchange_;
    ClientRequest caller_;
    const std::shared_ptr<const Snapshot> snapshot_;  // pinned
    std::string request_id_;
};

}  // namespace leeway::app
