#include "app/commands/outcomes_options.hpp"
#include "app/commands/routes_data.hpp"
#include "app/progress_bar.hpp"
#include "app/terminal.hpp"
#include "base/clock.hpp"
#include "json/write.hpp"
#include "lab/outcomes/outcome_store.hpp"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <utility>

namespace leeway::app {
namespace {

using lab::OutcomeStore;
using store::sqlite::Access;

/// The vectors of a table's queries and whose they are.
struct Embedded {
    std::string fingerprint;
    models::VectorTable vectors;
};

Result<Embedded> embed(const OutcomesOptions& options, const lab::OutcomeTable& table) {
    Embedded out;
    if (!options.embed) return out;
    const auto embedder = embedder_for(options.place.config, options.embedding);
    if (!embedder) return fail(embedder.error());
    auto vectors = embed_queries(table, **embedder);
    if (!vectors) return fail(std::move(vectors.error()));
    out.fingerprint = (*embedder)->model().fingerprint;
    out.vectors = std::move(*vectors);
    return out;
}

int import(const std::string& state, const OutcomesOptions& options) {
    const auto table = read_outcome_table(options.outcomes);
    if (!table) return report_failure(table.error());
    const auto embedded = embed(options, *table);
    if (!embedded) return report_failure(embedded.error());
    std::error_code error;
    std::filesystem::create_directories(state, error);  // opening tells if that failed
    auto store = OutcomeStore::open(lab::outcome_store_path(state));
    if (!store) return report_failure(store.error());
    Result<std::size_t> count;
    {
        ProgressBar bar("importing", true, std::chrono::seconds(1));
        const double all = static_cast<double>(table->queries.size());
        count =
            store->import(*table, unix_now_s(), embedded->fingerprint, embedded->vectors.values,
                          [&](std::size_t done) { bar.update(static_cast<double>(done) / all); });
    }
    if (!count) return report_failure(count.error());
    if (!options.json) {
        return print_out(faults_text(table->faults) +
                         fmt::format("{} outcomes of {} models on {} queries are in {}\n", *count,
                                     table->models.size(), table->queries.size(),
                                     lab::outcome_store_path(state)));
    }
    std::string out;
    json::Writer writer(out);
    writer.object().key("outcomes").integer(static_cast<std::int64_t>(*count));
    writer.key("queries").integer(static_cast<std::int64_t>(table->queries.size()));
    writer.key("models").integer(static_cast<std::int64_t>(table->models.size()));
    writer.key("embedded").integer(static_cast<std::int64_t>(embedded->vectors.rows()));
    write_faults(writer, table->faults);
    writer.close_object();
    return print_out(out + "\n");
}

std::string as_json(const lab::StoreStatistics& statistics) {
    std::string out;
    json::Writer writer(out);
    writer.object().key("queries").integer(statistics.queries);
    writer.key("answers").integer(statistics.answers);
    writer.key("feedback").integer(statistics.feedback).key("embeddings").array();
    for (const auto& [fingerprint, count] : statistics.embeddings)
        writer.object()
            .key("fingerprint")
            .string(fingerprint)
            .key("queries")
            .integer(count)
            .close_object();
    writer.close_array().key("outcomes").array();
    for (const lab::OutcomeStatistic& one : statistics.outcomes) {
        writer.object().key("model").string(one.model);
        writer.key("source").string(lab::source_name(one.source));
        writer.key("outcomes").integer(one.outcomes).key("mean_quality").number(one.mean_quality);
        writer.key("with_cost").integer(one.with_cost);
        writer.key("cost_usd").string(to_usd_string(one.cost)).close_object();
    }
    writer.close_array().close_object();
    return out + "\n";
}

std::string as_text(const lab::StoreStatistics& statistics) {
    std::string out = fmt::format("{} queries\n", statistics.queries);
    for (const auto& [fingerprint, count] : statistics.embeddings)
        out += fmt::format("{} with a vector of the embedding model {}…\n", count,
                           fingerprint.substr(0, 12));
    if (statistics.answers > 0) {
        out += fmt::format("{} answers that feedback can name, and named {} of\n",
                           statistics.answers, statistics.feedback);
    }
    std::vector<std::vector<std::string>> rows{
        {"model", "source", "outcomes", "mean quality", "with cost", "USD"}};
    for (const lab::OutcomeStatistic& one : statistics.outcomes)
        rows.push_back({one.model, std::string(lab::source_name(one.source)),
                        std::to_string(one.outcomes), fmt::format("{:.4f}", one.mean_quality),
                        std::to_string(one.with_cost), to_usd_string(one.cost)});
    return rows.size() == 1 ? out : out + "\n" + table(rows);
}

int stats(const std::string& state, bool json) {
    lab::StoreStatistics statistics;
    if (std::filesystem::exists(lab::outcome_store_path(state))) {
        auto store = OutcomeStore::open(lab::outcome_store_path(state), Access::kReadOnly);
        if (!store) return report_failure(store.error());
        auto read = store->statistics();
        if (!read) return report_failure(read.error());
        statistics = std::move(*read);
    }
    return print_out(json ? as_json(statistics) : as_text(statistics));
}

std::string as_line(const lab::ListedFeedback& one) {
    std::string out;
    json::Writer writer(out);
    writer.object().key("id").string(one.id.text()).key("key").string(one.tenant);
    writer.key("route").string(one.task).key("model").string(one.model);
    if (one.quality) writer.key("value").number(*one.quality);
    if (one.comment) writer.key("comment").string(*one.comment);
    if (one.correction) writer.key("correction").string(*one.correction);
    writer.key("at_s").integer(one.at_s).close_object();
    return out + "\n";
}

int feedback(const std::string& state, const OutcomesOptions& options) {
    if (!std::filesystem::exists(lab::outcome_store_path(state))) return 0;
    auto store = OutcomeStore::open(lab::outcome_store_path(state), Access::kReadOnly);
    if (!store) return report_failure(store.error());
    std::string out;
    const auto done = store->each_feedback(
        options.tenant, [&](const lab::ListedFeedback& one) { out += as_line(one); });
    if (!done) return report_failure(done.error());
    return print_out(out);
}

int erase(const std::string& state, const OutcomesOptions& options) {
    if (std::filesystem::exists(lab::outcome_store_path(state))) {
        auto store = OutcomeStore::open(lab::outcome_store_path(state), Access::kReadWrite);
        if (!store) return report_failure(store.error());
        if (const auto done = store->erase(*options.tenant); !done)
            return report_failure(done.error());
    }
    if (!options.json)
        return print_out(fmt::format("Nothing of key '{}' is kept.\n", *options.tenant));
    std::string out;
    json::Writer(out).object().key("erased").string(*options.tenant).close_object();
    return print_out(out + "\n");
}

}  // namespace

int run_outcomes(const OutcomesOptions& options) {
    const auto state = state_folder_of(options.place);
    if (!state) return report_failure(state.error());
    switch (options.action) {
        case OutcomesOptions::Action::kImport: return import(*state, options);
        case OutcomesOptions::Action::kStats: return stats(*state, options.json);
        case OutcomesOptions::Action::kFeedback: return feedback(*state, options);
        case OutcomesOptions::Action::kErase: return erase(*state, options);
    }
    return 1;
}

}  // namespace leeway::app
