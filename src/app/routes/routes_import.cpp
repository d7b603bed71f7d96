#include "app/routes/routes_import.hpp"

#include "app/config_values.hpp"
#include "app/routes/arguments_import.hpp"
#include "app/routes/routes_file.hpp"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace leeway::app {
namespace {

// Of a route there: taken over, or of no meaning here.
constexpr std::array<std::string_view, 7> kKnown{
    "name", "utterances", "description", "metadata", "id", "function_schema", "function_schemas"};

std::string place(const std::string& name, const YAML::Node& node) {
    return fmt::format("{}:{}:{}", name, node.Mark().line + 1, node.Mark().column + 1);
}

/// Our names travel in headers.
std::string usable_name(std::string name) {
    for (char& c : name) {
        const bool plain = c > ' ' && c < 0x7f && c != ',' && c != '"' && c != '\'' && c != '\\';
        if (!plain) c = '_';
    }
    return name.substr(0, 128);
}

class Importer {
public:
    explicit Importer(std::string name) : name_(std::move(name)) {}

    Result<ImportedRoutes> run(const YAML::Node& root) {
        const YAML::Node routes = root.IsMap() ? root["routes"] : root;
        if (!routes.IsDefined() || !routes.IsSequence() || routes.size() == 0) {
            return fail(ErrorCode::kConfig, fmt::format("{}: there are no `routes`, a list", name_),
                        "a file that semantic-router wrote was expected");
        }
        if (root.IsMap()) read_top(root);
        out_.text = fmt::format("# Made from {} by `leeway import routes`.\nroutes:\n", name_);
        for (const YAML::Node& route : routes) {
            if (auto added = add(route); !added) return fail(std::move(added.error()));
        }
        return std::move(out_);
    }

private:
    void leave(const YAML::Node& node, std::string_view what) {
        out_.not_carried.push_back(fmt::format("{}: {}", place(name_, node), what));
    }
    void read_top(const YAML::Node& root) {
        if (const YAML::Node encoder = root["encoder_name"]; encoder.IsDefined()) {
            leave(encoder, fmt::format("encoder '{}': routes are embedded by the gateway's own "
                                       "embedding model (`embeddings:`)",
                                       encoder.IsScalar() ? encoder.Scalar() : std::string()));
        }
    }
    Result<void> add(const YAML::Node& route) {
        const YAML::Node utterances = route.IsMap() ? route["utterances"] : YAML::Node();
        if (!route.IsMap() || !route["name"].IsDefined() || !route["name"].IsScalar() ||
            !utterances.IsDefined() || !utterances.IsSequence()) {
            return fail(ErrorCode::kConfig,
                        fmt::format("{}: a route with `name` and `utterances` was expected",
                                    place(name_, route)));
        }
        const std::string& theirs = route["name"].Scalar();
        const std::string ours = usable_name(theirs);
        if (ours != theirs)
            leave(route["name"], fmt::format("name '{}': here it is '{}'", theirs, ours));
        out_.text += fmt::format("  - name: {}\n", yaml_text(ours));
        const YAML::Node about = route["description"];
        if (about.IsDefined() && about.IsScalar() && !about.IsNull() && !about.Scalar().empty())
            out_.text += fmt::format("    description: {}\n", yaml_text(about.Scalar()));
        out_.text += "    utterances:\n";
        for (const YAML::Node& one : utterances) {
            if (one.IsScalar()) {
                out_.text += fmt::format("      - {}\n", yaml_text(one.Scalar()));
            } else {
                leave(one, "an utterance that is no text");
            }
        }
        for (const auto& pair : route) leave_over(pair.first, pair.second);
        for (const char* key : {"function_schema", "function_schemas"}) {
            const YAML::Node schema = route[key];
            if (schema.IsDefined() && !schema.IsNull()) add_arguments(schema, key);
        }
        return {};
    }
    void add_arguments(const YAML::Node& schemas, std::string_view key) {
        const bool many = schemas.IsSequence();
        if (many && schemas.size() == 0) return;
        if (many && schemas.size() > 1)
            leave(schemas[1], "a second function: a route has the arguments of one");
        ImportedArguments made = import_arguments(many ? schemas[0] : schemas);
        for (const auto& [at, what] : made.not_carried) leave(at, fmt::format("{}: {}", key, what));
        out_.text += made.text;
    }
    void leave_over(const YAML::Node& key, const YAML::Node& value) {
        const bool empty = value.IsNull() || (!value.IsScalar() && value.size() == 0);
        const std::string& word = key.Scalar();
        if (empty) return;
        if (word == "score_threshold" || word == "confidence_threshold") {
            leave(value, fmt::format("{} {}: it was for another score; `leeway tune routes` fits "
                                     "one to labelled texts",
                                     word, value.IsScalar() ? value.Scalar() : std::string()));
        } else if (word == "llm") {
            leave(value,
                  "llm: name a model of the gateway that is asked for arguments that are "
                  "not found: `arguments_model`");
        } else if (std::find(kKnown.begin(), kKnown.end(), word) == kKnown.end()) {
            leave(value, fmt::format("'{}' has no counterpart", word));
        }
    }

    std::string name_;
    ImportedRoutes out_;
};

}  // namespace

Result<ImportedRoutes> import_routes(const std::string& text, const std::string& name) {
    try {
        const YAML::Node root = YAML::Load(text);
        auto out = Importer(name).run(root);
        if (!out) return out;
        // What cannot be used must not be called done: the same utterance in two routes, no utterance.
        const RoutesReading reading = read_routes_text(out->text, name);
        if (reading.set) return out;
        std::string lines;
        for (const ConfigProblem& problem : reading.problems)
            if (problem.is_error) lines += (lines.empty() ? "" : "\n") + problem.message;
        return fail(ErrorCode::kConfig, fmt::format("{}: {}", name, lines));
    } catch (const YAML::Exception& exception) {
        return fail(ErrorCode::kConfig,
                    fmt::format("{}:{}:{}: neither JSON nor YAML: {}", name,
                                exception.mark.line + 1, exception.mark.column + 1, exception.msg));
    }
}

}  // namespace leeway::app
