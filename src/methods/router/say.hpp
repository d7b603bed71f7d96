#pragma once

#include "pipeline/stage.hpp"

#include <string_view>

namespace leeway::router {

/// Answers a chat request with a text that no model was asked for by it, in the form that its caller wants, at a usage of zero
/// tokens; Failed where that form cannot be made. Uses the thread's JSON indexer.
[[nodiscard]] pipeline::Verdict say(std::string_view text, const pipeline::RequestContext& context);

}  // namespace leeway::router
