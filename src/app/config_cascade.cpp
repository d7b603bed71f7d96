#include "app/config_cascade.hpp"

#include "app/config_names.hpp"
#include "app/terminal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

namespace leeway::app {
namespace {

constexpr std::string_view kStage = "cascade";
constexpr std::uint32_t kMostHeldBack = 4096;  // tokens
constexpr std::chrono::milliseconds kLongest = std::chrono::hours(1);

/// Whether the provider of a model tells the log-probabilities of its answers' tokens.
bool tells_logprobs(const Config& config, const ModelConfig& model) {
    std::vector<std::string> providers{model.provider};
    for (const TargetConfig& target : model.targets) providers.push_back(target.provider);
    return std::all_of(providers.begin(), providers.end(), [&](const std::string& name) {
        const ProviderConfig* found = find_named(config.providers, name);
        return found == nullptr || found->dialect == ProviderDialect::kOpenAi ||
               found->dialect == ProviderDialect::kAzure;
    });
}

/// A promise that is made for less than the route wants.
std::string falls_short(const cascade::HarmPromise& promise, const CascadeConfig& wanted) {
    constexpr double kPpm = 1e6;
    constexpr double kRounding = 1e-9;
    if (wanted.max_harm_ppm > 0 && promise.max_harm > wanted.max_harm_ppm / kPpm + kRounding)
        return fmt::format("it allows a harm of {}", promise.max_harm);
    if (promise.confidence < wanted.confidence_ppm / kPpm - kRounding)
        return fmt::format("its confidence is {}", promise.confidence);
    return {};
}

/// What is decided before the answer is whole.
void check_early(ConfigSource& source, const CascadeConfig& cascade, const RouteMarks& marks) {
    if (cascade.hold_back > 0 && !cascade.policy.empty()) {
        source.error(marks.cascade,
                     "a policy's threshold is for whole answers, and says nothing of their "
                     "beginnings: `hold_back` needs `accept`");
    }
    // Drift would be seen where only the least sure answers are missing.
    if (cascade.give_up_after > 0 && cascade.audit_ppm > 0) {
        source.error(marks.cascade,
                     "an audited policy is watched by the scores of all answers, and one that is "
                     "given up has none: leave out `give_up_after` or `audit`");
    }
}

}  // namespace

Result<cascade::CascadeFile> load_cascade(const CascadeConfig& cascade) {
    constexpr std::size_t kMost = 1024 * 1024;
    const auto failed = [&](std::string_view why) {
        return fail(ErrorCode::kConfig,
                    fmt::format("cascade: policy '{}': {}", cascade.policy, why));
    };
    const auto text = read_input(cascade.policy, kMost);
    if (!text) return failed(text.error().message);
    auto file = cascade::read_cascade_file(*text);
    if (!file) return failed(file.error().message);
    if (file->weak != cascade.models.front() || file->strong != cascade.models.back())
        return failed(
            fmt::format("it was fitted to the models '{}' and '{}'", file->weak, file->strong));
    if (cascade.audit_ppm > 0 && file->certificate.certified && file->scores.empty())
        return failed(
            "it has no scores to watch traffic by: make it anew with leeway tune cascade");
    if (const std::string why = falls_short(file->promise, cascade); !why.empty())
        return failed(why + ", and the route wants more: make it anew with leeway tune cascade");
    return file;
}

void read_cascade(ConfigSource& source, Section& section, RouteConfig& out, RouteMarks& marks) {
    Section cascade = section.section(kStage);
    marks.cascade = section.has(kStage) ? section.mark(kStage) : marks.name;
    cascade.list("models", marks.cascade_models);
    for (const PlacedText& model : marks.cascade_models) out.cascade.models.push_back(model.text);
    read_share(source, cascade, "accept", "0.999999", 999'999, out.cascade.accept_ppm);
    cascade.text("policy", out.cascade.policy);
    read_share(source, cascade, "max_harm", "0.5", 500'000, out.cascade.max_harm_ppm);
    read_share(source, cascade, "confidence", "0.999999", 999'999, out.cascade.confidence_ppm);
    read_share(source, cascade, "audit", "1", 1'000'000, out.cascade.audit_ppm);
    marks.audit = cascade.mark("audit");
    if (const auto judge = cascade.scalar("judge"); judge && judge->text != "exact")
        out.cascade.judge_model = judge->text;
    marks.audit_judge = cascade.mark("judge");
    cascade.on_off("tools", out.cascade.tools);
    cascade.choice<bool>("if_strong_fails", out.cascade.weak_if_strong_fails,
                         {{"fail", false}, {"weak_answer", true}});
    std::chrono::milliseconds strong_after{0};
    cascade.duration("start_strong_after", strong_after, std::chrono::milliseconds(1));
    if (strong_after > kLongest)
        source.error(cascade.mark("start_strong_after"), "start_strong_after: an hour at most");
    out.cascade.strong_after_ms =
        static_cast<std::uint32_t>(std::min(strong_after, kLongest).count());
    cascade.number("hold_back", out.cascade.hold_back, 1, kMostHeldBack);
    std::uint32_t give_up_after = 0;
    cascade.number("give_up_after", give_up_after, 1, kMostHeldBack);
    out.cascade.give_up_after = static_cast<std::uint16_t>(give_up_after);
    read_share(source, cascade, "give_up_below", "0.999999", 999'999,
               out.cascade.give_up_below_ppm);
    if (cascade.has("give_up_after") != (out.cascade.give_up_below_ppm > 0))
        source.error(marks.cascade,
                     "what is given up needs both: `give_up_after: 40, give_up_below: 0.5`");
    if (section.has(kStage) && out.cascade.models.size() != 2) {
        source.error(marks.cascade,
                     "a cascade needs two models, the cheap one first: `models: [small, large]`");
        out.cascade.models.clear();
    }
    if (out.model.empty() && !out.cascade.models.empty()) out.model = out.cascade.models.back();
    cascade.finish();
}

void check_cascade(ConfigSource& source, const Config& config, const RouteConfig& route,
                   const RouteMarks& marks) {
    const bool used = contains(route.stages, kStage);
    if (used != !route.cascade.models.empty()) {
        source.error(marks.cascade,
                     used ? fmt::format("route '{}': the stage cascade needs its models: `cascade: "
                                        "{{models: [small, large], accept: 0.9}}`",
                                        route.name)
                          : fmt::format("route '{}' has 'cascade', but it is not among its stages",
                                        route.name));
        return;
    }
    if (!used) return;
    const std::vector<std::string> known = names_of(config.models);
    for (const PlacedText& named : marks.cascade_models) {
        if (!contains(known, named.text)) source.unknown(named.mark, "model", named.text, known);
    }
    const std::string& weak = route.cascade.models.front();
    if (weak == route.cascade.models.back())
        source.error(marks.cascade, "the two models of a cascade must differ");
    if (route.model != route.cascade.models.back()) {
        source.error(marks.cascade,
                     fmt::format("route '{}' asks model '{}', so its cascade must end there",
                                 route.name, route.model));
    }
    const ModelConfig* found = find_named(config.models, weak);
    if (found != nullptr && !tells_logprobs(config, *found)) {
        source.error(marks.cascade_models.front().mark,
                     fmt::format("the provider of '{}' tells no log-probabilities, by which its "
                                 "answers would be judged: name a model of a provider with dialect "
                                 "openai",
                                 weak));
    }
    check_early(source, route.cascade, marks);
    const bool by_file = !route.cascade.policy.empty();
    if (!by_file && route.cascade.audit_ppm > 0)
        source.error(marks.audit, "what is audited is a `policy` (leeway tune cascade)");
    const std::string& judge = route.cascade.judge_model;
    if (!judge.empty() && !contains(known, judge))
        source.unknown(marks.audit_judge, "model", judge, known);
    if (!judge.empty() && route.cascade.audit_ppm == 0)
        source.error(marks.audit_judge, "a judge is for audits: `audit: 0.1`");
    if (by_file && route.cascade.accept_ppm > 0) {
        source.error(marks.cascade,
                     "`policy` and `accept` are two ways to say which answers are taken: keep one");
    } else if (by_file) {
        if (const auto policy = load_cascade(route.cascade); !policy)
            source.error(marks.cascade, policy.error().message);
    } else if (route.cascade.accept_ppm == 0) {
        source.warning(
            marks.cascade,
            fmt::format("route '{}': without `policy` (leeway tune cascade) or `accept` no "
                        "answer of '{}' is taken",
                        route.name, weak));
    }
}

}  // namespace leeway::app
