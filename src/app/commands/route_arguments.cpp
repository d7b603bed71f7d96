#include "app/commands/route_arguments.hpp"

#include "app/terminal.hpp"
#include "base/clock.hpp"
#include "methods/router/semantic/arguments/argument_report.hpp"

#include <fmt/format.h>

#include <utility>

namespace leeway::app {

using router::ArgumentState;

Result<ExplainedArguments> explain_arguments(const router::RouteAction& action,
                                             std::string_view text, std::string_view today) {
    ExplainedArguments out;
    const router::ArgumentSchema& schema = action.arguments;
    if (schema.properties.empty()) return out;
    std::optional<router::Day> day = router::day_of(unix_now_us());
    if (!today.empty()) day = router::parse_iso_date(today);
    if (!day)
        return fail(ErrorCode::kInvalidRequest, fmt::format("--today: '{}' is no day", today),
                    "as 2026-05-12");
    auto values = router::parse_arguments(schema, text, *day);
    if (!router::wanted_of(schema, values).empty()) out.asked = action.arguments_model;
    out.answer = router::fill_placeholders(action.answer, schema, values).value_or(std::string());
    for (std::size_t i = 0; i < values.size(); ++i) {
        std::string from(values[i].span.of(text));
        out.all.push_back({&schema.properties[i], std::move(values[i]), std::move(from)});
    }
    return out;
}

void write_arguments(const ExplainedArguments& arguments, json::Writer& writer) {
    if (arguments.all.empty()) return;
    writer.key("arguments").array();
    for (const auto& one : arguments.all) {
        writer.object().key("name").string(one.property->name);
        writer.key("required").boolean(one.property->required);
        writer.key("state").string(router::to_string(one.value.state));
        if (one.value.state == ArgumentState::kFound) {
            writer.key("value").raw(one.value.json).key("from").string(one.from);
            writer.key("offset").integer(static_cast<std::int64_t>(one.value.span.begin));
        }
        writer.close_object();
    }
    writer.close_array().key("arguments_model");
    arguments.asked.empty() ? writer.null() : writer.string(arguments.asked);
    if (!arguments.answer.empty()) writer.key("answer").string(arguments.answer);
}

std::string arguments_text(const ExplainedArguments& arguments) {
    if (arguments.all.empty()) return {};
    std::vector<std::vector<std::string>> rows{{"argument", "value", "from"}};
    for (const auto& one : arguments.all) {
        const bool found = one.value.state == ArgumentState::kFound;
        std::string state(router::to_string(one.value.state));
        if (one.property->required && !found) state += ", required";
        rows.push_back({one.property->name, found ? one.value.json : "(" + state + ")", one.from});
    }
    std::string out = "\narguments\n" + table(rows);
    if (!arguments.asked.empty())
        out += fmt::format("the gateway would ask {} for what is missing\n", arguments.asked);
    if (!arguments.answer.empty()) out += fmt::format("answer: {}\n", arguments.answer);
    return out;
}

}  // namespace leeway::app
