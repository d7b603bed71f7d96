#include "app/config_controller.hpp"

#include "app/config_names.hpp"
#include "methods/router/controller/controller_stage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace leeway::app {
namespace {

constexpr std::string_view kStage = router::ControllerStage::kInfo.name;
constexpr std::size_t kMostKinds = 16;
// The planner reads it with every request.
constexpr std::size_t kMostWhen = 200;
constexpr std::size_t kMostName = 32;

/// A word that a model can repeat.
bool is_kind_name(std::string_view name) {
    return !name.empty() && name.size() <= kMostName && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
}

void read_kind(ConfigSource& source, Section& section, RouteConfig& out, RouteMarks& marks) {
    ControllerConfig::Kind kind;
    section.text("kind", kind.name);
    section.text("model", kind.model);
    section.text("when", kind.when);
    if (!is_kind_name(kind.name)) {
        source.error(section.mark("kind"),
                     fmt::format("'{}' is no name of a kind: at most {} of a-z, 0-9, '_' and '-'",
                                 kind.name, kMostName));
    }
    if (contains(names_of(out.controller.kinds), kind.name))
        source.error(section.mark("kind"), fmt::format("there are two kinds '{}'", kind.name));
    if (kind.model.empty())
        source.error(section.mark(), fmt::format("the kind '{}' needs its `model`", kind.name));
    if (kind.when.size() > kMostWhen || kind.when.find('\n') != std::string::npos) {
        source.error(section.mark("when"),
                     fmt::format("'when' is one line of at most {} bytes", kMostWhen));
    }
    marks.controller_kinds.push_back(section.mark("model"));
    out.controller.kinds.push_back(std::move(kind));
    section.finish();
}

/// What other stages of the route ask of the order: nothing that may answer or reject may come when plans are paid.
void check_order(ConfigSource& source, const RouteConfig& route, const RouteMarks& marks) {
    const auto own = std::ranges::find(route.stages, kStage);
    for (auto later = own + 1; later < route.stages.end(); ++later) {
        if (*later == "cascade") continue;
        source.error(marks.controller,
                     fmt::format("route '{}': the stage controller must stand behind {}: what it "
                                 "asks is paid, whatever comes later",
                                 route.name, *later));
    }
}

}  // namespace

void read_controller(ConfigSource& source, Section& section, RouteConfig& out, RouteMarks& marks) {
    Section controller = section.section(kStage);
    marks.controller = section.has(kStage) ? section.mark(kStage) : marks.name;
    ControllerConfig& to = out.controller;
    controller.text("planner", to.planner);
    marks.planner = {to.planner, controller.mark("planner")};
    for (Section& kind : controller.list_of_sections("kinds")) read_kind(source, kind, out, marks);
    controller.number("max_steps", to.max_steps, 2, 16);
    controller.number("max_parallel", to.max_parallel, 1, 16);
    controller.duration("timeout", to.timeout, std::chrono::milliseconds(1));
    controller.number("answer_tokens", to.answer_tokens, 16, 8192);
    controller.choice<bool>("join", to.join_last, {{"model", false}, {"last", true}});
    controller.finish();
    if (!section.has(kStage)) return;
    if (to.planner.empty())
        source.error(marks.controller, "a controller needs its planner: `planner: MODEL`");
    if (to.kinds.empty() || to.kinds.size() > kMostKinds) {
        source.error(marks.controller,
                     fmt::format("a controller needs 1 to {} kinds of subtasks: `kinds: [{{kind: "
                                 "facts, model: MODEL}}]`",
                                 kMostKinds));
    }
}

void check_controller(ConfigSource& source, const Config& config, const RouteConfig& route,
                      const RouteMarks& marks) {
    const bool used = contains(route.stages, kStage);
    const bool told = !route.controller.planner.empty() || !route.controller.kinds.empty();
    if (used != told) {
        source.error(
            marks.controller,
            used ? fmt::format("route '{}': the stage controller needs its options: `controller: "
                               "{{planner: MODEL, kinds: [{{kind: facts, model: MODEL}}]}}`",
                               route.name)
                 : fmt::format("route '{}' has 'controller', but it is not among its stages",
                               route.name));
        return;
    }
    if (!used) return;
    check_order(source, route, marks);
    if (route.model.empty()) {
        source.error(
            marks.controller,
            fmt::format("route '{}' needs a `model`: it answers by the results", route.name));
    }
    const std::vector<std::string> known = names_of(config.models);
    if (!marks.planner.text.empty() && !contains(known, marks.planner.text))
        source.unknown(marks.planner.mark, "model", marks.planner.text, known);
    for (std::size_t i = 0; i < route.controller.kinds.size(); ++i) {
        const std::string& model = route.controller.kinds[i].model;
        if (!model.empty() && !contains(known, model))
            source.unknown(marks.controller_kinds[i], "model", model, known);
    }
}

Result<std::unique_ptr<pipeline::Stage>> make_controller_stage(
    const RouteConfig& route, const Services& services,
    const std::function<const pipeline::Model*(std::string_view)>& find) {
    const ControllerConfig& from = route.controller;
    router::ControllerUse use;
    use.route = route.name;
    use.planner = find(from.planner);
    use.own = find(route.model);
    bool whole = use.planner != nullptr && use.own != nullptr && !from.kinds.empty();
    for (const ControllerConfig::Kind& kind : from.kinds) {
        use.kinds.push_back({kind.name, find(kind.model), kind.when});
        whole = whole && use.kinds.back().model != nullptr;
    }
    if (!whole) {
        return fail(
            ErrorCode::kConfig,
            fmt::format("route '{}': the controller names a model that is not there", route.name));
    }
    use.max_steps = from.max_steps;
    use.max_parallel = from.max_parallel;
    use.timeout = from.timeout;
    use.answer_tokens = from.answer_tokens;
    use.join_last = from.join_last;
    use.tally = services.controller_tally;
    return std::make_unique<router::ControllerStage>(std::move(use));
}

}  // namespace leeway::app
