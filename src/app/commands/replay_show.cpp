#include "app/commands/replay_show.hpp"

#include "app/terminal.hpp"
#include "json/write.hpp"

#include <fmt/format.h>

#include <vector>

namespace leeway::app {
namespace {

using lab::Estimate;
using lab::ReplayedMean;

constexpr double kThousand = 1000;
constexpr double kPercent = 100;

std::int64_t count(std::size_t n) { return static_cast<std::int64_t>(n); }

/// NAME and NAME_ci, in units of 1/`scale`; null where too little is known.
void put(json::Writer& out, const std::string& name, const std::optional<Estimate>& one,
         double scale = 1) {
    out.key(name);
    if (!one) {
        out.null();
        return;
    }
    out.number(one->value * scale).key(name + "_ci").array();
    out.number(one->low * scale).number(one->high * scale).close_array();
}

std::optional<Estimate> mean_of(const std::optional<ReplayedMean>& one) {
    if (!one) return std::nullopt;
    return one->mean;
}

void put(json::Writer& out, const std::string& name, const std::optional<ReplayedMean>& one) {
    put(out, name, mean_of(one));
    if (!one) return;
    out.key(name + "_known").integer(count(one->known));
    out.key(name + "_estimated").integer(count(one->estimated));
}

std::string money(const std::optional<Estimate>& one) {
    if (!one) return "-";
    return fmt::format("{:.4f}  ({:.4f} to {:.4f})", one->value * kThousand, one->low * kThousand,
                       one->high * kThousand);
}
std::string quality(const std::optional<Estimate>& one) {
    if (!one) return "-";
    return fmt::format("{:.1f} %  ({:.1f} to {:.1f})", one->value * kPercent, one->low * kPercent,
                       one->high * kPercent);
}
std::string points(const Estimate& one) {
    return fmt::format("{:+.2f} pp  ({:+.2f} to {:+.2f})", one.value * kPercent, one.low * kPercent,
                       one.high * kPercent);
}

/// What of a mean is no count but an estimate.
std::string estimated_text(const char* what, const std::optional<ReplayedMean>& one) {
    if (!one || one->estimated == 0) return {};
    return fmt::format("the {} of {} of these requests is not recorded and estimated\n", what,
                       one->estimated);
}

double share_of(std::size_t part, const lab::ReplayReport& report) {
    return static_cast<double>(part) / static_cast<double>(report.replayed());
}

void put_policy(json::Writer& out, const cascade::CascadeFile& file) {
    out.key("kind").string("cascade").key("weak").string(file.weak);
    out.key("strong").string(file.strong);
    out.key("certified").boolean(file.certificate.certified);
    out.key("max_harm").number(file.promise.max_harm);
    out.key("confidence").number(file.promise.confidence);
}
void put_policy(json::Writer& out, const ShownRouter& router) {
    out.key("kind").string("router").key("embedding_model").string(router.embedding_model);
    if (router.spending.budget_usd) {
        out.key("budget_usd").number(*router.spending.budget_usd);
    } else {
        out.key("lambda").number(router.spending.lambda);
    }
    out.key("enough").boolean(router.evidence.enough);
    out.key("gain_low").number(router.evidence.gain_low);
    out.key("gain_high").number(router.evidence.gain_high);
}

/// What ways to choose that see no request would have come to.
void put_baselines(json::Writer& out, const lab::ReplayReport& report) {
    out.key("zero_router").object();
    put(out, "quality", report.zero_quality);
    out.close_object().key("random_mix").object();
    put(out, "cost_usd", report.random_cost_usd);
    put(out, "quality", report.random_quality);
    out.close_object();
}

std::string title_of(const ReplayRun& run) {
    if (const auto* file = std::get_if<cascade::CascadeFile>(&run.policy))
        return fmt::format("{} → {}", file->weak, file->strong);
    return fmt::format("Router of {} models", run.report.models.size());
}

/// What takes something off the figures.
std::string warnings_of(const ReplayRun& run) {
    std::string out;
    const auto* router = std::get_if<ShownRouter>(&run.policy);
    if (router != nullptr && router->without_vector > 0)
        out += fmt::format("{} of them have no vector of {}\n", router->without_vector,
                           router->embedding_model);
    if (run.same_outcomes)
        out += "the policy was fitted to these very outcomes, so what follows flatters it\n";
    return out;
}

std::vector<std::vector<std::string>> rows_of(const lab::ReplayReport& report) {
    std::vector<std::vector<std::string>> out{{"", "answers", "USD per 1,000 requests", "quality"}};
    for (const lab::ReplayedModel& model : report.models)
        out.push_back({model.model + " alone",
                       fmt::format("{:.1f} %", kPercent * share_of(model.answered, report)),
                       money(mean_of(model.cost_usd)), quality(mean_of(model.quality))});
    out.push_back(
        {"random mix", "", money(report.random_cost_usd), quality(report.random_quality)});
    out.push_back({"zero router", "", report.zero_quality ? "as the policy" : "-",
                   quality(report.zero_quality)});
    out.push_back(
        {"the policy", "", money(mean_of(report.cost_usd)), quality(mean_of(report.quality))});
    return out;
}

}  // namespace

std::string replay_json(const ReplayRun& run) {
    const lab::ReplayReport& report = run.report;
    std::string text;
    json::Writer out(text);
    out.object().key("recording").string(run.recording).key("policy").object();
    std::visit([&](const auto& policy) { put_policy(out, policy); }, run.policy);
    out.key("reference").string(report.models[report.reference].model);
    out.key("same_outcomes").boolean(run.same_outcomes).close_object();
    if (const auto* router = std::get_if<ShownRouter>(&run.policy))
        out.key("without_vector").integer(count(router->without_vector));
    out.key("requests").integer(count(report.requests));
    out.key("replayed").integer(count(report.replayed()));
    out.key("undecided").integer(count(report.undecided)).key("decisions").object();
    for (const auto& [word, times] : report.decisions) out.key(word).integer(count(times));
    out.close_object();
    put(out, "cost_usd", report.cost_usd);
    put(out, "saving", report.saving);
    put(out, "quality", report.quality);
    put(out, "quality_gain_pp", report.quality_gain, kPercent);
    put(out, "gain_pp_at_cost", report.gain_at_cost, kPercent);
    put(out, "gain_pp_over_random", report.gain_over_random, kPercent);
    put_baselines(out, report);
    out.key("harm").object().key("compared").integer(count(report.compared));
    out.key("harmed").integer(count(report.harmed)).key("limit").number(report.harm_limit);
    out.key("confidence").number(run.plan.confidence).close_object().key("models").array();
    for (const lab::ReplayedModel& model : report.models) {
        out.object().key("model").string(model.model).key("asked").integer(count(model.asked));
        out.key("answered").integer(count(model.answered));
        out.key("share").number(share_of(model.answered, report));
        put(out, "cost_usd", model.cost_usd);
        put(out, "quality", model.quality);
        out.close_object();
    }
    out.close_array().key("resamples").integer(count(run.plan.resamples));
    out.key("seed").integer(static_cast<std::int64_t>(run.plan.seed)).close_object();
    return text + "\n";
}

lab::CostQualityPicture replay_picture(const ReplayRun& run) {
    lab::CostQualityPicture out;
    const lab::ReplayReport& report = run.report;
    if (!report.cost_usd || !report.quality) return out;
    out.title =
        fmt::format("{} on {}, {} requests", title_of(run), run.recording, report.replayed());
    std::vector<lab::CostQuality> singles;
    for (const lab::ReplayedModel& model : report.models) {
        if (!model.cost_usd || !model.quality) continue;
        singles.push_back({model.cost_usd->mean.value, model.quality->mean.value});
        out.points.push_back({model.model, singles.back()});
    }
    if (singles.size() > 1) out.lines.push_back({"zero router", lab::hull_of(singles), true});
    if (report.random_cost_usd && report.random_quality)
        out.points.push_back(
            {"random mix", {report.random_cost_usd->value, report.random_quality->value}});
    out.points.push_back(
        {"policy", {report.cost_usd->mean.value, report.quality->mean.value}, true});
    return out;
}

std::string replay_text(const ReplayRun& run) {
    const lab::ReplayReport& report = run.report;
    std::string out = fmt::format("{}: {} requests", run.recording, report.requests);
    if (report.undecided > 0)
        out += fmt::format(", {} of them left out: nobody knows what the policy would decide by",
                           report.undecided);
    out += "\n" + warnings_of(run);
    for (const auto& [word, times] : report.decisions)
        out += fmt::format("  {:<24}{:>8}  {:5.1f} %\n", word, times,
                           kPercent * share_of(times, report));
    out += "\n" + table(rows_of(report)) + "\n";
    const std::string& reference = report.models[report.reference].model;
    if (report.saving)
        out += fmt::format("saved            {:.1f} %  ({:.1f} to {:.1f}) of what {} alone costs\n",
                           report.saving->value * kPercent, report.saving->low * kPercent,
                           report.saving->high * kPercent, reference);
    if (report.quality_gain)
        out += fmt::format("quality          {} against {} alone\n", points(*report.quality_gain),
                           reference);
    else
        out += "quality          not known: nothing tells how good the answers were\n";
    if (report.gain_at_cost)
        out += fmt::format(
            "                 {} against the zero router: the best mix by chance "
            "that costs the same\n",
            points(*report.gain_at_cost));
    if (report.gain_over_random)
        out += fmt::format("                 {} against a random mix with the same shares\n",
                           points(*report.gain_over_random));
    if (report.compared > 0)
        out += fmt::format(
            "harmed           {} of {} ({:.2f} %); at most {:.2f} % with {:.0f} % confidence\n",
            report.harmed, report.compared,
            kPercent * static_cast<double>(report.harmed) / static_cast<double>(report.compared),
            report.harm_limit * kPercent, run.plan.confidence * kPercent);
    out += estimated_text("quality", report.quality) + estimated_text("cost", report.cost_usd);
    if (const auto picture = replay_picture(run); !picture.empty())
        out += "\n" + lab::as_plot(picture);
    return out;
}

}  // namespace leeway::app
