#include "app/commands/route_arguments.hpp"
#include "app/commands/route_router.hpp"
#include "app/commands/routes_data.hpp"
#include "app/commands/routes_options.hpp"
#include "app/config.hpp"
#include "app/config_names.hpp"
#include "app/routes/routes_file.hpp"
#include "app/terminal.hpp"
#include "json/write.hpp"
#include "methods/router/semantic/semantic_router.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <utility>

namespace leeway::app {
namespace {

using router::DecidedBy;
using router::Decision;
using router::SemanticRouter;

constexpr std::size_t kMostText = 64ULL * 1024 * 1024;
constexpr std::size_t kRoutesShown = 5;
constexpr std::size_t kTextShown = 70;

struct Explained {
    Decision decision;
    std::vector<std::pair<router::LabelledText, float>> nearest;
    const router::RouteSet* set = nullptr;
    const SemanticRouter* router = nullptr;  ///< null: a rule decided, nothing was embedded
    std::string model;
    ExplainedArguments arguments;

    [[nodiscard]] std::string route() const {
        return decision.route ? set->routes[*decision.route].name : std::string();
    }
};

std::string shown(std::string_view text) {
    std::string out(text.substr(0, kTextShown));
    for (char& c : out)
        if (static_cast<unsigned char>(c) < ' ') c = ' ';
    // Not in the middle of a character.
    while (!out.empty() && out.size() == kTextShown &&
           (static_cast<unsigned char>(text[out.size()]) & 0xC0U) == 0x80U)
        out.pop_back();
    return text.size() > out.size() ? out + "…" : out;
}

void write_json(const Explained& e, std::string& out) {
    json::Writer writer(out);
    writer.object().key("route");
    e.decision.route ? writer.string(e.route()) : writer.null();
    writer.key("by").string(router::to_string(e.decision.by));
    writer.key("probability").number(e.decision.probability);
    if (e.decision.by == DecidedBy::kRule)
        writer.key("rule").string(e.set->rules[e.decision.rule].when);
    writer.key("embedded").boolean(e.router != nullptr);
    if (e.router != nullptr) {
        writer.key("model").string(e.model).key("stale").boolean(e.router->stale());
        writer.key("fitted").boolean(e.set->fitted.has_value() && !e.router->stale());
    }
    writer.key("scores").array();
    for (const auto& one : e.decision.scores) {
        writer.object().key("route").string(e.set->routes[one.route].name);
        writer.key("score").number(one.score).key("threshold").number(one.threshold);
        writer.key("probability").number(one.probability);
        writer.key("dense").number(static_cast<double>(one.parts.dense));
        writer.key("sparse").number(static_cast<double>(one.parts.sparse));
        writer.key("head").number(static_cast<double>(one.parts.head)).close_object();
    }
    writer.close_array().key("nearest").array();
    for (const auto& [example, cosine] : e.nearest) {
        writer.object().key("text").string(example.text).key("route");
        example.route.empty() ? writer.null() : writer.string(example.route);
        writer.key("cosine").number(static_cast<double>(cosine)).close_object();
    }
    writer.close_array();
    write_arguments(e.arguments, writer);
    writer.close_object();
    out += '\n';
}

std::string reason(const Explained& e) {
    switch (e.decision.by) {
        case DecidedBy::kScore: return "its score exceeds its threshold by most";
        case DecidedBy::kRule:
            return fmt::format("rule {} holds: {} (nothing was embedded)", e.decision.rule + 1,
                               e.set->rules[e.decision.rule].when);
        case DecidedBy::kContext: return "together with the turn before";
        case DecidedBy::kBelow: return "no score reaches its threshold";
        case DecidedBy::kAmbiguous: return "two routes are nearer to each other than the margin";
        case DecidedBy::kEmpty: break;
    }
    return "there is no text";
}

std::string decision_text(const Explained& e) {
    std::string out = e.decision.route ? fmt::format("route {}", e.route()) : "rejected";
    out += fmt::format(": {}\n", reason(e));
    if (!e.decision.route && !e.set->rejection_route.empty())
        out += fmt::format("rejected texts go to route {}\n", e.set->rejection_route);
    if (e.router == nullptr) return out;
    out += fmt::format("probability {:.2f}, by {}{}\n\n", e.decision.probability, e.model,
                       e.router->stale() ? "; the file was fitted for another model, so defaults "
                                           "stand in: run `leeway tune routes`"
                       : e.set->fitted   ? ""
                                         : "; thresholds are defaults (`leeway tune routes` fits "
                                           "them)");
    std::vector<std::vector<std::string>> rows{
        {"route", "score", "threshold", "probability", "vectors", "words", "head"}};
    for (const auto& one : e.decision.scores) {
        if (rows.size() > kRoutesShown) break;
        rows.push_back(
            {e.set->routes[one.route].name, fmt::format("{:.3f}", one.score),
             fmt::format("{:.3f}", one.threshold), fmt::format("{:.3f}", one.probability),
             fmt::format("{:.3f}", one.parts.dense), fmt::format("{:.3f}", one.parts.sparse),
             fmt::format("{:.3f}", one.parts.head)});
    }
    out += table(rows);
    if (e.nearest.empty()) return out;
    out += "\nnearest examples\n";
    for (const auto& [example, cosine] : e.nearest) {
        out +=
            fmt::format("  {:.3f}  {:<16}  {}\n", cosine,
                        example.route.empty() ? "(rejected)" : example.route, shown(example.text));
    }
    return out;
}

/// Of the route that takes the text in the end.
const router::RouteAction* action_of(const Explained& e) {
    std::optional<std::size_t> route = e.decision.route;
    if (!route) route = e.set->find(e.set->rejection_route);
    return route ? &e.set->routes[*route].action : nullptr;
}

int show(Explained e, const RouteOptions& options, std::string_view text) {
    if (const router::RouteAction* action = action_of(e)) {
        auto explained = explain_arguments(*action, text, options.today);
        if (!explained) return report_failure(explained.error());
        e.arguments = std::move(*explained);
    }
    std::string out;
    if (options.json) {
        write_json(e, out);
    } else {
        out = decision_text(e) + arguments_text(e.arguments);
    }
    return print_out(out);
}

Result<Config> config_of(const RouteOptions& options) {
    std::string path = options.config;
    if (path.empty()) {
        auto found = default_config_path();
        if (!found)
            return fail(ErrorCode::kConfig, "no routes file", "give one with --routes FILE");
        path = std::move(*found);
    }
    return load_config(path);
}

/// The only routes file of a configuration, or of one route of it.
Result<std::string> file_of(const Config& config, const std::string& only_route) {
    const std::string& path = config.path;
    std::string only;
    for (const RouteConfig& route : config.routes) {
        if (!only_route.empty() && route.name != only_route) continue;
        const std::string& file = route.semantic_routes.file;
        if (file.empty() || file == only) continue;
        if (!only.empty())
            return fail(ErrorCode::kConfig, fmt::format("{} names several routes files", path),
                        "say which with --routes FILE");
        only = file;
    }
    if (only.empty())
        return fail(ErrorCode::kConfig, fmt::format("{} names no routes file", path),
                    "give one with --routes FILE");
    return only;
}

}  // namespace

int run_route(const RouteOptions& options) {
    std::string text = options.text;
    if (text == "-") {
        auto read = read_input("-", kMostText);
        if (!read) return report_failure(read.error());
        text = std::move(*read);
    }
    std::string path = options.routes;
    if (path.empty()) {
        const auto config = config_of(options);
        if (!config) return report_failure(config.error());
        const RouteConfig* route = find_named(config->routes, options.route);
        if (route == nullptr && !options.route.empty()) {
            return report_failure({ErrorCode::kNotFound,
                                   fmt::format("{} has no route '{}'", config->path, options.route),
                                   {},
                                   {},
                                   {}});
        }
        if (route != nullptr && !route->router.policy.empty())
            return explain_router(*config, *route, options, text);
        auto file = file_of(*config, options.route);
        if (!file) return report_failure(file.error());
        path = std::move(*file);
    }
    auto set = load_routes(path);
    if (!set) return report_failure(set.error());
    Explained out;
    // What needs no vector must not wait for a model.
    const auto rules_only = SemanticRouter::rules_of(*set);
    if (!rules_only) return report_failure(rules_only.error());
    if (auto known = rules_only->without_vector(text)) {
        out.decision = std::move(*known);
        out.set = &*set;
        return show(std::move(out), options, text);
    }
    const auto embedder = embedder_for(options.config, options.embedding);
    if (!embedder) return report_failure(embedder.error());
    auto embedded = embed_set(std::move(*set), **embedder);
    if (!embedded) return report_failure(embedded.error());
    const models::EmbeddingModel& model = (*embedder)->model();
    const auto router = SemanticRouter::build(std::move(embedded->set), model, embedded->vectors);
    if (!router) return report_failure(router.error());
    const std::array<std::string, 2> texts{text, options.before};
    const auto vectors = (*embedder)->embed(std::span(texts).first(options.before.empty() ? 1 : 2));
    if (!vectors) return report_failure(vectors.error());
    router::RouteQuery query{text, vectors->row(0), options.before, {}, options.nearest};
    if (!options.before.empty()) query.prior_vector = vectors->row(1);
    out.decision = router->decide(query);
    out.set = &router->set();
    out.router = &*router;
    out.model = model.name;
    for (const router::Neighbour& one : out.decision.nearest)
        out.nearest.emplace_back(router->example(one), one.cosine);
    return show(std::move(out), options, text);
}

}  // namespace leeway::app
