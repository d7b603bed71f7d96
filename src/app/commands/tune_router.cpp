#include "app/commands/policy_signing.hpp"
#include "app/commands/policy_text.hpp"
#include "app/commands/routes_data.hpp"
#include "app/commands/tune_router_options.hpp"
#include "app/progress_bar.hpp"
#include "app/terminal.hpp"
#include "base/clock.hpp"
#include "base/file_hash.hpp"
#include "base/hash.hpp"
#include "lab/evaluate/router_evaluate.hpp"
#include "lab/evaluate/router_tune.hpp"
#include "lab/outcomes/outcome_reader.hpp"
#include "lab/outcomes/outcome_store.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace leeway::app {
namespace {

constexpr int kNotEnough = 3;

/// What is learned from, and whose it is.
struct Outcomes {
    router::OutcomeRows rows;  ///< with an outcome of every model
    std::size_t incomplete = 0;
    std::string name;
    std::string sha256;
    std::string faults;  ///< in words; empty: none
};

/// The rows in which each of the models is known.
Result<Outcomes> complete(const router::OutcomeRows& rows, std::vector<std::string> models) {
    if (models.empty())
        for (const router::ModelRecord& one : rows.models) models.push_back(one.model);
    auto known = lab::complete_rows(rows, models);
    if (!known) return fail(std::move(known.error()));
    Outcomes out;
    out.incomplete = rows.size() - known->size();
    out.rows = std::move(*known);
    return out;
}

Result<Outcomes> of_file(const TuneRouterOptions& options, models::TextEmbedder& embedder) {
    auto table = read_outcome_table(options.outcomes);
    if (!table) return fail(std::move(table.error()));
    std::string faults = faults_text(table->faults);
    if (!options.models.empty()) {
        std::erase_if(table->models, [&](const lab::ModelOutcomes& one) {
            return std::ranges::find(options.models, one.model) == options.models.end();
        });
    }
    if (auto costs = lab::require_costs(*table); !costs) return fail(std::move(costs.error()));
    const auto vectors = embed_queries(*table, embedder);
    if (!vectors) return fail(vectors.error());
    std::vector<std::size_t> queries(table->queries.size());
    std::iota(queries.begin(), queries.end(), std::size_t{0});
    auto out = complete(lab::rows_of(*table, *vectors, queries), options.models);
    if (!out) return out;
    auto hash = sha256_of_file(options.outcomes.file);
    if (!hash) return fail(std::move(hash.error()));
    out->sha256 = std::move(*hash);
    out->name = std::filesystem::path(options.outcomes.file).filename().string();
    out->faults = std::move(faults);
    return out;
}

/// Of what was learned from, since a store has no hash of its own.
std::string hash_of(const router::OutcomeRows& rows) {
    const auto bytes = [](const auto& values) {
        const auto span = std::as_bytes(std::span(values));
        return std::string_view(reinterpret_cast<const char*>(span.data()), span.size());
    };
    std::string all(bytes(rows.vectors));
    for (const router::ModelRecord& one : rows.models)
        all.append(one.model).append(bytes(one.quality)).append(bytes(one.cost));
    return to_hex(sha256(all));
}

Result<Outcomes> of_state(const TuneRouterOptions& options, const models::EmbeddingModel& model) {
    const std::string path = lab::outcome_store_path(options.state);
    if (!std::filesystem::exists(path))
        return fail(ErrorCode::kConfig, fmt::format("there are no outcomes in {}", options.state),
                    "leeway outcomes import --embed puts some there");
    auto store = lab::OutcomeStore::open(path, store::sqlite::Access::kReadOnly);
    if (!store) return fail(std::move(store.error()));
    const auto rows = store->rows(options.tenant, model.fingerprint);
    if (!rows) return fail(rows.error());
    if (rows->size() == 0) {
        return fail(ErrorCode::kInvalidRequest,
                    fmt::format("{} has no query of {} with a vector of {}", path,
                                options.tenant.empty() ? "imported outcomes"
                                                       : "key '" + options.tenant + "'",
                                model.name),
                    "leeway outcomes import --embed with the same embedding model");
    }
    auto out = complete(*rows, options.models);
    if (!out) return out;
    out->name = std::filesystem::path(path).filename().string();
    out->sha256 = hash_of(out->rows);
    return out;
}

Result<router::RouterFile> tune(const TuneRouterOptions& options, std::string& faults) {
    const auto embedder = embedder_for(options.config, options.embedding);
    if (!embedder) return fail(embedder.error());
    const models::EmbeddingModel& model = (*embedder)->model();
    auto outcomes = options.state.empty() ? of_file(options, **embedder) : of_state(options, model);
    if (!outcomes) return fail(std::move(outcomes.error()));
    lab::RouterTuning how;
    how.spending = {options.budget_usd, options.lambda.value_or(0)};
    how.folds = options.folds;
    how.seed = options.seed;
    how.resamples = options.resamples;
    how.sure = options.sure;
    Result<router::RouterFile> out;
    {
        ProgressBar bar("fitting", true, std::chrono::seconds(1));
        how.progress = [&](double part) {
            bar.update(part);
        };
        out = lab::tune_router(outcomes->rows, how);
    }
    if (!out) return out;
    for (std::size_t m = 0; m < options.as.size(); ++m) out->state.models[m].model = options.as[m];
    out->embedding_model = model.name;
    out->fingerprint = model.fingerprint;
    out->evidence.incomplete = outcomes->incomplete;
    out->evidence.outcomes = std::move(outcomes->name);
    out->evidence.outcomes_sha256 = std::move(outcomes->sha256);
    out->evidence.made_unix_s = unix_now_s();
    faults = std::move(outcomes->faults);
    return out;
}

}  // namespace

int run_tune_router(const TuneRouterOptions& options) {
    const auto key = read_signing_key(options.sign);
    if (!key) return report_failure(key.error());
    std::string faults;
    const auto file = tune(options, faults);
    if (!file) return report_failure(file.error());
    auto bytes = router::write_router_file(*file);
    if (bytes) bytes = signed_policy(*bytes, *key);
    if (!bytes) return report_failure(bytes.error());
    if (!options.output.empty()) {
        if (const auto written = replace_file(options.output, *bytes); !written)
            return report_failure(written.error());
    }
    const int printed =
        print_out(options.json ? bytes->substr(0, bytes->find('\n') + 1)
                               : faults + policy_text(*file) + made_text(options.output, *key));
    if (printed != 0) return printed;
    return file->evidence.enough ? 0 : kNotEnough;
}

}  // namespace leeway::app
