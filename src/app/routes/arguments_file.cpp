#include "app/routes/arguments_file.hpp"

#include "json/number.hpp"
#include "methods/router/semantic/arguments/argument_report.hpp"
#include "methods/router/semantic/arguments/argument_schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace leeway::app {
namespace {

using router::ArgumentProperty;
using router::ArgumentType;

constexpr std::size_t kMostChoices = 1000;

std::vector<std::string> texts_of(Section& section, std::string_view key) {
    std::vector<PlacedText> texts;
    section.list(key, texts);
    std::vector<std::string> out;
    out.reserve(texts.size());
    for (PlacedText& one : texts) out.push_back(std::move(one.text));
    return out;
}

void read_bound(ConfigSource& source, Section& section, std::string_view key,
                std::optional<double>& out) {
    const auto value = section.scalar(key);
    if (!value) return;
    out = json::to_double(value->text);
    if (!out) source.error(value->mark, fmt::format("{}: '{}' is no number", key, value->text));
}

void read_choices(ConfigSource& source, Section& section, ArgumentProperty& out) {
    for (std::string& value : texts_of(section, "enum")) {
        if (value.empty() || value.size() > router::kMostArgumentBytes)
            source.error(section.mark("enum"),
                         fmt::format("a value has 1 to {} bytes", router::kMostArgumentBytes));
        out.choices.push_back({std::move(value), {}});
    }
    if (section.has("enum") && out.choices.empty())
        source.error(section.mark("enum"), "an enum needs at least one value");
    if (out.choices.size() > kMostChoices)
        source.error(section.mark("enum"), fmt::format("more than {} values", kMostChoices));
    Section synonyms = section.section("synonyms");
    for (router::ArgumentChoice& choice : out.choices)
        choice.synonyms = texts_of(synonyms, choice.value);
    synonyms.finish();
}

ArgumentProperty read_property(ConfigSource& source, std::string name, Section& section) {
    ArgumentProperty out;
    out.name = std::move(name);
    section.text("description", out.description);
    section.choice<ArgumentType>("type", out.type,
                                 {{"string", ArgumentType::kString},
                                  {"integer", ArgumentType::kInteger},
                                  {"number", ArgumentType::kNumber},
                                  {"boolean", ArgumentType::kBoolean}});
    section.choice<bool>("format", out.date, {{"date", true}});
    section.text("pattern", out.pattern);
    read_choices(source, section, out);
    read_bound(source, section, "minimum", out.minimum);
    read_bound(source, section, "maximum", out.maximum);
    section.text("unit", out.unit);
    out.words = texts_of(section, "words");
    if (auto ready = router::prepare(out); !ready)
        source.error(section.has("pattern") ? section.mark("pattern") : section.mark(), out.name,
                     ready.error());
    section.finish();
    return out;
}

void read_schema(ConfigSource& source, Section& section, router::ArgumentSchema& out) {
    std::string type = "object";
    section.text("type", type);
    if (type != "object")
        source.error(section.mark("type"), "the arguments of a route are an object");
    std::string about;
    section.text("description", about);  // for people
    section.declare("additionalProperties");  // there never are
    if (!section.has("properties")) {
        source.error(section.mark(), "a route's arguments need `properties:`");
    }
    Section properties = section.section("properties");
    std::vector<std::string> names;
    for (auto& [name, one] : properties.named_sections()) {
        names.push_back(name.text);
        out.properties.push_back(read_property(source, name.text, one));
    }
    if (section.has("properties") && out.properties.empty())
        source.error(section.mark("properties"), "there are no properties");
    if (out.properties.size() > router::kMostProperties)
        source.error(section.mark("properties"),
                     fmt::format("more than {} properties", router::kMostProperties));
    std::vector<PlacedText> required;
    section.list("required", required);
    for (const PlacedText& one : required) {
        const auto found = std::find(names.begin(), names.end(), one.text);
        if (found == names.end()) {
            source.unknown(one.mark, "argument", one.text, names);
        } else {
            out.properties[static_cast<std::size_t>(found - names.begin())].required = true;
        }
    }
    section.finish();
}

}  // namespace

void read_arguments(ConfigSource& source, Section& route, router::RouteAction& out) {
    route.text("arguments_model", out.arguments_model);
    if (!route.has("arguments")) {
        route.declare("arguments");
        if (!out.arguments_model.empty())
            source.error(route.mark("arguments_model"), "there are no `arguments:` to ask it for");
        return;
    }
    Section section = route.section("arguments");
    read_schema(source, section, out.arguments);
    if (out.answer.empty()) return;
    if (const auto good = router::check_placeholders(out.answer, out.arguments); !good)
        source.error(route.mark("answer"), "answer", good.error());
}

}  // namespace leeway::app
