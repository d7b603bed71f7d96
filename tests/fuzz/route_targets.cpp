#include "app/routes/routes_file.hpp"
#include "app/routes/routes_import.hpp"
#include "fuzz/targets.hpp"
#include "json/node.hpp"
#include "methods/router/semantic/arguments/argument_report.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace leeway::fuzz {
namespace {

using router::ArgumentProperty;
using router::ArgumentState;
using router::ArgumentType;

ArgumentProperty property(std::string name, ArgumentType type = ArgumentType::kString) {
    ArgumentProperty out;
    out.name = std::move(name);
    out.type = type;
    out.required = true;
    return out;
}

/// One property of each kind, and two that compete.
router::ArgumentSchema every_kind() {
    router::ArgumentSchema out;
    for (const char* name : {"origin", "destination"}) out.properties.push_back(property(name));
    for (const char* name : {"departure_date", "return_date"}) {
        out.properties.push_back(property(name));
        out.properties.back().date = true;
    }
    out.properties.push_back(property("people", ArgumentType::kInteger));
    out.properties.back().maximum = 9;
    out.properties.push_back(property("budget", ArgumentType::kNumber));
    out.properties.back().unit = "EUR";
    out.properties.push_back(property("stay", ArgumentType::kNumber));
    out.properties.back().unit = "h";
    out.properties.push_back(property("direct", ArgumentType::kBoolean));
    out.properties.push_back(property("cabin"));
    out.properties.back().choices = {{"economy", {"coach"}},
                                     {"business", {"business class", "1 A"}}};
    out.properties.push_back(property("code"));
    out.properties.back().pattern = "[A-Z0-9]{6}";
    out.properties.push_back(property("mail"));
    out.properties.back().pattern = "^.+@.+$";
    for (ArgumentProperty& one : out.properties) require(router::prepare(one).has_value());
    return out;
}

bool in_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < '\x7f'; });
}

}  // namespace

void route_arguments(std::string_view text) {
    static const router::ArgumentSchema kSchema = every_kind();
    const router::Day today = router::day_of(1'778'544'000'000'000);
    std::vector<router::ArgumentValue> values = router::parse_arguments(kSchema, text, today);
    require(values.size() == kSchema.properties.size());
    std::vector<std::size_t> wanted;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const router::ArgumentValue& one = values[i];
        wanted.push_back(i);
        require((one.state == ArgumentState::kFound) == !one.json.empty());
        if (one.json.empty()) continue;
        // What is found is a value of the schema, and stands where it is said to.
        require(one.span.begin < one.span.end && one.span.end <= text.size());
        const auto node = json::parse_node(one.json);
        // Bytes that are no UTF-8, which requests do not have, are replaced, and count more then.
        const bool replaced = one.json.find("\xEF\xBF\xBD") != std::string::npos;
        require(node && (replaced || router::allows(kSchema.properties[i], *node)));
    }
    const std::string header = router::arguments_header(kSchema, values);
    require(in_ascii(header) && header.size() < 4096 && json::parse_node(header).has_value());
    // The same bytes as the answer of a model.
    if (router::take_answer(kSchema, wanted, text, values))
        require(json::parse_node(router::arguments_header(kSchema, values)).has_value());
    if (router::check_placeholders(text, kSchema))
        (void)router::fill_placeholders(text, kSchema, values);
}

void routes_file(std::string_view text) {
    (void)app::read_routes_text(std::string(text), "fuzz.yaml");
    if (const auto made = app::import_routes(std::string(text), "fuzz.json"))
        require(app::read_routes_text(made->text, "made.yaml").set.has_value());
}

}  // namespace leeway::fuzz
