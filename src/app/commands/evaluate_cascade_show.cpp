#include "app/commands/evaluate_cascade_show.hpp"

#include "app/terminal.hpp"
#include "json/write.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>

namespace leeway::app {
namespace {

std::int64_t count(std::size_t n) { return static_cast<std::int64_t>(n); }

std::string_view curve_name(const EvaluateCascadeOptions& options) {
    return options.isotonic ? "isotonic" : "platt";
}

void write_interval(json::Writer& out, std::string_view name, const std::array<double, 2>& ends) {
    out.key(name).array().number(ends[0]).number(ends[1]).close_array();
}

void write_gain(json::Writer& out, const lab::CascadeGain& gain) {
    out.object().key("method").string(gain.method);
    out.key("quality").number(gain.quality).key("gain_pp").number(gain.gain_pp);
    write_interval(out, "ci", gain.ci);
    out.key("sd").number(gain.deviation).key("worst_split_pp").number(gain.worst);
    out.key("gain_hindsight_pp").number(gain.gain_hindsight_pp);
    write_interval(out, "hindsight_ci", gain.hindsight_ci);
    out.key("cost_ratio").number(gain.cost_ratio);
    out.key("largest_cost_ratio").number(gain.largest_cost_ratio).close_object();
}

int percent_of(double share) { return static_cast<int>(std::lround(100 * share)); }

void write_at(json::Writer& out, const lab::CascadeAtCost& at) {
    out.object().key("cost_share").number(at.share).key("target_usd").number(at.target);
    out.key("zero_quality").number(at.zero_quality);
    out.key("oracle_quality").number(at.oracle_quality);
    out.key("promised_pp").number(at.promised_pp).key("fell_back").number(at.fell_back);
    out.key("chains").number(at.chains).key("methods").array();
    for (const lab::CascadeGain& gain : at.methods) write_gain(out, gain);
    out.close_array().close_object();
}

void write_report(json::Writer& out, const lab::CascadeReport& report) {
    out.key(report.task).object();
    // The contract: ours at the first cost, then the same at each.
    for (std::size_t i = 0; i < report.at.size(); ++i) {
        const lab::CascadeGain& ours = report.at[i].methods.front();
        const int percent = percent_of(report.at[i].share);
        out.key(fmt::format("gain_pp_at_{}", percent)).number(ours.gain_pp);
        write_interval(out, i == 0 ? "ci" : fmt::format("ci_at_{}", percent), ours.ci);
        out.key(i == 0 ? "cost_ratio" : fmt::format("cost_ratio_at_{}", percent))
            .number(ours.cost_ratio);
    }
    out.key("rows").integer(count(report.rows));
    out.key("incomplete").integer(count(report.incomplete)).key("fit_ms").number(report.fit_ms);
    out.key("singles").array();
    for (const lab::CascadeSingle& one : report.singles) {
        out.object().key("model").string(one.model).key("quality").number(one.quality);
        out.key("cost_usd").number(one.cost).key("share_of_top").number(one.share_of_top);
        out.key("auroc").number(one.auroc).close_object();
    }
    out.close_array().key("at").array();
    for (const lab::CascadeAtCost& at : report.at) write_at(out, at);
    out.close_array().close_object();
}

void write_run(json::Writer& out, const CascadeRun& run, const EvaluateCascadeOptions& options,
               const lab::OutcomeFaults& faults) {
    out.object().key("labels").integer(count(run.labels));
    out.key("curve").string(curve_name(options)).key("pool").boolean(options.pool);
    out.key("splits").integer(options.splits);
    out.key("seed").integer(static_cast<std::int64_t>(options.seed)).key("tasks").object();
    for (const auto& report : run.tasks)
        if (report.skipped.empty()) write_report(out, report);
    out.close_object().key("skipped").object();
    for (const auto& report : run.tasks)
        if (!report.skipped.empty()) out.key(report.task).string(report.skipped);
    out.close_object();
    write_faults(out, faults);
    out.close_object();
}

/// One object, or {"NAME": [...]} where there are several.
template <class Runs, class Write>
std::string as_json(const Runs& runs, std::string_view name, const Write& write) {
    std::string text;
    json::Writer out(text);
    if (runs.size() == 1) {
        write(out, runs.front());
    } else {
        out.object().key(name).array();
        for (const auto& run : runs) write(out, run);
        out.close_array().close_object();
    }
    return text + "\n";
}

std::string points(double value) { return fmt::format("{:+.2f}", value); }
std::string interval(const std::array<double, 2>& ends) {
    return fmt::format("{:+.2f} to {:+.2f}", ends[0], ends[1]);
}
std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

void show_report(std::string& out, const lab::CascadeReport& report) {
    out += fmt::format("\n{}: {} queries", report.task, report.rows);
    if (report.incomplete > 0)
        out += fmt::format(", {} left out (missing outcomes)", report.incomplete);
    if (!report.skipped.empty()) {
        out += fmt::format(": not measured, {}\n", report.skipped);
        return;
    }
    out += fmt::format("; fit {:.1f} ms\n", report.fit_ms);
    std::vector<std::vector<std::string>> rows{
        {"model alone", "quality", "USD per 1000", "of dearest", "AUROC"}};
    for (const lab::CascadeSingle& one : report.singles) {
        rows.push_back({one.model, percent(one.quality), fmt::format("{:.4f}", 1000 * one.cost),
                        percent(one.share_of_top),
                        std::isnan(one.auroc) ? "-" : fmt::format("{:.3f}", one.auroc)});
    }
    out += table(rows);
    for (const lab::CascadeAtCost& at : report.at) {
        out += fmt::format(
            "\nat {} of the dearest model's cost: zero router {}, oracle {}, promised {} pp, fell "
            "back "
            "in {} of the splits, three models in {}\n",
            percent(at.share), percent(at.zero_quality), percent(at.oracle_quality),
            points(at.promised_pp), percent(at.fell_back), percent(at.chains));
        rows = {{"method", "quality", "gain pp", "95 %", "sd", "worst", "hindsight pp", "95 %",
                 "cost/target", "largest"}};
        for (const lab::CascadeGain& gain : at.methods) {
            rows.push_back({gain.method, percent(gain.quality), points(gain.gain_pp),
                            interval(gain.ci), fmt::format("{:.2f}", gain.deviation),
                            points(gain.worst), points(gain.gain_hindsight_pp),
                            interval(gain.hindsight_ci), fmt::format("{:.3f}", gain.cost_ratio),
                            fmt::format("{:.3f}", gain.largest_cost_ratio)});
        }
        out += table(rows);
    }
}

/// What "certified" says of many resplits.
bool mostly(const lab::CertificateFigures& figures) { return figures.share_certified > 0.5; }

void write_certificate(json::Writer& out, const CertificateRun& run,
                       const lab::CertificateFigures& figures, double delta, bool counted = true) {
    out.key("alpha").number(run.plan.promise.max_harm);
    out.key("delta").number(delta);
    out.key("n").integer(count(run.plan.labels));
    out.key("certified").boolean(mostly(figures));
    out.key("certified_share").number(figures.share_certified);
    out.key("saving").number(figures.saving).key("harm").number(figures.harm);
    out.key("accepted").number(figures.accepted);
    out.key("resplits").integer(count(run.plan.resplits));
    out.key("violations").integer(count(figures.violations));
    if (counted) {
        out.key("uncertified_saving").number(figures.uncertified_saving);
        out.key("uncertified_violations").integer(count(figures.uncertified_violations));
    }
    out.key("why").string(figures.why);
}

}  // namespace

std::string cascades_text(const EvaluateCascadeOptions& options,
                          const std::vector<CascadeRun>& runs, const lab::OutcomeFaults& faults) {
    if (options.json) {
        return as_json(runs, "runs", [&](json::Writer& out, const CascadeRun& run) {
            write_run(out, run, options, faults);
        });
    }
    std::string out = faults_text(faults);
    for (const CascadeRun& run : runs) {
        out += fmt::format(
            "{}{} labels, {} splits, seed {}: fitted on the labels, told of all other rows\n",
            out.empty() ? "" : "\n", run.labels, options.splits, options.seed);
        for (const auto& report : run.tasks) show_report(out, report);
    }
    return out;
}

std::string certificates_text(const EvaluateCascadeOptions& options,
                              const std::vector<CertificateRun>& runs) {
    if (options.json) {
        return as_json(runs, "certificates", [&](json::Writer& out, const CertificateRun& run) {
            out.object().key("weak").string(run.weak).key("strong").string(run.strong);
            write_certificate(out, run, run.figures.front(), options.delta);
            out.key("seed").integer(static_cast<std::int64_t>(run.plan.seed));
            out.key("tasks").object();
            for (std::size_t i = run.tasks.size() > 1 ? 1 : 0; i < run.tasks.size(); ++i) {
                out.key(run.tasks[i]).object();
                write_certificate(out, run, run.figures[i], options.delta);
                out.close_object();
            }
            out.close_object();
            if (run.together) {
                out.key("clusters").object();
                write_certificate(out, run, *run.together, options.delta, false);
                out.close_object();
            }
            out.close_object();
        });
    }
    std::vector<std::vector<std::string>> rows{{"weak", "strong", "task", "alpha", "n", "certified",
                                                "saving", "uncertified", "taken", "harm",
                                                "violations"}};
    for (const CertificateRun& run : runs) {
        const auto add = [&](const std::string& task, const lab::CertificateFigures& one) {
            rows.push_back({run.weak, run.strong, task, percent(run.plan.promise.max_harm),
                            std::to_string(run.plan.labels), percent(one.share_certified),
                            percent(one.saving),
                            one.uncertified_saving == 0 ? "-" : percent(one.uncertified_saving),
                            percent(one.accepted), fmt::format("{:.2f} %", 100 * one.harm),
                            fmt::format("{}/{}", one.violations, run.plan.resplits)});
        };
        for (std::size_t i = 0; i < run.tasks.size(); ++i) add(run.tasks[i], run.figures[i]);
        if (run.together) add("each task", *run.together);
    }
    std::string out = fmt::format(
        "{} certificates each at {:.3g} % confidence, seed {}; harm: the weak answer was taken, it "
        "was wrong, and the strong one right\n\n",
        options.resplits, 100 * (1 - options.delta), options.seed);
    out += table(rows);
    for (const CertificateRun& run : runs) {
        out += fmt::format("\n{} -> {}, alpha {}, n {}: {}", run.weak, run.strong,
                           percent(run.plan.promise.max_harm), run.plan.labels,
                           mostly(run.figures.front()) ? "certified" : run.figures.front().why);
    }
    return out + "\n";
}

std::string drifts_text(const EvaluateCascadeOptions& options, const std::vector<DriftRun>& runs) {
    const auto in_time = [](const DriftRun& run) {
        return run.figures.certified > 0 ? static_cast<double>(run.figures.in_time()) /
                                               static_cast<double>(run.figures.certified)
                                         : std::nan("");
    };
    if (options.json) {
        return as_json(runs, "drifts", [&](json::Writer& out, const DriftRun& run) {
            const lab::DriftFigures& one = run.figures;
            out.object().key("weak").string(run.weak).key("strong").string(run.strong);
            out.key("from").string(options.drift[0]).key("to").string(options.drift[1]);
            out.key("alpha").number(run.plan.online.promise.max_harm);
            out.key("delta").number(options.delta);
            out.key("n")
                .integer(count(run.plan.labels))
                .key("seeds")
                .integer(count(run.plan.seeds));
            out.key("seed").integer(static_cast<std::int64_t>(run.plan.seed));
            out.key("certified").integer(count(one.certified));
            out.key("in_time").number(in_time(run)).key("passed").integer(count(one.passed));
            out.key("passed_unwatched").integer(count(one.passed_unwatched));
            out.key("demoted").integer(count(one.demoted));
            out.key("demoted_before").integer(count(one.demoted_before));
            out.key("wait").number(one.wait).key("harm_before").number(one.harm_before);
            out.key("harm_after").number(one.harm_after).key("audits").number(one.audits);
            out.key("why").string(one.why).close_object();
        });
    }
    std::vector<std::vector<std::string>> rows{{"weak", "strong", "alpha", "certified", "in time",
                                                "passed", "unwatched", "demoted", "false alarms",
                                                "wait", "harm before", "after", "audited"}};
    for (const DriftRun& run : runs) {
        const lab::DriftFigures& one = run.figures;
        rows.push_back({run.weak, run.strong, percent(run.plan.online.promise.max_harm),
                        fmt::format("{}/{}", one.certified, run.plan.seeds),
                        one.certified > 0 ? percent(in_time(run)) : "-", std::to_string(one.passed),
                        std::to_string(one.passed_unwatched), std::to_string(one.demoted),
                        std::to_string(one.demoted_before),
                        std::isnan(one.wait) ? "-" : fmt::format("{:.0f}", one.wait),
                        percent(one.harm_before), percent(one.harm_after), percent(one.audits)});
    }
    return fmt::format(
               "{} requests of {}, then {} of {}; passed: harms after the change came to alpha x "
               "{}\n\n",
               runs.front().plan.before, options.drift[0], runs.front().plan.after,
               options.drift[1], runs.front().plan.after) +
           table(rows);
}

std::string pacing_text(const EvaluateCascadeOptions& options, std::size_t labels,
                        const std::vector<lab::PacingFigures>& figures) {
    if (options.json) {
        std::string text;
        json::Writer out(text);
        out.object().key("labels").integer(count(labels)).key("splits").integer(options.splits);
        out.key("seed").integer(static_cast<std::int64_t>(options.seed)).key("pacing").array();
        for (const lab::PacingFigures& one : figures) {
            out.object().key("stream").string(one.stream).key("cost_share").number(one.share);
            out.key("requests").integer(count(one.requests));
            out.key("ample").integer(count(one.ample)).key("target_usd").number(one.target);
            out.key("cost_ratio").number(one.ratio).key("least_cost_ratio").number(one.least);
            out.key("largest_cost_ratio").number(one.most);
            out.key("unpaced_largest_cost_ratio").number(one.unpaced_most);
            out.key("quality").number(one.quality);
            out.key("cap_passed").integer(count(one.cap_passed));
            out.key("capped_answered").number(one.capped_answered).close_object();
        }
        out.close_array().close_object();
        return text + "\n";
    }
    std::vector<std::vector<std::string>> rows{{"stream", "of dearest", "requests", "cost/target",
                                                "least", "largest", "not paced", "quality", "ample",
                                                "cap passed", "answered under it"}};
    for (const lab::PacingFigures& one : figures) {
        const bool measured = one.ample < one.splits;
        const auto ratio = [&](double value) {
            return measured ? fmt::format("{:.3f}", value) : std::string("-");
        };
        rows.push_back({one.stream, percent(one.share), std::to_string(one.requests),
                        ratio(one.ratio), ratio(one.least), ratio(one.most),
                        ratio(one.unpaced_most), measured ? percent(one.quality) : "-",
                        std::to_string(one.ample), std::to_string(one.cap_passed),
                        percent(one.capped_answered)});
    }
    return fmt::format(
               "{} labels, {} splits, seed {}; ample: splits whose budget is more than the best "
               "policy "
               "costs\n\n",
               labels, options.splits, options.seed) +
           table(rows);
}

}  // namespace leeway::app
