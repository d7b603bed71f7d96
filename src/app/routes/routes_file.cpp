#include "app/routes/routes_file.hpp"

#include "app/config_reader.hpp"
#include "app/routes/arguments_file.hpp"
#include "app/terminal.hpp"
#include "json/number.hpp"
#include "methods/router/semantic/rule.hpp"
#include "methods/router/semantic/words.hpp"

#include <fmt/format.h>

#include <map>
#include <string_view>

namespace leeway::app {
namespace {

using router::Aggregate;
using router::RouteAction;
using router::RouteSet;
using router::SemanticRoute;

constexpr std::size_t kMostBytes = 64ULL * 1024 * 1024;
constexpr std::size_t kMostRoutes = 10'000;
// Utterances are questions, not documents.
constexpr std::size_t kMostUtterance = 64ULL * 1024;

struct Range {
    double least = 0;
    double most = 1;
};

void read_decimal(ConfigSource& source, Section& section, std::string_view key, double& out,
                  Range range) {
    const auto value = section.scalar(key);
    if (!value) return;
    const auto parsed = json::to_double(value->text);
    if (!parsed || !(*parsed >= range.least && *parsed <= range.most)) {
        source.error(value->mark, fmt::format("{}: '{}' is not a number from {} to {}", key,
                                              value->text, range.least, range.most));
        return;
    }
    out = *parsed;
}

/// Where each utterance stands, to tell duplicates.
class Places {
public:
    explicit Places(ConfigSource& source) : source_(source) {}
    void add(const PlacedText& utterance, const std::string& route) {
        std::string key = router::folded(utterance.text);
        if (key.size() < 2) key = utterance.text;  // signs only: as they stand
        const auto [at, is_new] =
            first_.try_emplace(std::move(key), route, utterance.mark.line + 1);
        if (is_new) return;
        const auto& [other, line] = at->second;
        const std::string what = utterance.text.substr(0, 80);
        if (other == route) {
            source_.warning(
                utterance.mark,
                fmt::format("'{}' stands in '{}' twice, first in line {}", what, route, line));
            return;
        }
        source_.error(utterance.mark,
                      fmt::format("'{}' stands in '{}' and (line {}) in '{}': one text cannot "
                                  "belong to both",
                                  what, route, line, other));
    }

private:
    ConfigSource& source_;
    std::map<std::string, std::pair<std::string, int>> first_;
};

void read_texts(ConfigSource& source, Section& section, std::string_view key, Places& places,
                const std::string& route, std::vector<std::string>& out) {
    std::vector<PlacedText> texts;
    section.list(key, texts);
    for (PlacedText& one : texts) {
        if (one.text.find_first_not_of(" \t\r\n") == std::string::npos) {
            source.error(one.mark, fmt::format("an empty text in '{}'", key));
        } else if (one.text.size() > kMostUtterance) {
            source.error(one.mark, "longer than 64 KiB: examples are single requests");
        } else {
            places.add(one, route);
            out.push_back(std::move(one.text));
        }
    }
}

void read_action(ConfigSource& source, Section& section, RouteAction& out) {
    section.text("answer", out.answer);
    section.text("model", out.model);
    section.on_off("local_only", out.local_only);
    section.on_off("log", out.log);
    if (!out.answer.empty() && (!out.model.empty() || out.local_only))
        source.error(section.mark("answer"),
                     "'answer' and 'model' or 'local_only' exclude each other: no model is asked");
}

void read_route(ConfigSource& source, Section& section, Places& places, RouteSet& set) {
    SemanticRoute out;
    section.text("name", out.name);
    if (!section.has("name")) {
        source.error(section.mark(), "a route needs a name");
    } else if (const auto ok = check_name(out.name); !ok && !out.name.empty()) {
        source.error(section.mark("name"), "name", ok.error());
    } else if (!out.name.empty() && set.find(out.name)) {
        source.error(section.mark("name"), fmt::format("there are two routes '{}'", out.name));
    }
    section.text("description", out.description);
    read_texts(source, section, "utterances", places, out.name, out.utterances);
    if (out.utterances.empty())
        source.error(section.mark(), fmt::format("route '{}' has no utterances", out.name));
    if (section.has("threshold")) {
        double threshold = 0;
        read_decimal(source, section, "threshold", threshold, {-2, 2});
        out.threshold = threshold;
    } else {
        section.declare("threshold");
    }
    read_action(source, section, out.action);
    read_arguments(source, section, out.action);
    section.on_off("reject", out.action.reject);
    if (out.action.reject && (!out.action.answer.empty() || !out.action.model.empty()))
        source.error(section.mark("reject"),
                     "'reject' and 'answer' or 'model' exclude each other: "
                     "the words are those of `rejection`");
    section.finish();
    set.routes.push_back(std::move(out));
}

void read_rule(ConfigSource& source, Section& section, RouteSet& set,
               std::vector<PlacedText>& targets) {
    router::RouteRule out;
    if (const auto when = section.scalar("when")) {
        out.when = when->text;
        if (const auto rule = router::Rule::parse(out.when); !rule)
            source.error(when->mark, "when", rule.error());
    } else if (!section.has("when")) {
        source.error(section.mark(), "a rule needs its condition: `when: keyword(refund)`");
    }
    section.text("route", out.route);
    bool reject = false;
    section.on_off("reject", reject);
    if (reject == section.has("route"))
        source.error(section.mark(), "a rule needs either its `route` or `reject: on`");
    if (!out.route.empty()) targets.push_back({out.route, section.mark("route")});
    std::uint32_t priority = 0;
    section.number("priority", priority, 0, 1'000'000);
    out.priority = static_cast<std::int32_t>(priority);
    section.finish();
    set.rules.push_back(std::move(out));
}

void read_weights(ConfigSource& source, Section& section, router::Scoring& out) {
    section.choice<Aggregate>(
        "aggregate", out.aggregate,
        {{"blend", Aggregate::kBlend}, {"max", Aggregate::kMax}, {"mean", Aggregate::kMean}});
    read_decimal(source, section, "alpha", out.alpha, {0, 1});
    read_decimal(source, section, "head", out.head, {0, 1});
}

void read_scoring(ConfigSource& source, Section& top, RouteSet& set) {
    read_weights(source, top, set.scoring);
    read_decimal(source, top, "margin", set.scoring.margin, {0, 2});
    Section bm25 = top.section("bm25");
    read_decimal(source, bm25, "k1", set.scoring.k1, {0, 10});
    read_decimal(source, bm25, "b", set.scoring.b, {0, 1});
    bm25.finish();
    Section context = top.section("context");
    read_decimal(source, context, "weight", set.scoring.context, {0, 1});
    context.number("words", set.scoring.context_words, 0, 1000);
    context.finish();
    Section costs = top.section("costs");
    read_decimal(source, costs, "wrong_accept", set.costs.wrong_accept, {0, 1e6});
    read_decimal(source, costs, "wrong_reject", set.costs.wrong_reject, {0, 1e6});
    read_decimal(source, costs, "wrong_route", set.costs.wrong_route, {0, 1e6});
    costs.finish();
}

void read_fitted(ConfigSource& source, Section section, RouteSet& set) {
    router::FittedRoutes out;
    out.scoring = set.scoring;
    section.text("model", out.model);
    section.text("fingerprint", out.fingerprint);
    read_weights(source, section, out.scoring);
    read_decimal(source, section, "temperature", out.temperature, {1e-6, 100});
    std::uint32_t rows = 0;
    std::uint32_t folds = 0;
    std::uint32_t seed = 0;
    section.number("rows", rows, 0, UINT32_MAX);
    section.number("folds", folds, 0, UINT32_MAX);
    section.number("seed", seed, 0, UINT32_MAX);
    out.rows = rows;
    out.folds = folds;
    out.seed = seed;
    read_decimal(source, section, "accuracy", out.accuracy, {0, 1});
    Section interval = section.section("interval");
    read_decimal(source, interval, "low", out.accuracy_ci[0], {0, 1});
    read_decimal(source, interval, "high", out.accuracy_ci[1], {0, 1});
    interval.finish();
    std::vector<std::optional<double>> thresholds(set.routes.size());
    const auto read_examples = [&](Section& from, const std::string& route) {
        std::vector<PlacedText> texts;
        from.list("examples", texts);
        for (PlacedText& one : texts) out.examples.push_back({std::move(one.text), route});
    };
    for (Section& one : section.list_of_sections("routes")) {
        std::string name;
        one.text("name", name);
        double threshold = 0;
        read_decimal(source, one, "threshold", threshold, {-100, 100});
        read_examples(one, name);
        if (const auto route = set.find(name)) thresholds[*route] = threshold;
        one.finish();
    }
    Section rejected = section.section("rejected");
    read_examples(rejected, {});
    rejected.finish();
    // A route that came after the fitting has none: then none is good, since they are fitted to each other.
    for (const auto& threshold : thresholds) {
        if (threshold) out.thresholds.push_back(*threshold);
    }
    if (out.thresholds.size() != set.routes.size()) {
        source.warning(section.mark(),
                       "a route was not there when the file was fitted: its "
                       "thresholds are not used until `leeway tune routes` ran");
        out.fingerprint.clear();
        out.thresholds.assign(set.routes.size(), 0);
    }
    section.finish();
    set.fitted = std::move(out);
}

void read_rejection(ConfigSource& source, Section section, Places& places, RouteSet& set,
                    std::vector<PlacedText>& targets) {
    read_action(source, section, set.rejection);
    section.text("route", set.rejection_route);
    if (!set.rejection_route.empty()) {
        targets.push_back({set.rejection_route, section.mark("route")});
        if (!set.rejection.answer.empty() || !set.rejection.model.empty())
            source.error(section.mark("route"),
                         "'route' and 'answer' or 'model' exclude each "
                         "other");
    }
    read_texts(source, section, "utterances", places, "rejection", set.rejected);
    section.finish();
}

RouteSet read_set(ConfigSource& source, const YAML::Node& root) {
    RouteSet out;
    YAML::Mark start;
    start.line = 0;
    start.column = 0;
    Section top(source, root, std::string(), start);
    Places places(source);
    std::vector<PlacedText> targets;
    for (Section& section : top.list_of_sections("routes"))
        read_route(source, section, places, out);
    if (out.routes.empty())
        source.error(start, "there are no routes: the file needs `routes:` with at least one");
    if (out.routes.size() > kMostRoutes)
        source.error(top.mark("routes"), fmt::format("more than {} routes", kMostRoutes));
    for (Section& section : top.list_of_sections("rules")) read_rule(source, section, out, targets);
    read_rejection(source, top.section("rejection"), places, out, targets);
    read_scoring(source, top, out);
    top.duration("arguments_within", out.arguments_within, std::chrono::milliseconds(1));
    if (top.has("fitted")) {
        read_fitted(source, top.section("fitted"), out);
    } else {
        top.declare("fitted");
    }
    std::vector<std::string> names;
    names.reserve(out.routes.size());
    for (const SemanticRoute& route : out.routes) names.push_back(route.name);
    for (const PlacedText& target : targets)
        if (!out.find(target.text)) source.unknown(target.mark, "route", target.text, names);
    top.finish();
    return out;
}

}  // namespace

RoutesReading read_routes_text(const std::string& text, const std::string& name) {
    ConfigSource source(name);
    RoutesReading out;
    if (const auto root = source.parse(text)) {
        RouteSet set = read_set(source, *root);
        set.path = name;
        if (!source.has_errors()) out.set = std::move(set);
    }
    out.problems = source.take_problems();
    return out;
}

Result<router::RouteSet> load_routes(const std::string& path) {
    const auto text = read_input(path, kMostBytes);
    if (!text) return fail(text.error());
    RoutesReading reading = read_routes_text(*text, path);
    if (reading.set) return std::move(*reading.set);
    std::string lines;
    for (const ConfigProblem& problem : reading.problems) {
        if (problem.is_error) lines += (lines.empty() ? "" : "\n") + problem.text();
    }
    return fail(ErrorCode::kConfig, std::move(lines));
}

}  // namespace leeway::app
