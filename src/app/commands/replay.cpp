#include "app/commands/policy_file.hpp"
#include "app/commands/replay_ledger.hpp"
#include "app/commands/replay_show.hpp"
#include "app/commands/routes_data.hpp"
#include "app/terminal.hpp"
#include "base/file_hash.hpp"
#include "lab/replay/cascade_policy.hpp"
#include "lab/replay/router_policy.hpp"
#include "lab/replay/table_recording.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

namespace leeway::app {
namespace {

/// What is replayed, and what its requests look into.
struct Recording {
    std::string name;
    std::string sha256;  ///< of a file
    lab::OutcomeTable table;
    models::VectorTable vectors;
    LedgerRecording ledger;
    std::vector<lab::RecordedRequest> requests;
};

/// The vectors that a router wants.
struct WantedVectors {
    std::string model;
    std::string fingerprint;
    bool needed = false;  ///< without them nothing is decided
};

/// Of the queries of a table, by the model that the router was fitted with.
Result<models::VectorTable> embed_for(const ReplayOptions& options, const lab::OutcomeTable& table,
                                      const WantedVectors& wanted) {
    const auto embedder = embedder_for(options.place.config, options.embedding);
    if (!embedder) return fail(embedder.error());
    const models::EmbeddingModel& model = (*embedder)->model();
    if (model.fingerprint != wanted.fingerprint) {
        return fail(ErrorCode::kConfig,
                    fmt::format("the policy was fitted to vectors of {} ({}…), and {} makes others "
                                "({}…)",
                                wanted.model, wanted.fingerprint.substr(0, 12), model.name,
                                model.fingerprint.substr(0, 12)),
                    "name that model with --model, as leeway tune router had it");
    }
    return embed_queries(table, **embedder);
}

Result<Recording> read_recording(const ReplayOptions& options, const LedgerModels& models,
                                 const std::optional<WantedVectors>& wanted) {
    Recording out;
    if (options.ledger) {
        out.name = "ledger";
        auto read = recorded_requests_of_ledger(options, models);
        if (!read) return fail(std::move(read.error()));
        out.ledger = std::move(*read);
        out.requests = std::move(out.ledger.requests);
        if (wanted && wanted->needed && !out.requests.empty() && out.ledger.vectors.empty()) {
            return fail(
                ErrorCode::kConfig,
                fmt::format("none of the {} requests has a vector of {}, by which the router "
                            "decides{}",
                            out.requests.size(), wanted->model,
                            out.ledger.has_other_vectors ? "; there are some of other models" : ""),
                "a route with `outcomes: embed` keeps them for the requests that it answers from "
                "then on");
        }
        return out;
    }
    out.name = std::filesystem::path(options.outcomes.file).filename().string();
    auto read = read_outcome_table(options.outcomes);
    if (!read) return fail(std::move(read.error()));
    out.table = std::move(*read);
    auto hash = sha256_of_file(options.outcomes.file);
    if (!hash) return fail(std::move(hash.error()));
    out.sha256 = std::move(*hash);
    if (wanted) {
        auto vectors = embed_for(options, out.table, *wanted);
        if (!vectors) return fail(std::move(vectors.error()));
        out.vectors = std::move(*vectors);
    }
    auto requests =
        lab::recorded_requests(out.table, models.names, wanted ? &out.vectors : nullptr);
    if (!requests) return fail(std::move(requests.error()));
    out.requests = std::move(*requests);
    return out;
}

/// What the recording calls the policy's models.
Result<std::vector<std::string>> recorded_names(const ReplayOptions& options,
                                                std::span<const std::string> models) {
    if (options.models.empty()) return std::vector<std::string>(models.begin(), models.end());
    if (options.models.size() == models.size()) return options.models;
    return fail(ErrorCode::kConfig,
                fmt::format("--models has {} names, and the policy has {} models",
                            options.models.size(), models.size()),
                fmt::format("name them in the policy's order: {}", fmt::join(models, ", ")));
}

Result<void> finish(const lab::ReplayedPolicy& policy, const Recording& recording,
                    const std::string& fitted_to, ReplayRun& out) {
    out.recording = recording.name;
    out.same_outcomes = !fitted_to.empty() && fitted_to == recording.sha256;
    auto report = lab::replay(policy, recording.requests, out.plan);
    if (!report) return fail(std::move(report.error()));
    out.report = std::move(*report);
    return {};
}

Result<void> replay_cascade(const ReplayOptions& options, cascade::CascadeFile file,
                            ReplayRun& out) {
    if (options.budget_usd || options.lambda || !options.reference.empty())
        return fail(ErrorCode::kConfig,
                    "--budget, --lambda and --reference are for routers, and the policy is a "
                    "cascade");
    out.plan.confidence = file.promise.confidence;
    const lab::ReplayedCascade policy(file);
    const auto names = recorded_names(options, policy.models());
    if (!names) return fail(names.error());
    const auto recording = read_recording(options, {*names, policy.reference(), {}}, std::nullopt);
    if (!recording) return fail(recording.error());
    const std::string fitted_to = file.outcomes_sha256;
    out.policy = std::move(file);
    return finish(policy, *recording, fitted_to, out);
}

/// The model that would answer without the router.
Result<std::size_t> reference_of(const ReplayOptions& options, const router::RouterFile& file) {
    const auto& models = file.state.models;
    if (options.reference.empty()) {
        const auto dearest = std::ranges::max_element(models, {}, &router::LearnedModel::mean_cost);
        return static_cast<std::size_t>(dearest - models.begin());
    }
    const auto named = std::ranges::find(models, options.reference, &router::LearnedModel::model);
    if (named != models.end()) return static_cast<std::size_t>(named - models.begin());
    std::vector<std::string> known;
    for (const router::LearnedModel& one : models) known.push_back(one.model);
    return fail(ErrorCode::kConfig,
                fmt::format("the policy has no model '{}' (--reference)", options.reference),
                fmt::format("it has {}", fmt::join(known, ", ")));
}

Result<void> replay_router(const ReplayOptions& options, router::RouterFile file, ReplayRun& out) {
    lab::RouterReplay how;
    how.spending = file.spending;
    if (options.budget_usd) how.spending = {.budget_usd = options.budget_usd, .lambda = 0};
    if (options.lambda) how.spending = {.budget_usd = std::nullopt, .lambda = *options.lambda};
    const auto reference = reference_of(options, file);
    if (!reference) return fail(reference.error());
    how.reference = *reference;
    how.route = options.route;
    ShownRouter shown{file.embedding_model, how.spending, file.evidence};
    WantedVectors wanted{file.embedding_model, file.fingerprint};
    const lab::ReplayedRouter policy(std::move(file), how);
    wanted.needed = policy.needs_vectors();
    const auto names = recorded_names(options, policy.models());
    if (!names) return fail(names.error());
    const auto recording =
        read_recording(options, {*names, policy.reference(), wanted.fingerprint}, wanted);
    if (!recording) return fail(recording.error());
    shown.without_vector = recording->ledger.without_vector;
    const std::string fitted_to = shown.evidence.outcomes_sha256;
    out.policy = std::move(shown);
    return finish(policy, *recording, fitted_to, out);
}

Result<ReplayRun> replay(const ReplayOptions& options) {
    auto file = read_policy_file(options.policy);
    if (!file) return fail(std::move(file.error()));
    ReplayRun out;
    out.plan.resamples = options.resamples;
    out.plan.seed = options.seed;
    auto* const cascade = std::get_if<cascade::CascadeFile>(&file->policy);
    auto done =
        cascade != nullptr
            ? replay_cascade(options, std::move(*cascade), out)
            : replay_router(options, std::move(std::get<router::RouterFile>(file->policy)), out);
    if (!done) return fail(std::move(done.error()));
    return out;
}

}  // namespace

int run_replay(const ReplayOptions& options) {
    const auto run = replay(options);
    if (!run) return report_failure(run.error());
    if (!options.svg.empty()) {
        const auto picture = replay_picture(*run);
        if (picture.empty())
            return report_failure({ErrorCode::kInvalidRequest,
                                   "there is no picture to draw: no quality is known",
                                   "leave out --svg",
                                   {},
                                   {}});
        if (const auto written = replace_file(options.svg, lab::as_svg(picture)); !written)
            return report_failure(written.error());
    }
    return print_out(options.json ? replay_json(*run) : replay_text(*run));
}

}  // namespace leeway::app
