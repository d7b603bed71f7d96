#pragma once

#include "base/result.hpp"
#include "base/task.hpp"
#include "methods/router/semantic/route_table.hpp"
#include "models/embedding.hpp"
#include "pipeline/context.hpp"
#include "pipeline/stage.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::router {

/// A table as one route of the gateway uses it. All outlive the stage.
struct TableUse {
    std::shared_ptr<const RouteTable> table;
    models::Embedder* embedder = nullptr;
    Duration limit = std::chrono::milliseconds(50);  ///< for all of the embedding
    /// The model that each route of the table names, and last that of the rejection; null: it names none.
    std::vector<const pipeline::Model*> models;
    /// The same of their `arguments_model`.
    std::vector<const pipeline::Model*> argument_models;
    /// Answers what must stay on this machine; null: only the route's own model may, if it runs here.
    const pipeline::Model* local = nullptr;
};

/// What of a table applies to a request.
struct TableDecision {
    Decision decision;
    const RouteAction* action = nullptr;  ///< never null
    const pipeline::Model* model = nullptr;  ///< that the action names
    const pipeline::Model* argument_model = nullptr;  ///< that it names for its arguments
    std::string text;  ///< what was decided about
    std::string_view name;  ///< of the route; empty: rejected
};

/// Decides about the last thing the caller's person said. A rule that holds needs no vector; else one text is embedded,
/// and the one before only where the first alone is rejected. Errors: those of the embedder; kUnavailable with reason
/// "not_ready" (the utterances are not embedded yet) or "model_changed".
[[nodiscard]] Task<Result<TableDecision>> decide(const TableUse& use,
                                                 pipeline::RequestContext& context);

/// Tells the decision in the header and the notes.
void tell(const TableDecision& decided, std::string_view stage, pipeline::RequestContext& context);
/// What a stage does where `decide` failed: it declines, with the reason in the notes, if its `on_error` is kReject; else
/// it fails as well.
[[nodiscard]] pipeline::Verdict undecided(Error why, const pipeline::StageInfo& stage,
                                          const RouteSet& set, pipeline::RequestContext& context);
/// Does what an action says, but for its arguments.
[[nodiscard]] pipeline::Verdict act(const RouteAction& action, const pipeline::Model* model,
                                    const TableUse& use, pipeline::RequestContext& context);
/// Finds the arguments of a dynamic route, tells them in the header and the notes, and then does what the action says;
/// of a route without arguments the latter only. A model is asked for what parsing does not find, if the route names
/// one, once and not beyond the file's `arguments_within`; whatever comes of it, the request goes on. The one way to act
/// on a decision. All parameters outlive the task.
[[nodiscard]] Task<pipeline::Verdict> carry_out(const TableDecision& decided, const TableUse& use,
                                                pipeline::RequestContext& context);
/// Answers with the table's words for what it rejects, in the form that the caller wants.
[[nodiscard]] pipeline::Verdict decline(const RouteSet& set, pipeline::RequestContext& context);

}  // namespace leeway::router
