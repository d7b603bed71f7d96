#pragma once

#include "base/result.hpp"
#include "json/write.hpp"
#include "methods/router/semantic/arguments/argument_parser.hpp"
#include "methods/router/semantic/route_set.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace leeway::app {

/// What `leeway route` shows of a dynamic route; of another it is empty.
struct ExplainedArguments {
    struct One {
        const router::ArgumentProperty* property = nullptr;
        router::ArgumentValue value;
        std::string from;  ///< the part of the text
    };
    std::vector<One> all;
    std::string asked;  ///< the model that the gateway would ask; empty: none
    std::string
        answer;  ///< the route's fixed words with the values; empty: it has none, or not all are there
};

/// `today`: "YYYY-MM-DD"; empty: today in UTC. The action outlives the result. Errors: kInvalidRequest (no such day).
[[nodiscard]] Result<ExplainedArguments> explain_arguments(const router::RouteAction& action,
                                                           std::string_view text,
                                                           std::string_view today);
/// Adds the members "arguments" and the like of an object; none if there are no arguments.
void write_arguments(const ExplainedArguments& arguments, json::Writer& writer);
/// A table with a line before it; empty if there are no arguments.
[[nodiscard]] std::string arguments_text(const ExplainedArguments& arguments);

}  // namespace leeway::app
