#include "app/routes/arguments_import.hpp"

#include "app/config_values.hpp"
#include "app/routes/routes_file.hpp"
#include "base/strings.hpp"
#include "methods/router/semantic/arguments/argument_schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

namespace leeway::app {
namespace {

constexpr std::array<std::string_view, 4> kTypes{"string", "integer", "number", "boolean"};

/// One argument of ours.
struct Argument {
    std::string name;
    std::string type = "string";
    std::string description;
    std::vector<std::string> values;  // of an enum
    std::vector<std::pair<std::string, std::string>> more;  // keys that are the same there and here
    bool required = true;
};

/// Pieces between commas that are in no brackets and no quotes.
std::vector<std::string_view> split(std::string_view text) {
    std::vector<std::string_view> out;
    int depth = 0;
    char quote = 0;
    std::size_t begin = 0;
    for (std::size_t i = 0; i <= text.size(); ++i) {
        const char c = i < text.size() ? text[i] : ',';
        const bool end = i == text.size();
        if (!end && quote != 0) {
            if (c == quote) quote = 0;
            continue;
        }
        if (c == '\'' || c == '"') quote = c;
        if (c == '[' || c == '(' || c == '{') ++depth;
        if (c == ']' || c == ')' || c == '}') --depth;
        if (!end && (c != ',' || depth > 0)) continue;
        const std::string_view piece = trim(text.substr(begin, i - begin));
        if (!piece.empty()) out.push_back(piece);
        begin = i + 1;
    }
    return out;
}

/// What stands in the brackets of "NAME[…]" or "typing.NAME[…]"; nullopt: it is another type.
std::optional<std::string_view> inside(std::string_view type, std::string_view name) {
    constexpr std::string_view kModule = "typing.";
    if (type.starts_with(kModule)) type.remove_prefix(kModule.size());
    if (!type.starts_with(name) || !type.ends_with(']')) return std::nullopt;
    type.remove_prefix(name.size());
    if (!type.starts_with('[')) return std::nullopt;
    return trim(type.substr(1, type.size() - 2));
}

/// A type of Python; false: we have none like it.
bool read_type(std::string_view type, Argument& out) {
    while (const auto optional = inside(type, "Optional")) {
        type = *optional;
        out.required = false;
    }
    if (type.ends_with("| None")) {
        type = trim(type.substr(0, type.size() - 6));
        out.required = false;
    }
    constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kPython{
        {{"str", "string"}, {"int", "integer"}, {"float", "number"}, {"bool", "boolean"}}};
    for (const auto& [theirs, ours] : kPython) {
        if (type != theirs) continue;
        out.type = ours;
        return true;
    }
    if (const auto literal = inside(type, "Literal")) {
        for (const std::string_view one : split(*literal)) {
            if (one.size() > 2 && (one.front() == '\'' || one.front() == '"'))
                out.values.emplace_back(one.substr(1, one.size() - 2));
        }
        return !out.values.empty();
    }
    return type.empty();
}

/// Whether a keyword means here what it means there.
bool is_the_same(std::string_view key, std::string_view word) {
    return key == "minimum" || key == "maximum" || key == "pattern" ||
           (key == "format" && word == "date");
}

class Importer {
public:
    ImportedArguments run(const YAML::Node& schema) {
        if (!schema.IsMap()) {
            leave(schema, "is no function");
            return std::move(out_);
        }
        const YAML::Node function = schema["function"];
        const YAML::Node& of = function.IsDefined() && function.IsMap() ? function : schema;
        const YAML::Node parameters = of["parameters"];
        const YAML::Node signature = of["signature"];
        if (parameters.IsDefined() && parameters.IsMap() && parameters["properties"].IsDefined()) {
            read_schema(parameters);
        } else if (signature.IsDefined() && signature.IsScalar()) {
            read_signature(signature);
        } else {
            leave(schema, "has neither `parameters` nor a `signature`");
        }
        write();
        return std::move(out_);
    }

private:
    void leave(const YAML::Node& at, std::string what) {
        out_.not_carried.emplace_back(at, std::move(what));
    }

    void read_signature(const YAML::Node& node) {
        std::string_view text = trim(node.Scalar());
        const std::size_t end = text.rfind(')');
        if (!text.starts_with('(') || end == std::string_view::npos) {
            leave(node, "a signature that is none of Python");
            return;
        }
        // The result may have brackets too.
        const std::size_t arrow = text.rfind("->");
        text = text.substr(1, (arrow == std::string_view::npos ? end : text.rfind(')', arrow)) - 1);
        for (const std::string_view piece : split(text)) {
            if (piece.front() == '*' || piece == "self" || piece == "/") continue;
            Argument one;
            const std::size_t equals = piece.find('=');
            one.required = equals == std::string_view::npos;
            const std::string_view declared = trim(piece.substr(0, equals));
            const std::size_t colon = declared.find(':');
            one.name = trim(declared.substr(0, colon));
            const std::string_view type = colon == std::string_view::npos
                                              ? std::string_view()
                                              : trim(declared.substr(colon + 1));
            if (!read_type(type, one))
                leave(node, fmt::format("'{}: {}' is a string here", one.name, type));
            add(node, std::move(one));
        }
    }

    void read_schema(const YAML::Node& parameters) {
        std::vector<std::string> required;
        for (const YAML::Node& name : parameters["required"])
            if (name.IsScalar()) required.push_back(name.Scalar());
        for (const auto& pair : parameters["properties"]) {
            if (!pair.first.IsScalar()) continue;
            Argument one;
            one.name = pair.first.Scalar();
            one.required = std::find(required.begin(), required.end(), one.name) != required.end();
            if (pair.second.IsMap()) read_property(pair.second, one);
            add(pair.second, std::move(one));
        }
    }
    void read_property(const YAML::Node& node, Argument& out) {
        for (const auto& pair : node) {
            const std::string& key = pair.first.Scalar();
            const YAML::Node& value = pair.second;
            const std::string word = value.IsScalar() ? value.Scalar() : std::string();
            const bool known = std::find(kTypes.begin(), kTypes.end(), word) != kTypes.end();
            if (key == "type" && known) {
                out.type = word;
            } else if (key == "description" && value.IsScalar()) {
                out.description = word;
            } else if (key == "enum" && value.IsSequence()) {
                for (const YAML::Node& one : value)
                    if (one.IsScalar()) out.values.push_back(one.Scalar());
            } else if (value.IsScalar() && is_the_same(key, word)) {
                out.more.emplace_back(key, word);
            } else if (key != "title" && key != "default" && key != "examples") {
                leave(value, fmt::format("'{}' of '{}'", key, out.name));
            }
        }
    }
    void add(const YAML::Node& at, Argument one) {
        if (!check_name(one.name)) {
            leave(at, fmt::format("argument '{}': its name", one.name));
            return;
        }
        if (one.type != "string" && !one.values.empty()) {
            leave(at, fmt::format("'enum' of '{}': values are strings here", one.name));
            one.values.clear();
        }
        // Look-around and the like.
        std::erase_if(one.more, [&](const auto& pair) {
            if (pair.first != "pattern") return false;
            router::ArgumentProperty probe;
            probe.pattern = pair.second;
            const auto good = router::prepare(probe);
            if (!good) leave(at, fmt::format("'{}': {}", one.name, good.error().message));
            return !good;
        });
        arguments_.push_back(std::move(one));
    }

    void write() {
        if (arguments_.empty()) return;
        std::string required;
        std::string& text = out_.text;
        text += "    arguments:\n      properties:\n";
        for (const Argument& one : arguments_) {
            text += fmt::format("        {}:\n          type: {}\n", yaml_text(one.name), one.type);
            if (!one.description.empty())
                text += fmt::format("          description: {}\n", yaml_text(one.description));
            std::string values;
            for (const std::string& value : one.values)
                values += (values.empty() ? "" : ", ") + yaml_text(value);
            if (!values.empty()) text += fmt::format("          enum: [{}]\n", values);
            for (const auto& [key, value] : one.more)
                text += fmt::format("          {}: {}\n", key, yaml_text(value));
            if (one.required) required += (required.empty() ? "" : ", ") + yaml_text(one.name);
        }
        if (!required.empty()) text += fmt::format("      required: [{}]\n", required);
    }

    ImportedArguments out_;
    std::vector<Argument> arguments_;
};

}  // namespace

ImportedArguments import_arguments(const YAML::Node& schema) { return Importer().run(schema); }

}  // namespace leeway::app
