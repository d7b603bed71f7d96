#include "methods/router/controller/plan.hpp"

#include "base/strings.hpp"
#include "json/node.hpp"
#include "json/write.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace leeway::router {
namespace {

// A plan of sixteen steps with the longest tasks has half of it.
constexpr std::size_t kMostPlan = 64UL * 1024;
// A task says what to do, not what to do it with: that is the conversation, or a result.
constexpr std::size_t kMostTask = 2000;
constexpr std::int64_t kMostId = 1'000'000;
constexpr std::string_view kMark = "<result-";

tl::unexpected<Error> refused(std::string reason) {
    return fail(
        Error{ErrorCode::kUnavailable, "the plan cannot be used", {}, {}, std::move(reason)});
}

/// What a planner said of one step, its ids not looked at yet.
struct Draft {
    std::size_t id = 0;
    std::string task;
    std::size_t kind = 0;
    std::vector<std::size_t> needs;  // ids
};

/// Goes through the pieces of `task`: text, and numbers of results.
template <class OnText, class OnResult>
void walk(std::string_view task, OnText&& on_text, OnResult&& on_result) {
    while (!task.empty()) {
        const std::size_t mark = task.find(kMark);
        const std::size_t end =
            mark == std::string_view::npos ? mark : task.find('>', mark + kMark.size());
        if (end == std::string_view::npos) return on_text(task);
        const std::size_t begin = mark + kMark.size();
        const std::string_view digits = task.substr(begin, end - begin);
        const auto number = parse_u64(digits);
        on_text(task.substr(0, mark));
        number ? on_result(static_cast<std::size_t>(*number), digits)
               : on_text(task.substr(mark, end + 1 - mark));
        task.remove_prefix(end + 1);
    }
}

std::optional<std::size_t> id_of(const json::Node* node) {
    const auto value = node == nullptr ? std::nullopt : node->integer();
    if (!value || *value < 0 || *value > kMostId) return std::nullopt;
    return static_cast<std::size_t>(*value);
}

Result<Draft> read_step(const json::Node& node, const PlanRules& rules) {
    const json::Node* const task = node.find("task");
    const json::Node* const kind = node.find("kind");
    const json::Node* const needs = node.find("needs");
    const bool whole = node.is_object() && node.find("id") != nullptr && task != nullptr &&
                       task->is_string() && kind != nullptr && kind->is_string() &&
                       needs != nullptr && needs->is_array();
    if (!whole) return refused("not_a_plan");
    Draft out;
    const auto id = id_of(node.find("id"));
    if (!id) return refused("bad_id");
    out.id = *id;
    out.task = task->text;
    const bool blank = out.task.find_first_not_of(" \t\r\n") == std::string::npos;
    if (blank || out.task.size() > kMostTask) return refused("bad_task");
    const auto known = std::ranges::find(rules.kinds, kind->text);
    if (known == rules.kinds.end()) return refused("unknown_kind");
    out.kind = static_cast<std::size_t>(known - rules.kinds.begin());
    for (const json::Node& need : needs->elements) {
        const auto needed = id_of(&need);
        if (!needed) return refused("unknown_need");
        out.needs.push_back(*needed);
    }
    std::ranges::sort(out.needs);
    out.needs.erase(std::unique(out.needs.begin(), out.needs.end()), out.needs.end());
    return out;
}

/// Whether `drafts` need each other only by ids that there are, and speak of no other results.
bool needs_are_known(const std::vector<Draft>& drafts) {
    const auto known = [&](std::size_t id) {
        return std::ranges::find(drafts, id, &Draft::id) != drafts.end();
    };
    return std::ranges::all_of(drafts, [&](const Draft& draft) {
        bool needed = true;
        walk(
            draft.task, [](std::string_view) {},
            [&](std::size_t id, std::string_view) {
                needed = needed && std::ranges::binary_search(draft.needs, id);
            });
        return needed && std::ranges::all_of(draft.needs, known);
    });
}

/// By Kahn: what needs nothing that is still open comes next, in the planner's order. nullopt: a cycle is left over.
std::optional<Plan> in_order(std::vector<Draft> drafts) {
    Plan out;
    std::vector<std::size_t> place(drafts.size(), drafts.size());  // in `out`; the size: open
    const auto place_of = [&](std::size_t id) {
        const auto found = std::ranges::find(drafts, id, &Draft::id);
        return place[static_cast<std::size_t>(found - drafts.begin())];
    };
    while (out.steps.size() < drafts.size()) {
        const std::size_t before = out.steps.size();
        for (std::size_t i = 0; i < drafts.size(); ++i) {
            if (place[i] != drafts.size()) continue;
            PlanStep step{drafts[i].id, {}, drafts[i].kind, {}};
            for (const std::size_t id : drafts[i].needs) step.needs.push_back(place_of(id));
            std::ranges::sort(step.needs);
            if (!step.needs.empty() && step.needs.back() == drafts.size()) continue;
            step.task = std::move(drafts[i].task);
            place[i] = out.steps.size();
            out.steps.push_back(std::move(step));
        }
        if (out.steps.size() == before) return std::nullopt;
    }
    return out;
}

}  // namespace

std::string plan_schema(const PlanRules& rules) {
    std::string out;
    json::Writer writer(out);
    const auto strict = [&](std::initializer_list<std::string_view> members) {
        writer.key("required").array();
        for (const std::string_view member : members) writer.string(member);
        writer.close_array().key("additionalProperties").boolean(false);
    };
    writer.object().key("type").string("object").key("properties").object();
    writer.key("steps").object().key("type").string("array").key("items").object();
    writer.key("type").string("object").key("properties").object();
    writer.key("id").object().key("type").string("integer").close_object();
    writer.key("task").object().key("type").string("string").close_object();
    writer.key("kind").object().key("type").string("string").key("enum").array();
    for (const std::string& kind : rules.kinds) writer.string(kind);
    writer.close_array().close_object();
    writer.key("needs").object().key("type").string("array").key("items").object();
    writer.key("type").string("integer").close_object().close_object().close_object();
    strict({"id", "task", "kind", "needs"});
    writer.close_object().close_object().close_object();
    strict({"steps"});
    writer.close_object();
    return out;
}

Result<Plan> read_plan(std::string_view answer, const PlanRules& rules) {
    const std::size_t begin = answer.find('{');
    const std::size_t end = answer.rfind('}');
    const bool braces = begin != std::string_view::npos && end != std::string_view::npos;
    if (!braces || end < begin || end - begin >= kMostPlan) return refused("not_json");
    const auto node = json::parse_node(answer.substr(begin, end - begin + 1));
    if (!node) return refused("not_json");
    const json::Node* const steps = node->find("steps");
    if (steps == nullptr || !steps->is_array()) return refused("not_a_plan");
    if (steps->elements.size() > rules.max_steps) return refused("too_many_steps");
    std::vector<Draft> drafts;
    for (const json::Node& one : steps->elements) {
        auto draft = read_step(one, rules);
        if (!draft) return fail(std::move(draft.error()));
        if (std::ranges::find(drafts, draft->id, &Draft::id) != drafts.end())
            return refused("bad_id");
        drafts.push_back(std::move(*draft));
    }
    if (!needs_are_known(drafts)) return refused("unknown_need");
    auto plan = in_order(std::move(drafts));
    if (!plan) return refused("cycle");
    return std::move(*plan);
}

std::vector<std::size_t> last_steps(const Plan& plan) {
    std::vector<bool> needed(plan.steps.size(), false);
    for (const PlanStep& step : plan.steps)
        for (const std::size_t need : step.needs) needed[need] = true;
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < needed.size(); ++i)
        if (!needed[i]) out.push_back(i);
    return out;
}

std::string with_named_results(std::string_view task) {
    std::string out;
    walk(
        task, [&](std::string_view text) { out += text; },
        [&](std::size_t, std::string_view digits) { out.append("result ").append(digits); });
    return out;
}

}  // namespace leeway::router
