#include "app/commands/evaluate_cascade_options.hpp"
#include "app/commands/evaluate_cascade_show.hpp"
#include "app/progress_bar.hpp"
#include "app/terminal.hpp"
#include "lab/evaluate/cascade_data.hpp"
#include "lab/evaluate/cascade_evaluate.hpp"
#include "lab/evaluate/certificate_evaluate.hpp"
#include "lab/evaluate/pacing_evaluate.hpp"
#include "lab/evaluate/router_curves.hpp"
#include "lab/pictures/cost_quality_picture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <span>
#include <utility>

namespace leeway::app {
namespace {

using lab::CascadeData;
using Tasks = std::vector<CascadeData>;

constexpr std::uint32_t kLabels = 400;
constexpr std::uint32_t kCertifyLabels = 600;
constexpr std::chrono::seconds kPatience{1};

/// The tasks that are asked for, drifting ones included.
Result<Tasks> tasks_of(const EvaluateCascadeOptions& options, const lab::OutcomeTable& table) {
    return lab::cascade_data(table, options.drift.empty() ? options.outcomes.tasks : options.drift);
}

using Pair = std::pair<std::string, std::string>;

/// Those of the command line; "all": each pair whose weak model is cheaper and has a confidence.
Result<std::vector<Pair>> pairs_of(const EvaluateCascadeOptions& options, const Tasks& tasks) {
    if (options.certify.size() == 2)
        return std::vector<Pair>{{options.certify[0], options.certify[1]}};
    const CascadeData& first = tasks.front();
    const std::vector<cascade::CostQuality> singles = cascade::single_outcomes(first.outcomes);
    const auto in_all = [&](std::size_t model) {
        return std::all_of(tasks.begin(), tasks.end(), [&](const CascadeData& data) {
            return data.model(first.models[model]).has_value();
        });
    };
    std::vector<Pair> out;
    for (std::size_t weak = 0; weak < first.models.size(); ++weak) {
        if (first.outcomes.models[weak].score.empty() || !in_all(weak)) continue;
        for (std::size_t strong = 0; strong < first.models.size(); ++strong)
            if (singles[weak].cost < singles[strong].cost && in_all(strong))
                out.emplace_back(first.models[weak], first.models[strong]);
    }
    if (out.empty()) {
        return fail(ErrorCode::kConfig, "no pair of models to certify",
                    "one must be cheaper than another and have log-probabilities");
    }
    return out;
}

std::vector<std::uint32_t> labels_of(const EvaluateCascadeOptions& options,
                                     std::uint32_t otherwise) {
    return options.labels.empty() ? std::vector<std::uint32_t>{otherwise} : options.labels;
}

Result<std::string> certificates(const EvaluateCascadeOptions& options, const Tasks& tasks) {
    std::vector<CertificateRun> runs;
    const auto pairs = pairs_of(options, tasks);
    if (!pairs) return fail(pairs.error());
    ProgressBar bar("certificates", true, kPatience);
    for (std::size_t p = 0; p < pairs->size(); ++p) {
        const auto& [weak, strong] = (*pairs)[p];
        auto rows = lab::pair_rows(tasks, weak, strong);
        if (!rows) return fail(std::move(rows.error()));
        const bool several = rows->size() > 1;
        if (several) rows->insert(rows->begin(), {"all", lab::joined(*rows).rows});
        for (const double alpha : options.alphas) {
            for (const std::uint32_t labels : labels_of(options, kCertifyLabels)) {
                CertificateRun run{weak, strong, {}, {}, {}, {}};
                run.plan.promise = {alpha, 1 - options.delta};
                run.plan.labels = labels;
                run.plan.resplits = options.resplits;
                run.plan.seed = options.seed;
                for (const lab::PairRows& one : *rows) {
                    run.tasks.push_back(one.task);
                    run.figures.push_back(lab::evaluate_certificate(one.rows, run.plan));
                }
                if (several)
                    run.together =
                        lab::evaluate_cluster_certificates(std::span(*rows).subspan(1), run.plan);
                runs.push_back(std::move(run));
            }
        }
        bar.update(static_cast<double>(p + 1) / static_cast<double>(pairs->size()));
    }
    return certificates_text(options, runs);
}

Result<std::string> drifts(const EvaluateCascadeOptions& options, const Tasks& tasks) {
    std::vector<DriftRun> runs;
    const auto pairs = pairs_of(options, tasks);
    if (!pairs) return fail(pairs.error());
    for (const auto& [weak, strong] : *pairs) {
        auto rows = lab::pair_rows(tasks, weak, strong);
        if (!rows) return fail(std::move(rows.error()));
        // Tasks come in the file's order, the change in that of the command line.
        const bool swapped = rows->front().task != options.drift[0];
        for (const double alpha : options.alphas) {
            DriftRun run{weak, strong, {}, {}};
            run.plan.online.promise = {alpha, 1 - options.delta};
            run.plan.online.audit = options.audit;
            run.plan.labels = labels_of(options, kCertifyLabels).front();
            run.plan.seed = options.seed;
            run.figures =
                lab::evaluate_drift((*rows)[swapped ? rows->size() - 1 : 0].rows,
                                    (*rows)[swapped ? 0 : rows->size() - 1].rows, run.plan);
            runs.push_back(std::move(run));
        }
    }
    return drifts_text(options, runs);
}

lab::CascadePlan plan_of(const EvaluateCascadeOptions& options, const Tasks& tasks,
                         std::uint32_t labels) {
    lab::CascadePlan out;
    out.labels = labels;
    out.splits = options.splits;
    out.seed = options.seed;
    out.rivals = !options.no_rivals;
    out.sweep.curve = options.isotonic ? cascade::Curve::kIsotonic : cascade::Curve::kPlatt;
    if (options.pool) out.pool = tasks;
    if (!options.svg.empty()) out.cost_shares = {0.2, 0.5, 0.1, 0.35, 0.75};
    return out;
}

lab::CostQualityPicture picture_of(const lab::CascadeReport& report, std::size_t labels) {
    lab::CostQualityPicture out;
    out.title = fmt::format("Cascades on {}, fitted to {} labels", report.task, labels);
    std::vector<lab::CostQuality> ours;
    std::vector<lab::CostQuality> oracle;
    std::vector<lab::CostQuality> singles;
    for (const lab::CascadeAtCost& at : report.at) {
        const lab::CascadeGain& first = at.methods.front();
        ours.push_back({at.target * first.cost_ratio, first.quality});
        oracle.push_back({at.target, at.oracle_quality});
    }
    for (const lab::CascadeSingle& one : report.singles) {
        singles.push_back({one.cost, one.quality});
        out.points.push_back({one.model, singles.back()});
    }
    out.lines.push_back({"Leeway", lab::by_cost(std::move(ours))});
    out.lines.push_back({"zero router", lab::hull_of(singles), true});
    out.lines.push_back({"oracle", lab::by_cost(std::move(oracle)), true});
    return out;
}

Result<std::string> cascades(const EvaluateCascadeOptions& options, const Tasks& tasks,
                             const lab::OutcomeFaults& faults) {
    std::vector<CascadeRun> runs;
    for (const std::uint32_t labels : labels_of(options, kLabels)) {
        CascadeRun run{labels, {}};
        for (const CascadeData& data : tasks) {
            ProgressBar bar(fmt::format("{}, {} labels", data.task, labels), true, kPatience);
            run.tasks.push_back(lab::evaluate_cascade(data, plan_of(options, tasks, labels),
                                                      [&](double part) { bar.update(part); }));
        }
        runs.push_back(std::move(run));
    }
    if (!options.svg.empty()) {
        const lab::CascadeReport& report = runs.front().tasks.front();
        if (!report.skipped.empty())
            return fail(ErrorCode::kInvalidRequest,
                        fmt::format("no picture of {}: {}", report.task, report.skipped));
        auto written =
            replace_file(options.svg, lab::as_svg(picture_of(report, runs.front().labels)));
        if (!written) return fail(std::move(written.error()));
    }
    return cascades_text(options, runs, faults);
}

Result<std::string> evaluate(const EvaluateCascadeOptions& options) {
    // All tasks are read: which there are is part of what is said of one that there is not.
    OutcomeFileOptions file = options.outcomes;
    file.tasks.clear();
    const auto read = read_outcome_rows(file);
    if (!read) return fail(read.error());
    const auto tasks = tasks_of(options, read->table);
    if (!tasks) return fail(tasks.error());
    if (!options.svg.empty() && tasks->size() != 1)
        return fail(ErrorCode::kConfig,
                    fmt::format("a picture shows one task, and there are {}", tasks->size()),
                    "name one by --task");
    if (!options.drift.empty()) return drifts(options, *tasks);
    if (!options.certify.empty()) return certificates(options, *tasks);
    if (options.pace) {
        const std::uint32_t labels = labels_of(options, kLabels).front();
        return pacing_text(options, labels,
                           lab::evaluate_pacing(*tasks, plan_of(options, *tasks, labels)));
    }
    return cascades(options, *tasks, read->table.faults);
}

/// What is wrong with options that do not go together; empty: nothing.
std::string mistake(const EvaluateCascadeOptions& options) {
    if (options.certify.size() == 1 && options.certify.front() != "all")
        return "--certify needs two models, weak and strong, or \"all\"";
    if (!options.drift.empty() && options.certify.empty())
        return "--drift needs --certify: a certificate that the change is to break";
    if (!options.svg.empty() && (options.pace || !options.certify.empty()))
        return "--svg shows what cascades cost and yield: without --certify and --pace";
    if (options.pace && !options.certify.empty())
        return "--pace measures budgets and --certify certificates: one of them at a time";
    return {};
}

}  // namespace

int run_evaluate_cascade(const EvaluateCascadeOptions& options) {
    constexpr int kUsage = 2;
    if (std::string wrong = mistake(options); !wrong.empty()) {
        (void)report_failure({ErrorCode::kConfig, std::move(wrong), {}, {}, {}});
        return kUsage;
    }
    const auto text = evaluate(options);
    return text ? print_out(*text) : report_failure(text.error());
}

}  // namespace leeway::app
