#include "app/routes/route_stages.hpp"

#include "app/routes/routes_file.hpp"
#include "guard/topics/topics_stage.hpp"
#include "methods/router/semantic/semantic_routes_stage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace leeway::app {
namespace {

constexpr std::string_view kRoutes = "semantic_routes";
constexpr std::string_view kGuard = "guard";

using Otherwise = guard::topics::Otherwise;

Otherwise otherwise_of(GuardOtherwise otherwise) {
    switch (otherwise) {
        case GuardOtherwise::kReject: break;
        case GuardOtherwise::kAllow: return Otherwise::kAllow;
        case GuardOtherwise::kLog: return Otherwise::kLog;
        case GuardOtherwise::kLocalOnly: return Otherwise::kLocalOnly;
    }
    return Otherwise::kReject;
}

/// Of each route, and last of the rejection; empty: it names none.
std::vector<std::string> models_of(const router::RouteSet& set,
                                   std::string router::RouteAction::* which) {
    std::vector<std::string> out;
    out.reserve(set.routes.size() + 1);
    for (const auto& route : set.routes) out.push_back(route.action.*which);
    out.push_back(set.rejection.*which);
    return out;
}

pipeline::OnError undecided_of(bool reject) {
    return reject ? pipeline::OnError::kReject : pipeline::OnError::kSkip;
}

void read_undecided(Section& section, bool& reject) {
    section.choice<bool>("undecided", reject, {{"pass", false}, {"reject", true}});
}

void check_file(ConfigSource& source, const Config& config, const RouteConfig& route,
                std::string_view stage, const std::string& file, const std::string& local,
                const YAML::Mark& mark) {
    const bool used =
        std::find(route.stages.begin(), route.stages.end(), stage) != route.stages.end();
    if (used != !file.empty()) {
        source.error(
            mark, used ? fmt::format("route '{}': the stage {} needs its file: `{}: "
                                     "{{{}: routes.yaml}}`",
                                     route.name, stage, stage, stage == kGuard ? "topics" : "file")
                       : fmt::format("route '{}' has '{}', but it is not among its stages",
                                     route.name, stage));
        return;
    }
    if (!used) return;
    std::vector<std::string> known;
    known.reserve(config.models.size());
    for (const ModelConfig& model : config.models) known.push_back(model.name);
    const auto check_model = [&](const std::string& model) {
        if (!model.empty() && std::find(known.begin(), known.end(), model) == known.end())
            source.unknown(mark, "model", model, known);
    };
    check_model(local);
    const auto set = load_routes(file);
    if (!set) {
        source.error(mark, fmt::format("{}: {}", stage, set.error().message));
        return;
    }
    for (const auto which : {&router::RouteAction::model, &router::RouteAction::arguments_model})
        for (const std::string& model : models_of(*set, which)) check_model(model);
}

}  // namespace

bool is_route_stage(std::string_view stage) noexcept { return stage == kRoutes || stage == kGuard; }

Result<std::unique_ptr<pipeline::Stage>> make_route_stage(
    std::string_view stage, const RouteConfig& route, RouteTables& tables,
    models::Embedder& embedder, Duration limit,
    const std::function<const pipeline::Model*(std::string_view)>& find) {
    const bool guards = stage == kGuard;
    auto table = tables.open(guards ? route.guard.topics : route.semantic_routes.file, embedder);
    if (!table) return fail(std::move(table.error()));
    router::TableUse use;
    use.table = std::move(*table);
    use.embedder = &embedder;
    use.limit = limit;
    const std::string& local = guards ? route.guard.local : route.semantic_routes.local;
    if (!local.empty()) use.local = find(local);
    for (const auto& [which, models] :
         {std::pair(&router::RouteAction::model, &use.models),
          std::pair(&router::RouteAction::arguments_model, &use.argument_models)}) {
        for (const std::string& name : models_of(use.table->set(), which)) {
            models->push_back(name.empty() ? nullptr : find(name));
            if (!name.empty() && models->back() == nullptr)
                return fail(ErrorCode::kConfig,
                            fmt::format("{}: there is no model '{}'", use.table->set().path, name));
        }
    }
    if (guards)
        return std::make_unique<guard::topics::TopicsStage>(
            std::move(use), otherwise_of(route.guard.otherwise),
            undecided_of(route.guard.reject_undecided));
    return std::make_unique<router::SemanticRoutesStage>(
        std::move(use), undecided_of(route.semantic_routes.reject_undecided));
}

void read_route_stages(ConfigSource& source, Section& section, RouteConfig& out,
                       RouteMarks& marks) {
    (void)source;
    Section routes = section.section(kRoutes);
    routes.text("file", out.semantic_routes.file);
    routes.text("local", out.semantic_routes.local);
    read_undecided(routes, out.semantic_routes.reject_undecided);
    marks.semantic_routes = section.has(kRoutes) ? section.mark(kRoutes) : marks.name;
    routes.finish();
    Section guard = section.section(kGuard);
    guard.text("topics", out.guard.topics);
    guard.text("local", out.guard.local);
    read_undecided(guard, out.guard.reject_undecided);
    guard.choice<GuardOtherwise>("otherwise", out.guard.otherwise,
                                 {{"reject", GuardOtherwise::kReject},
                                  {"allow", GuardOtherwise::kAllow},
                                  {"log", GuardOtherwise::kLog},
                                  {"local_only", GuardOtherwise::kLocalOnly}});
    marks.guard = section.has(kGuard) ? section.mark(kGuard) : marks.name;
    guard.finish();
}

void check_route_stages(ConfigSource& source, const Config& config, const RouteConfig& route,
                        const RouteMarks& marks) {
    check_file(source, config, route, kRoutes, route.semantic_routes.file,
               route.semantic_routes.local, marks.semantic_routes);
    check_file(source, config, route, kGuard, route.guard.topics, route.guard.local, marks.guard);
}

}  // namespace leeway::app
