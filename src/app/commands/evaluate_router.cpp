#include "app/commands/evaluate_router_options.hpp"
#include "app/commands/routes_data.hpp"
#include "app/progress_bar.hpp"
#include "app/terminal.hpp"
#include "json/write.hpp"
#include "lab/evaluate/router_evaluate.hpp"
#include "lab/pictures/cost_quality_picture.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <utility>
#include <vector>

namespace leeway::app {
namespace {

using lab::Estimate;
using lab::RouterReport;

/// NAME and NAME_ci, in units of 1/`scale`.
void put_estimate(json::Writer& writer, const std::string& name, const Estimate& one,
                  double scale = 1) {
    writer.key(name).number(one.value * scale).key(name + "_ci").array();
    writer.number(one.low * scale).number(one.high * scale).close_array();
}

void put_curve(json::Writer& writer, const char* name,
               const std::vector<lab::CostQuality>& points) {
    writer.key(name).array();
    for (const lab::CostQuality& one : points)
        writer.object()
            .key("cost_usd")
            .number(one.cost)
            .key("quality")
            .number(one.quality)
            .close_object();
    writer.close_array();
}

std::int64_t number(std::size_t count) { return static_cast<std::int64_t>(count); }

std::string as_json(const RouterReport& report, const lab::OutcomeTable& table,
                    const models::EmbeddingModel& model, const EvaluateRouterOptions& options) {
    std::string out;
    json::Writer writer(out);
    writer.object().key("n").integer(number(report.n));
    writer.key("incomplete").integer(number(report.incomplete));
    put_estimate(writer, "gap_recovered", report.gap_recovered);
    writer.key("below_zero_router").integer(number(report.below_zero));
    writer.key("lambdas").integer(number(report.lambdas));
    writer.key("fallen_back").integer(number(report.fallen_back));
    writer.key("area").number(report.nested_area);
    writer.key("zero_area").number(report.nested_zero_area);
    writer.key("oracle_area").number(report.oracle_area);
    put_estimate(writer, "gain_pp_at_20", report.gain_at_20, 100);
    put_estimate(writer, "gain_pp_at_50", report.gain_at_50, 100);
    writer.key("cost_ratio").number(report.cost_ratio);
    writer.key("decide_us").number(report.decide_us).key("methods").array();
    for (const lab::RouterFigures& one : report.methods) {
        writer.object().key("name").string(one.name).key("hull_area").number(one.area);
        put_estimate(writer, "hull_gap_recovered", one.gap_recovered);
        if (one.knows_quality) {
            writer.key("below_zero_router").integer(number(one.below_zero));
            writer.key("worst").number(one.worst);
        }
        put_curve(writer, "hull", one.hull);
        writer.close_object();
    }
    writer.close_array().key("skipped").array();
    if (!report.frugal_skipped.empty()) {
        writer.object().key("name").string("FrugalGPT");
        writer.key("why").string(report.frugal_skipped).close_object();
    }
    writer.close_array();
    writer.key("hull_zero_area").number(report.zero_area);
    writer.key("models").array();
    for (const lab::SingleFigures& one : report.singles) {
        writer.object().key("model").string(one.model).key("quality").number(one.quality);
        writer.key("cost_usd").number(one.cost_usd).close_object();
    }
    writer.close_array();
    put_curve(writer, "curve", report.curve);
    put_curve(writer, "zero_curve", report.zero_curve);
    if (!report.frugal_curve.empty()) put_curve(writer, "frugal_curve", report.frugal_curve);
    writer.key("weights").array();
    for (const router::StackWeights& one : report.weights) {
        writer.array();
        for (const float weight : one) writer.number(static_cast<double>(weight));
        writer.close_array();
    }
    writer.close_array();
    writer.key("folds").integer(options.folds).key("seed").integer(options.seed);
    writer.key("resamples").integer(options.resamples).key("sure").number(options.sure);
    writer.key("model").string(model.name).key("fingerprint").string(model.fingerprint);
    write_faults(writer, table.faults);
    writer.close_object();
    return out + "\n";
}

/// What was measured on rows that chose nothing, between the router that sees no query and the one that knows all.
lab::CostQualityPicture picture_of(const RouterReport& report,
                                   const EvaluateRouterOptions& options) {
    lab::CostQualityPicture out;
    out.title =
        fmt::format("Router on {}, {} queries",
                    std::filesystem::path(options.outcomes.file).filename().string(), report.n);
    out.lines.push_back({"Leeway", report.curve});
    if (!report.frugal_curve.empty()) out.lines.push_back({"FrugalGPT", report.frugal_curve});
    out.lines.push_back({"zero router", report.zero_curve, true});
    out.lines.push_back({"oracle", report.oracle_hull, true});
    for (const lab::SingleFigures& one : report.singles)
        out.points.push_back({one.model, {one.cost_usd, one.quality}});
    return out;
}

std::string percent(const Estimate& one) {
    if (!std::isfinite(one.value)) return "-";
    return fmt::format("{:.1f} %  ({:.1f} to {:.1f})", one.value * 100, one.low * 100,
                       one.high * 100);
}
std::string points(const Estimate& one) {
    return fmt::format("{:+.2f} pp  ({:+.2f} to {:+.2f})", one.value * 100, one.low * 100,
                       one.high * 100);
}

std::string as_text(const RouterReport& report, const lab::OutcomeTable& table,
                    const models::EmbeddingModel& model, const EvaluateRouterOptions& options) {
    std::string out = faults_text(table.faults);
    if (report.incomplete > 0)
        out += fmt::format("{} queries left out: an outcome of theirs is missing\n",
                           report.incomplete);
    if (!out.empty()) out += '\n';
    out += fmt::format("{} queries, {} models, {} folds, seed {}, embeddings by {}\n\n", report.n,
                       report.singles.size(), options.folds, options.seed, model.name);
    std::vector<std::vector<std::string>> singles{{"model", "quality", "USD per 1,000 calls"}};
    for (const lab::SingleFigures& one : report.singles)
        singles.push_back({one.model, fmt::format("{:.4f}", one.quality),
                           fmt::format("{:.4f}", one.cost_usd * 1000)});
    out += app::table(singles);
    out += fmt::format(
        "\nsettings chosen on calibration rows, measured on others:\n"
        "gap from zero router to oracle recovered  {}\n"
        "below the zero router                     at {} of {} trades of quality for money\n"
        "gain at 20 % of the dearest model's cost  {}\n"
        "gain at 50 %                              {}\n",
        percent(report.gap_recovered), report.below_zero, report.lambdas, points(report.gain_at_20),
        points(report.gain_at_50));
    out += std::isfinite(report.cost_ratio)
               ? fmt::format("cost at the best model's quality less 1 pp  {:.0f} %\n",
                             report.cost_ratio * 100)
               : std::string("the best model's quality less 1 pp is never reached\n");
    out += fmt::format("one decision after the embedding          {:.0f} µs\n\n", report.decide_us);
    out += fmt::format("upper hull over the same rows (zero router {:.4f}, oracle {:.4f}):\n",
                       report.zero_area, report.oracle_area);
    std::vector<std::vector<std::string>> rows{
        {"router", "area", "gap recovered", "below zero router", "by at most"}};
    for (const lab::RouterFigures& one : report.methods) {
        const bool told = one.knows_quality;
        rows.push_back({one.name, fmt::format("{:.4f}", one.area), percent(one.gap_recovered),
                        told ? fmt::format("{} of {}", one.below_zero, report.lambdas) : "-",
                        told ? fmt::format("{:.2f} pp", std::abs(one.worst) * 100) : "-"});
    }
    out += app::table(rows);
    if (!report.frugal_skipped.empty())
        out += fmt::format("without FrugalGPT ({}): {}\n", report.frugal_skipped,
                           "it needs three models, and log-probabilities of two of them");
    return out + '\n' + lab::as_plot(picture_of(report, options));
}

}  // namespace

int run_evaluate_router(const EvaluateRouterOptions& options) {
    const auto table = read_outcome_table(options.outcomes);
    if (!table) return report_failure(table.error());
    const auto embedder = embedder_for(options.config, options.embedding);
    if (!embedder) return report_failure(embedder.error());
    const auto vectors = embed_queries(*table, **embedder);
    if (!vectors) return report_failure(vectors.error());
    lab::RouterEvaluation how;
    how.folds = options.folds;
    how.seed = options.seed;
    how.resamples = options.resamples;
    how.sure = options.sure;
    Result<RouterReport> report;
    {
        ProgressBar bar("cross-validating", true, std::chrono::seconds(1));
        how.progress = [&](double part) {
            bar.update(part);
        };
        report = lab::evaluate_router(*table, *vectors, how);
    }
    if (!report) return report_failure(report.error());
    if (!options.svg.empty()) {
        const auto written = replace_file(options.svg, lab::as_svg(picture_of(*report, options)));
        if (!written) return report_failure(written.error());
    }
    const models::EmbeddingModel& model = (*embedder)->model();
    return print_out(options.json ? as_json(*report, *table, model, options)
                                  : as_text(*report, *table, model, options));
}

}  // namespace leeway::app
