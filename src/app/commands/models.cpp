#include "app/commands.hpp"
#include "app/commands/models_local.hpp"
#include "app/terminal.hpp"
#include "base/strings.hpp"
#include "json/write.hpp"
#include "telemetry/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace leeway::app {
namespace {

// `list` hashes files up to this size; larger ones only `check` does.
constexpr std::uint64_t kHashAtOnce = std::uint64_t{1} << 30U;

/// A line of `list`.
struct Row {
    const ModelConfig* model = nullptr;
    bool embedded = false;
    bool present = false;
    models::ModelFacts facts;
    std::string hash = "-";  ///< ok, wrong, unchecked, or "-" where none is expected
    std::string problem;
};

Row row_of(const Config& config, models::ModelStore& store, const ModelConfig& model) {
    Row row;
    row.model = &model;
    row.embedded = is_embedded(config, model);
    if (!row.embedded) return row;
    auto facts = store.inspect(model.name);
    if (!facts) {
        row.problem = facts.error().text();
        return row;
    }
    row.facts = std::move(*facts);
    row.present = !row.facts.path.empty();
    if (!row.facts.info) {
        row.problem = row.facts.info.error().text();
    } else if (!model.sha256.empty()) {
        row.hash = "unchecked";
        if (row.facts.info->file_bytes <= kHashAtOnce) {
            const auto hash = store.verify(model.name);
            row.hash = hash ? "ok" : "wrong";
            if (!hash) row.problem = hash.error().text();
        }
    }
    return row;
}

std::string list_json(const std::vector<Row>& rows, const std::string& folder) {
    std::string out;
    json::Writer writer(out);
    writer.object().key("folder").string(folder).key("models").array();
    for (const Row& row : rows) {
        writer.object()
            .key("name")
            .string(row.model->name)
            .key("provider")
            .string(row.model->provider);
        writer.key("embedded").boolean(row.embedded);
        if (row.embedded) {
            writer.key("file").string(row.model->file).key("present").boolean(row.present);
            writer.key("sha256").string(row.hash);
        } else {
            writer.key("upstream_name").string(row.model->upstream_name);
        }
        if (row.embedded && row.facts.info) {
            const models::GgufInfo& info = *row.facts.info;
            const auto number = [&](const char* key, std::uint64_t value) {
                writer.key(key).integer(static_cast<std::int64_t>(value));
            };
            writer.key("architecture").string(info.architecture);
            writer.key("quantization").string(info.quantization);
            writer.key("kind").string(info.is_embedding_model() ? "embedding" : "chat");
            number("file_bytes", info.file_bytes);
            number("needs_bytes", row.facts.needs_bytes);
            number("parameters", info.parameters);
            number("trained_context", info.context_length);
        }
        if (!row.problem.empty()) writer.key("problem").string(row.problem);
        writer.close_object();
    }
    writer.close_array().close_object();
    return out + "\n";
}

/// Columns as wide as their widest cell.
std::string table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths(rows.front().size());
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    std::string out;
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i)
            line += fmt::format("{:<{}}  ", row[i], widths[i]);
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + "\n";
    }
    return out;
}

std::string list_text(const std::vector<Row>& rows, const std::string& folder) {
    std::vector<std::vector<std::string>> cells;
    cells.push_back(
        {"MODEL", "PROVIDER", "FILE", "SIZE", "SHA-256", "ARCHITECTURE", "TYPE", "CONTEXT"});
    bool any_embedded = false;
    for (const Row& row : rows) {
        const ModelConfig& model = *row.model;
        any_embedded = any_embedded || row.embedded;
        if (!row.embedded) {
            cells.push_back({model.name, model.provider, "-", "-", "-", "-", "-", "-"});
        } else if (!row.facts.info) {
            cells.push_back({model.name, model.provider, model.file,
                             row.present ? "bad" : "missing", row.hash, "-", "-", "-"});
        } else {
            const models::GgufInfo& info = *row.facts.info;
            cells.push_back({model.name, model.provider, model.file, human_bytes(info.file_bytes),
                             row.hash, info.architecture, info.quantization,
                             std::to_string(info.context_length)});
        }
    }
    std::string out = table(cells);
    if (any_embedded) out += fmt::format("\nFiles are in {}\n", folder);
    return out;
}

int list_models(const Config& config, const ModelsOptions& options) {
    models::ModelStore store(local_store_options(config));
    std::vector<Row> rows;
    rows.reserve(config.models.size());
    for (const ModelConfig& model : config.models) rows.push_back(row_of(config, store, model));
    if (options.json) return print_out(list_json(rows, config.local.folder));
    const int written = print_out(list_text(rows, config.local.folder));
    for (const Row& row : rows) {
        if (!row.problem.empty()) fmt::print(stderr, "{}: {}\n", row.model->name, row.problem);
    }
    return written;
}

/// What `check` found out about one model.
struct Verdict {
    std::string name;
    std::string file;
    std::string sha256;
    std::string description;
    std::string error;  ///< empty: it is fine
};

Verdict check_one(const Config& config, models::ModelStore& store, const ModelConfig& model) {
    Verdict out{model.name, model.file, {}, {}, {}};
    const auto facts = store.inspect(model.name);
    if (!facts || !facts->info) {
        out.error = facts ? facts->info.error().text() : facts.error().text();
        return out;
    }
    const auto hash = store.verify(model.name);
    if (!hash) {
        out.error = hash.error().text();
        return out;
    }
    out.sha256 = *hash;
    const auto engine = load_here(config, model.name, false);
    if (!engine) {
        out.error = engine.error().text();
        return out;
    }
    out.description = (*engine)->info().description;
    return out;
}

std::string verdict_text(const Verdict& verdict, const ModelConfig& model, bool colour) {
    if (!verdict.error.empty()) {
        return fmt::format("{}: {} {}\n", verdict.name, coloured("error:", Colour::kRed, colour),
                           verdict.error);
    }
    return fmt::format("{}: {} ({}, {}; sha256 {}{})\n", verdict.name,
                       coloured("ok", Colour::kGreen, colour), verdict.file, verdict.description,
                       verdict.sha256, model.sha256.empty() ? ", none expected" : " as expected");
}

int check_models(const Config& config, const ModelsOptions& options) {
    std::vector<const ModelConfig*> wanted;
    if (options.model.empty()) {
        for (const ModelConfig& model : config.models) {
            if (is_embedded(config, model)) wanted.push_back(&model);
        }
    } else {
        const auto model = embedded_model(config, options.model);
        if (!model) return report_failure(model.error());
        wanted.push_back(*model);
    }
    models::ModelStore store(local_store_options(config));
    bool all_good = true;
    std::string json;
    json::Writer writer(json);
    writer.object().key("models").array();
    for (const ModelConfig* model : wanted) {
        const Verdict verdict = check_one(config, store, *model);
        all_good = all_good && verdict.error.empty();
        writer.object().key("name").string(verdict.name).key("file").string(verdict.file);
        writer.key("ok").boolean(verdict.error.empty());
        if (!verdict.sha256.empty()) writer.key("sha256").string(verdict.sha256);
        if (!verdict.error.empty()) writer.key("error").string(verdict.error);
        writer.close_object();
        // One model takes a while, so each is said when it is known.
        if (!options.json && print_out(verdict_text(verdict, *model, wants_colour(stdout))) != 0)
            return 1;
    }
    writer.close_array().key("ok").boolean(all_good).close_object();
    if (options.json && print_out(json + "\n") != 0) return 1;
    if (!options.json && wanted.empty() && print_out("no embedded models are configured\n") != 0)
        return 1;
    return all_good ? 0 : 1;
}

}  // namespace

int run_models(const ModelsOptions& options) {
    telemetry::start_log("error", false);
    const auto path = config_path_of(options.place);
    if (!path) return report_failure(path.error());
    const auto config = load_config(*path);
    if (!config) return report_failure(config.error());
    switch (options.action) {
        case ModelsOptions::Action::kList: return list_models(*config, options);
        case ModelsOptions::Action::kCheck: return check_models(*config, options);
        case ModelsOptions::Action::kLoad: return load_model(*config, options);
        case ModelsOptions::Action::kTry: return try_model(*config, options);
    }
    return 1;
}

}  // namespace leeway::app
