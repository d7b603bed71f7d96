#pragma once

#include "base/result.hpp"
#include "base/task.hpp"
#include "pipeline/context.hpp"

#include <string_view>
#include <utility>
#include <variant>

namespace leeway::pipeline {

/// The request goes on to the next stage.
struct Continue {};
/// The stage answers; no upstream is asked.
struct Respond {
    StageAnswer answer;
};
/// The request is refused.
struct Reject {
    Error error;
    std::int64_t retry_after_s = 0;  ///< 0: no Retry-After
};
/// Another model shall answer.
struct Retarget {
    const Model* model = nullptr;
};
/// The stage could not do its work; what follows depends on `StageInfo::on_error`.
struct Failed {
    Error error;
};
using Verdict = std::variant<Continue, Respond, Reject, Retarget, Failed>;

enum class OnError : std::uint8_t {
    kSkip,    ///< optional: go on without it, count it, note it in the ledger
    kReject,  ///< mandatory: the request fails closed
};

struct StageInfo {
    std::string_view name;
    OnError on_error = OnError::kSkip;
    bool guards = false;  ///< also runs for requests that show what there is without us
};

/// One step of the pipeline. An instance belongs to a configuration snapshot and is used by all
/// workers at once: what it remembers lives in thread-safe stores outside. It has no plumbing: the
/// runner switches it, times it, counts it and handles its failures.
class Stage {
public:
    virtual ~Stage() = default;
    [[nodiscard]] virtual const StageInfo& info() const noexcept = 0;
    /// Before the body is read: only headers are known. Must not wait.
    [[nodiscard]] virtual Verdict on_head(RequestContext&) { return Continue{}; }
    /// The request is parsed, its route and model are known.
    [[nodiscard]] virtual Task<Verdict> on_request(RequestContext& context) = 0;
    /// The request ended. Called once for every stage whose `on_request` ran, in reverse order. Must
    /// not wait.
    virtual void on_outcome(RequestContext&, const Outcome&) noexcept {}
};

}  // namespace leeway::pipeline
