#include "app/commands/evaluate_cache_options.hpp"
#include "app/progress_bar.hpp"
#include "app/terminal.hpp"
#include "json/write.hpp"
#include "lab/evaluate/cache_data.hpp"
#include "lab/evaluate/cache_evaluate.hpp"
#include "lab/evaluate/cache_fit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

namespace leeway::app {
namespace {

using agent_cache::semantic::HitModel;
using lab::CacheEvaluation;
using lab::CacheFigures;

constexpr std::size_t kMostInputBytes = std::size_t{1} << 30U;
constexpr std::size_t kListed = 192;  // neighbours that are kept of each text
constexpr float kFloor = HitModel::kFar;  // below any threshold of the rivals
constexpr std::chrono::seconds kPatience{1};

/// A file with the vectors of its texts and which of them are near each other.
struct Questions {
    lab::CacheFile file;
    std::unique_ptr<lab::NeighbourLists> lists;
};

Result<std::unique_ptr<Questions>> read_questions(const std::string& path,
                                                  std::optional<lab::CacheFileKind> kind,
                                                  models::TextEmbedder& embedder) {
    const auto in = [&](Error error) {
        error.message = fmt::format("{}: {}", path, error.message);
        return fail(std::move(error));
    };
    const auto text = read_input(path, kMostInputBytes);
    if (!text) return fail(text.error());
    if (!kind) {
        const auto found = lab::cache_file_kind(*text);
        if (!found) return in(found.error());
        kind = *found;
    }
    auto file = lab::read_cache_file(*text, *kind);
    if (!file) return in(std::move(file.error()));
    auto out = std::make_unique<Questions>();
    out->file = std::move(*file);
    lab::CacheQuestions& data = out->file.data;
    auto vectors = embed_with_bar(embedder, data.texts, "questions");
    if (!vectors) return fail(std::move(vectors.error()));
    data.vectors = std::move(*vectors);
    ProgressBar bar(fmt::format("comparing {} questions", data.texts.size()), true, kPatience);
    out->lists =
        std::make_unique<lab::NeighbourLists>(data.vectors, kListed, kFloor, [&](std::size_t done) {
            bar.update(static_cast<double>(done) / static_cast<double>(data.texts.size()));
        });
    return out;
}

Result<HitModel> model_of(const EvaluateCacheOptions& options, models::TextEmbedder& embedder) {
    if (options.train.empty()) return HitModel::built_in();
    std::vector<std::vector<lab::LabelledInputs>> sets;
    for (const std::string& path : options.train) {
        const auto questions = read_questions(path, std::nullopt, embedder);
        if (!questions) return fail(questions.error());
        sets.push_back(
            lab::verdicts_of((*questions)->file.data, *(*questions)->lists, HitModel::built_in()));
    }
    return lab::fit_hit_model(sets);
}

void write_spread(json::Writer& out, std::string_view name, const lab::SeedSpread& spread) {
    out.key(name).number(spread.mean);
    out.key(fmt::format("{}_ci", name))
        .array()
        .number(spread.low)
        .number(spread.high)
        .close_array();
}

void write_figures(json::Writer& out, const CacheFigures& figures) {
    out.key("streams_within").integer(static_cast<std::int64_t>(figures.streams_within));
    out.key("streams_within_requests")
        .integer(static_cast<std::int64_t>(figures.streams_within_requests));
    write_spread(out, "hit_rate", figures.hit_rate);
    write_spread(out, "late_hit_rate", figures.late_hit_rate);
    write_spread(out, "error_rate", figures.error_rate);
    out.key("error_per_request").number(figures.error_per_request);
    out.key("audited").number(figures.audited);
    out.key("upstream_calls").number(figures.upstream_calls);
    out.key("verdicts").number(figures.verdicts);
}

void write_evaluation(json::Writer& out, const CacheEvaluation& one) {
    out.object().key("max_error").number(one.max_error);
    out.key("streams").integer(static_cast<std::int64_t>(one.streams));
    out.key("requests").integer(static_cast<std::int64_t>(one.requests));
    write_figures(out, one.ours);
    out.key("vetoed").number(one.ours.vetoed);
    out.key("phase").string(agent_cache::semantic::phase_name(one.last.phase));
    out.key("why").string(one.last.why);
    out.key("stops").integer(one.last.stops);
    out.key("different_pairs").object();
    out.key("pairs").integer(static_cast<std::int64_t>(one.different.pairs));
    out.key("vetoed").integer(static_cast<std::int64_t>(one.different.vetoed));
    out.key("wrong_hits").integer(static_cast<std::int64_t>(one.different.wrong_hits));
    out.close_object();
    out.key("rivals").array();
    for (const CacheFigures& rival : one.rivals) {
        out.object().key("rule").string(rival.rule);
        write_figures(out, rival);
        out.close_object();
    }
    out.close_array().close_object();
}

std::string percent(double share) { return fmt::format("{:.2f} %", 100 * share); }

std::string spread_text(const lab::SeedSpread& spread) {
    return fmt::format("{} ({:.2f}..{:.2f})", percent(spread.mean), 100 * spread.low,
                       100 * spread.high);
}

std::vector<std::string> row_of(const CacheEvaluation& one, const CacheFigures& figures) {
    return {percent(one.max_error),
            figures.rule,
            spread_text(figures.hit_rate),
            percent(figures.late_hit_rate.mean),
            spread_text(figures.error_rate),
            fmt::format("{}/{}", figures.streams_within, one.streams),
            percent(figures.error_per_request),
            percent(figures.audited),
            percent(figures.upstream_calls)};
}

void write_weights(json::Writer& out, const HitModel& model) {
    out.key("weights").array();
    for (const double weight : model.weights()) out.number(weight);
    out.close_array();
}

int show(const EvaluateCacheOptions& options, const Questions& questions, const HitModel& model,
         const std::string& embedding, const std::vector<CacheEvaluation>& done) {
    std::string text;
    if (options.json) {
        json::Writer out(text);
        // One bound: its figures are the object; several: a list of them.
        if (done.size() == 1) {
            write_evaluation(out, done.front());
            text.pop_back();
            text += ',';
        } else {
            out.object().key("bounds").array();
            for (const CacheEvaluation& one : done) write_evaluation(out, one);
            out.close_array();
            text += ',';
        }
        std::string rest;
        json::Writer more(rest);
        more.object().key("texts").integer(
            static_cast<std::int64_t>(questions.file.data.texts.size()));
        more.key("conflicts").integer(static_cast<std::int64_t>(questions.file.conflicts));
        more.key("model").string(embedding);
        more.key("prior").string(options.train.empty() ? "built-in" : "train");
        if (!options.train.empty()) write_weights(more, model);
        more.close_object();
        text += rest.substr(1);
        text += '\n';
        return print_out(text);
    }
    std::vector<std::vector<std::string>> rows{{"bound", "rule", "hits (95 % of streams)",
                                                "late hits", "wrong of hits", "within",
                                                "wrong of all", "audited", "upstream"}};
    for (const CacheEvaluation& one : done) {
        rows.push_back(row_of(one, one.ours));
        for (const CacheFigures& rival : one.rivals) rows.push_back(row_of(one, rival));
    }
    text = fmt::format("{} streams of {} requests, {}, prior: {}\n\n", options.seeds,
                       done.front().requests, embedding,
                       options.train.empty() ? "built in" : "fitted on --train");
    text += table(rows);
    for (const CacheEvaluation& one : done) {
        text += fmt::format("\n{}: the last stream ended {}: {}", percent(one.max_error),
                            agent_cache::semantic::phase_name(one.last.phase), one.last.why);
        if (one.different.pairs == 0) continue;
        text +=
            fmt::format("\n{}: of {} pairs with different answers {} have a veto, {} would be hits",
                        percent(one.max_error), one.different.pairs, one.different.vetoed,
                        one.different.wrong_hits);
    }
    text += '\n';
    return print_out(text);
}

int show_model(const EvaluateCacheOptions& options, const HitModel& model) {
    std::string text;
    if (options.json) {
        json::Writer out(text);
        out.object();
        write_weights(out, model);
        out.close_object();
    } else {
        for (const double weight : model.weights()) text += fmt::format("{:.4f}, ", weight);
    }
    text += '\n';
    return print_out(text);
}

Result<int> evaluate(const EvaluateCacheOptions& options) {
    std::optional<Config> config;
    if (!options.place.config.empty()) {
        auto read = load_config(options.place.config);
        if (!read) return fail(std::move(read.error()));
        config = std::move(*read);
    }
    auto embedder = open_embedder(config ? &*config : nullptr, options.embedding);
    if (!embedder) return fail(std::move(embedder.error()));
    const auto model = model_of(options, **embedder);
    if (!model) return fail(model.error());
    const bool pairs = !options.pairs.empty();
    const std::string& path = pairs ? options.pairs : options.stream;
    if (path.empty()) return show_model(options, *model);
    const auto questions = read_questions(
        path, pairs ? lab::CacheFileKind::kPairs : lab::CacheFileKind::kStream, **embedder);
    if (!questions) return fail(questions.error());
    std::vector<CacheEvaluation> done;
    for (const double max_error : options.max_errors) {
        lab::CachePlan plan;
        plan.settings.max_error = max_error;
        plan.settings.audit = options.audit;
        plan.seeds = options.seeds;
        plan.length = options.length;
        plan.rivals = options.rivals;
        ProgressBar bar(fmt::format("{} streams at {}", plan.seeds, percent(max_error)), true,
                        kPatience);
        done.push_back(lab::evaluate_cache((*questions)->file, *(*questions)->lists, *model, plan,
                                           [&](double part) { bar.update(part); }));
    }
    return show(options, **questions, *model, (*embedder)->model().name, done);
}

}  // namespace

int run_evaluate_cache(const EvaluateCacheOptions& options) {
    constexpr int kUsage = 2;
    if (options.pairs.empty() && options.stream.empty() && options.train.empty()) {
        (void)report_failure({ErrorCode::kConfig,
                              "nothing to evaluate",
                              "name a file with --pairs or --stream",
                              {},
                              {}});
        return kUsage;
    }
    auto status = evaluate(options);
    return status ? *status : report_failure(status.error());
}

}  // namespace leeway::app
