#include "app/commands/routes_data.hpp"
#include "app/commands/routes_options.hpp"
#include "app/routes/routes_file.hpp"
#include "app/terminal.hpp"
#include "json/write.hpp"
#include "lab/evaluate/routes_evaluate.hpp"

#include <fmt/format.h>

#include <optional>
#include <utility>

namespace leeway::app {
namespace {

void put(json::Writer& writer, const char* key, const std::optional<double>& value) {
    writer.key(key);
    value ? writer.number(*value) : writer.null();
}

void write_route(json::Writer& writer, const lab::RouteFigures& one) {
    writer.object().key("route").string(one.route);
    writer.key("n").integer(static_cast<std::int64_t>(one.rows));
    put(writer, "precision", one.precision());
    put(writer, "recall", one.recall());
    writer.close_object();
}

void write_name(json::Writer& writer, const std::string& route) {
    route.empty() ? writer.null() : writer.string(route);
}

std::string as_json(const lab::RoutesReport& report, const models::EmbeddingModel& model,
                    const RouteFitting& options) {
    std::string out;
    json::Writer writer(out);
    writer.object().key("n").integer(static_cast<std::int64_t>(report.n));
    writer.key("accuracy").number(report.accuracy).key("accuracy_ci").array();
    writer.number(report.accuracy_ci[0]).number(report.accuracy_ci[1]).close_array();
    put(writer, "rejection_recall", report.rejection_recall);
    put(writer, "false_rejection", report.false_rejection);
    put(writer, "in_scope_accuracy", report.in_scope_accuracy);
    writer.key("seen").integer(static_cast<std::int64_t>(report.seen));
    put(writer, "accuracy_unseen", report.accuracy_unseen);
    writer.key("rejection_recall_at").array();
    for (const lab::RejectionPoint& one : report.rejection_at) {
        writer.object().key("false_rejection").number(one.false_rejection);
        writer.key("rejection_recall").number(one.recall).close_object();
    }
    writer.close_array().key("calibration_error").number(report.calibration_error);
    writer.key("mean_cost").number(report.mean_cost);
    writer.key("by_rule").integer(static_cast<std::int64_t>(report.by_rule));
    writer.key("decide_us").number(report.decide_us);
    writer.key("fitted").boolean(report.fitted);
    writer.key("folds").integer(static_cast<std::int64_t>(report.folds));
    writer.key("seed").integer(options.seed);
    writer.key("model").string(model.name).key("fingerprint").string(model.fingerprint);
    writer.key("routes").array();
    for (const lab::RouteFigures& one : report.routes) write_route(writer, one);
    writer.close_array().key("confusion").array();
    for (const auto& [right, row] : report.confusion) {
        for (const auto& [decided, rows] : row) {
            writer.object().key("right");
            write_name(writer, right);
            writer.key("decided");
            write_name(writer, decided);
            writer.key("n").integer(static_cast<std::int64_t>(rows)).close_object();
        }
    }
    writer.close_array().key("wrong").array();
    for (const auto& one : report.wrong) {
        writer.object().key("text").string(one.text).key("right");
        write_name(writer, one.right);
        writer.key("decided");
        write_name(writer, one.decided);
        writer.key("probability").number(one.probability).close_object();
    }
    writer.close_array().close_object();
    return out + "\n";
}

std::string percent(const std::optional<double>& value) {
    return value ? fmt::format("{:.1f} %", *value * 100) : "-";
}

std::string as_text(const lab::RoutesReport& report, const EvaluateRoutesOptions& options) {
    std::string out = fmt::format(
        "{} texts, {}\n\naccuracy              {}  (95 %: {:.1f} to {:.1f})\n", report.n,
        report.folds > 0         ? fmt::format("{}-fold cross-validation", report.folds)
        : !options.train.empty() ? "fitted to " + options.train
                                 : std::string("the file as it stands"),
        percent(report.accuracy), report.accuracy_ci[0] * 100, report.accuracy_ci[1] * 100);
    if (report.seen > 0)
        out += fmt::format("without {} utterances  {}\n", report.seen,
                           percent(report.accuracy_unseen));
    out += fmt::format("of texts with a route {}\n", percent(report.in_scope_accuracy));
    out += fmt::format("rejection recall      {}\nfalse rejection       {}\n",
                       percent(report.rejection_recall), percent(report.false_rejection));
    for (const lab::RejectionPoint& one : report.rejection_at) {
        out += fmt::format("  at {:>4.0f} % false      {}\n", one.false_rejection * 100,
                           percent(one.recall));
    }
    out += fmt::format("calibration error     {:.3f}\n\n", report.calibration_error);
    std::vector<std::vector<std::string>> rows{{"route", "texts", "precision", "recall"}};
    for (const lab::RouteFigures& one : report.routes)
        rows.push_back(
            {one.route, std::to_string(one.rows), percent(one.precision()), percent(one.recall())});
    out += table(rows);
    if (!options.wrong) return out;
    out += "\n";
    for (const auto& one : report.wrong) {
        out += fmt::format("{} → {} ({:.2f})  {}\n", one.right.empty() ? "(none)" : one.right,
                           one.decided.empty() ? "(rejected)" : one.decided, one.probability,
                           one.text.substr(0, 200));
    }
    return out;
}

lab::RouteTuning tuning_of(const RouteFitting& options) {
    lab::RouteTuning out;
    out.learn_examples = !options.no_examples;
    if (options.folds >= 2) out.folds = options.folds;
    out.seed = options.seed;
    return out;
}

/// All that measuring and fitting need.
struct Prepared {
    std::unique_ptr<models::TextEmbedder> embedder;
    EmbeddedSet own;
    lab::LabelledRows rows;
    std::optional<lab::LabelledRows> train;
};

Result<Prepared> prepare(const RouteFitting& options, const std::string& train, bool keep_fitted) {
    Prepared out;
    auto set = load_routes(options.routes);
    if (!set) return fail(std::move(set.error()));
    if (!keep_fitted) set->fitted.reset();
    auto rows = read_labelled(options.data, *set);
    if (!rows) return fail(std::move(rows.error()));
    std::vector<router::LabelledText> train_rows;
    if (!train.empty()) {
        auto read = read_labelled(train, *set);
        if (!read) return fail(std::move(read.error()));
        train_rows = std::move(*read);
    }
    auto embedder = embedder_for(options.config, options.embedding);
    if (!embedder) return fail(std::move(embedder.error()));
    out.embedder = std::move(*embedder);
    auto own = embed_set(std::move(*set), *out.embedder);
    if (!own) return fail(std::move(own.error()));
    out.own = std::move(*own);
    auto embedded = embed_rows(std::move(*rows), *out.embedder);
    if (!embedded) return fail(std::move(embedded.error()));
    out.rows = std::move(*embedded);
    if (!train_rows.empty()) {
        auto fitting = embed_rows(std::move(train_rows), *out.embedder);
        if (!fitting) return fail(std::move(fitting.error()));
        out.train = std::move(*fitting);
    }
    return out;
}

Result<void> check_folds(std::uint32_t folds, std::size_t rows) {
    if (folds == 1 || folds > rows) {
        return fail(ErrorCode::kConfig,
                    fmt::format("{} rows cannot be dealt to {} parts", rows, folds),
                    "--folds takes 2 or more, and no more than there are rows; 0 fits nothing");
    }
    return {};
}

}  // namespace

int run_evaluate_routes(const EvaluateRoutesOptions& options) {
    const bool as_it_stands = options.fitting.folds == 0 && options.train.empty();
    auto ready = prepare(options.fitting, options.train, as_it_stands);
    if (!ready) return report_failure(ready.error());
    if (options.train.empty()) {
        if (auto ok = check_folds(options.fitting.folds, ready->rows.rows.size()); !ok)
            return report_failure(ok.error());
    }
    const auto report =
        lab::evaluate_routes(ready->own.set, ready->embedder->model(), ready->own.vectors,
                             ready->rows, ready->train ? &*ready->train : nullptr,
                             {options.fitting.folds, tuning_of(options.fitting)});
    if (!report) return report_failure(report.error());
    return print_out(options.fitting.json
                         ? as_json(*report, ready->embedder->model(), options.fitting)
                         : as_text(*report, options));
}

int run_tune_routes(const TuneRoutesOptions& options) {
    auto ready = prepare(options.fitting, {}, false);
    if (!ready) return report_failure(ready.error());
    const std::uint32_t folds = options.fitting.folds;
    if (folds == 0)
        return report_failure({ErrorCode::kConfig, "fitting needs at least two folds", {}, {}, {}});
    if (auto ok = check_folds(folds, ready->rows.rows.size()); !ok)
        return report_failure(ok.error());
    const models::EmbeddingModel& model = ready->embedder->model();
    const lab::RouteTuning tuning = tuning_of(options.fitting);
    // The evidence: what a fitting like this does on rows that it did not see.
    const auto report = lab::evaluate_routes(ready->own.set, model, ready->own.vectors, ready->rows,
                                             nullptr, {folds, tuning});
    if (!report) return report_failure(report.error());
    auto fitted = lab::tune_routes(ready->own.set, model, ready->own.vectors, ready->rows, tuning);
    if (!fitted) return report_failure(fitted.error());
    fitted->accuracy = report->accuracy;
    fitted->accuracy_ci = report->accuracy_ci;
    if (options.write) {
        const auto text = read_input(options.fitting.routes, 64ULL * 1024 * 1024);
        if (!text) return report_failure(text.error());
        const auto written =
            replace_file(options.fitting.routes, with_fitted(*text, ready->own.set, *fitted));
        if (!written) return report_failure(written.error());
    }
    if (options.fitting.json) {
        std::string out;
        json::Writer writer(out);
        writer.object().key("rows").integer(static_cast<std::int64_t>(fitted->rows));
        writer.key("folds").integer(folds).key("seed").integer(options.fitting.seed);
        writer.key("accuracy").number(fitted->accuracy).key("accuracy_ci").array();
        writer.number(fitted->accuracy_ci[0]).number(fitted->accuracy_ci[1]).close_array();
        put(writer, "rejection_recall", report->rejection_recall);
        put(writer, "false_rejection", report->false_rejection);
        writer.key("alpha").number(fitted->scoring.alpha).key("head").number(fitted->scoring.head);
        writer.key("temperature").number(fitted->temperature);
        writer.key("examples").integer(static_cast<std::int64_t>(fitted->examples.size()));
        writer.key("thresholds").object();
        for (std::size_t r = 0; r < fitted->thresholds.size(); ++r)
            writer.key(ready->own.set.routes[r].name).number(fitted->thresholds[r]);
        writer.close_object().key("model").string(model.name);
        writer.key("fingerprint").string(model.fingerprint);
        writer.key("written").boolean(options.write).close_object();
        return print_out(out + "\n");
    }
    std::string out = fmt::format(
        "fitted to {} texts; on texts that it did not see ({} folds) {:.1f} % are right (95 %: "
        "{:.1f} to {:.1f})\nvectors {:.1f}, words {:.1f}; head {:.1f}; temperature {:.3f}; {} "
        "texts became examples\n\n",
        fitted->rows, folds, fitted->accuracy * 100, fitted->accuracy_ci[0] * 100,
        fitted->accuracy_ci[1] * 100, fitted->scoring.alpha, 1 - fitted->scoring.alpha,
        fitted->scoring.head, fitted->temperature, fitted->examples.size());
    std::vector<std::vector<std::string>> rows{{"route", "threshold"}};
    for (std::size_t r = 0; r < fitted->thresholds.size(); ++r)
        rows.push_back(
            {ready->own.set.routes[r].name, fmt::format("{:.4f}", fitted->thresholds[r])});
    out += table(rows);
    out += options.write ? fmt::format("\nwritten to {}\n", options.fitting.routes)
                         : std::string("\nnothing was written; --write puts it into the file\n");
    return print_out(out);
}

}  // namespace leeway::app
