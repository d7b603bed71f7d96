#pragma once

#include "app/client_request.hpp"
#include "app/trial_stream.hpp"
#include "providers/balance.hpp"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace leeway::app {

/// What came of a target that gave no answer. Kept until it is known whether another does.
struct ClientRequest::Failure {
    const pipeline::Model* model = nullptr;
    providers::Hope hope = providers::Hope::kNone;
    bool unwell = false;  ///< the target's own fault: its breaker hears of it
    bool unconvincing = false;  ///< it answered, on trial, and the strong model is to be asked
    int status = 0;       ///< of the upstream's refusal; 0: none came, `error` says why
    Error error;
    std::int64_t retry_after_s = 0;  ///< with `error`; 0: not known
    std::optional<Duration> told_wait;
    std::optional<Duration> held;  ///< not asked, for a rate limit that is over then
    std::string body;
    bool is_json = true;
    std::vector<std::pair<std::string, std::string>> fields;
};

/// What came of a model on trial.
struct ClientRequest::Tried {
    std::optional<TrialStream> stream;  ///< nullopt: a whole answer was asked for, or came
    std::optional<Error> broken;  ///< the stream broke off
    Result<std::string_view> body;  ///< of a whole answer
    std::vector<std::pair<std::string, std::string>> fields;  ///< of its head, for the caller
    bool judged = false;
    bool accepted = false;
    std::optional<wire::ChatAnswer> answer;  ///< nullopt: there is none, or it is still to come
    std::optional<Failure> failure;  ///< why there is no answer to judge
};

/// One attempt on its way to its first byte. Lives in the frame of `attempt`; does not move.
struct ClientRequest::Leg {
    Leg(WorkerState& worker, const providers::Provider& at, const pipeline::Model& of,
        net::Deadline& deadline)
        : provider(at), model(of), call(worker.pool, at.origin, deadline) {}
    const providers::Provider& provider;
    const pipeline::Model& model;
    providers::PreparedRequest prepared;
    net::UpstreamCall call;
    std::optional<providers::TargetLoad::Call> under_way;
    Result<void> started;
    TimePoint head_at{};  ///< when the answer's head, or the news that there is none, was there
    std::optional<Opening> opening;  ///< of a stream
    std::unique_ptr<Tried> tried;  ///< null: it is not judged
};

}  // namespace leeway::app
