#include "app/commands/outcome_file.hpp"

#include "app/commands/embedding_options.hpp"
#include "app/progress_bar.hpp"
#include "base/file_hash.hpp"
#include "base/hash.hpp"
#include "lab/outcomes/outcome_reader.hpp"
#include "lab/outcomes/outcome_store.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>
#include <utility>

namespace leeway::app {
namespace {

std::int64_t number(std::size_t count) { return static_cast<std::int64_t>(count); }

Result<lab::OutcomeReading> reading_of(const OutcomeFileOptions& options) {
    lab::OutcomeReading out;
    out.tasks = options.tasks;
    for (const std::string& one : options.prices) {
        const std::size_t sign = one.rfind('=');
        if (sign == std::string::npos || sign == 0) {
            return fail(ErrorCode::kConfig, fmt::format("'{}' is no price of a model", one),
                        "write MODEL=USD per million tokens, e.g. gpt-4o-mini=0.15");
        }
        auto price = parse_usd_per_million(one.substr(sign + 1));
        if (!price) return fail(std::move(price.error()));
        if (!out.prices.emplace(one.substr(0, sign), *price).second)
            return fail(ErrorCode::kConfig, "two prices for " + one.substr(0, sign));
    }
    return out;
}

bool is_store(const std::string& file) {
    constexpr std::string_view kMagic("SQLite format 3\0", 16);
    std::string head(kMagic.size(), '\0');
    std::ifstream in(file, std::ios::binary);
    return in.read(head.data(), static_cast<std::streamsize>(head.size())) && head == kMagic;
}

}  // namespace

void add_outcome_file_options(CLI::App& command, OutcomeFileOptions& options,
                              const std::string& file) {
    command
        .add_option(file, options.file,
                    "What models did with queries: a table (CSV, also .gz), RouterBench's, or "
                    "LLMRouter's lines")
        ->required()
        ->type_name("FILE");
    command
        .add_option("--price", options.prices,
                    "Price of a model's tokens where the file has no costs; once for each model")
        ->allow_extra_args(false)
        ->type_name("MODEL=USD_PER_M");
    command.add_option("--task", options.tasks, "Only queries of this task; may be repeated")
        ->allow_extra_args(false)
        ->type_name("TASK");
}

Result<lab::OutcomeTable> read_outcome_table(const OutcomeFileOptions& options) {
    if (is_store(options.file)) {
        return fail(ErrorCode::kConfig,
                    options.file + " is a store of outcomes, which has no texts of queries",
                    "tune cascade and evaluate cascade read one; this needs a table");
    }
    auto how = reading_of(options);
    if (!how) return fail(std::move(how.error()));
    ProgressBar bar("reading " + options.file, true, std::chrono::seconds(1));
    // How many rows there are is not known before the end.
    constexpr double kHalf = 20'000;
    how->progress = [&](std::size_t rows) {
        bar.update(static_cast<double>(rows) / (static_cast<double>(rows) + kHalf));
    };
    return lab::read_outcome_file(options.file, *how);
}

Result<OutcomeRows> read_outcome_rows(const OutcomeFileOptions& options) {
    OutcomeRows out;
    out.name = std::filesystem::path(options.file).filename().string();
    if (!is_store(options.file)) {
        auto table = read_outcome_table(options);
        if (!table) return fail(std::move(table.error()));
        auto hash = sha256_of_file(options.file);
        if (!hash) return fail(std::move(hash.error()));
        out.table = std::move(*table);
        out.sha256 = std::move(*hash);
        return out;
    }
    if (!options.prices.empty())
        return fail(ErrorCode::kConfig, "--price is for tables: a store has its costs");
    auto store = lab::OutcomeStore::open(options.file, store::sqlite::Access::kReadOnly);
    if (!store) return fail(std::move(store.error()));
    auto read = store->table(std::nullopt, options.tasks);
    if (!read) return fail(std::move(read.error()));
    out.table = std::move(read->table);
    out.sha256 = to_hex(read->digest);
    return out;
}

Result<models::VectorTable> embed_queries(const lab::OutcomeTable& table,
                                          models::TextEmbedder& embedder) {
    std::vector<std::string> texts;
    texts.reserve(table.queries.size());
    for (const lab::OutcomeQuery& query : table.queries) texts.push_back(query.text);
    return embed_with_bar(embedder, texts, "queries");
}

std::string faults_text(const lab::OutcomeFaults& faults) {
    std::string out;
    const auto tell = [&](std::size_t count, const std::string& what) {
        if (count > 0) out += fmt::format("{} {}\n", count, what);
    };
    tell(faults.duplicates, fmt::format("rows left out: their query came before ({} with another "
                                        "split, which would have leaked)",
                                        faults.duplicates_across_splits));
    tell(faults.missing_cells, "outcomes are missing");
    tell(faults.logprobs_raised, fmt::format("log-probs below {} or infinite were raised to it",
                                             static_cast<double>(lab::kLeastLogprob)));
    tell(faults.logprobs_lowered, "log-probs above 0 were lowered to it");
    tell(faults.logprobs_unknown, "log-probs are no number and count as not known");
    for (const lab::AllZeroColumn& one : faults.all_zero) {
        out +=
            fmt::format("{} has quality 0 on all {} queries of {}: nothing is learned from them\n",
                        one.model, one.queries, one.task);
    }
    return out;
}

void write_faults(json::Writer& writer, const lab::OutcomeFaults& faults) {
    writer.key("faults").object();
    writer.key("rows").integer(number(faults.rows));
    writer.key("duplicates").integer(number(faults.duplicates));
    writer.key("duplicates_across_splits").integer(number(faults.duplicates_across_splits));
    writer.key("missing_cells").integer(number(faults.missing_cells));
    writer.key("logprobs_raised").integer(number(faults.logprobs_raised));
    writer.key("logprobs_lowered").integer(number(faults.logprobs_lowered));
    writer.key("logprobs_unknown").integer(number(faults.logprobs_unknown));
    writer.key("all_zero").array();
    for (const lab::AllZeroColumn& one : faults.all_zero) {
        writer.object().key("model").string(one.model).key("task").string(one.task);
        writer.key("queries").integer(number(one.queries)).close_object();
    }
    writer.close_array().close_object();
}

}  // namespace leeway::app
