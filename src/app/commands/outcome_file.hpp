#pragma once

#include "base/result.hpp"
#include "json/write.hpp"
#include "lab/outcomes/outcome_table.hpp"

#include <string>
#include <vector>

namespace CLI {  // NOLINT(readability-identifier-naming): the name of the library
class App;
}
namespace leeway::models {
class TextEmbedder;
struct VectorTable;
}  // namespace leeway::models

namespace leeway::app {

/// Which outcomes a command reads.
struct OutcomeFileOptions {
    std::string file;
    std::vector<std::string> prices;  ///< MODEL=USD per million tokens
    std::vector<std::string> tasks;  ///< only these; empty: all
};

/// Adds the file, as the option --outcomes unless `file` names another or an argument, --price and --task. `options`
/// outlives `command`.
void add_outcome_file_options(CLI::App& command, OutcomeFileOptions& options,
                              const std::string& file = "--outcomes");

/// Reads them, with a bar when that takes more than a second. Errors: those of lab::read_outcome_file; a price that is
/// none; the file is a store, which has no texts.
[[nodiscard]] Result<lab::OutcomeTable> read_outcome_table(const OutcomeFileOptions& options);

/// Outcomes without the texts of queries, and what tells them from others.
struct OutcomeRows {
    lab::OutcomeTable table;
    std::string name;  ///< of the file, without its folder
    std::string sha256;  ///< of the file; of a store of what is in it
};
/// The same of a store as well (`<state>/outcomes.db`), which has no texts.
[[nodiscard]] Result<OutcomeRows> read_outcome_rows(const OutcomeFileOptions& options);

/// Embeds its queries, with a bar. Errors: those of the embedder.
[[nodiscard]] Result<models::VectorTable> embed_queries(const lab::OutcomeTable& table,
                                                        models::TextEmbedder& embedder);

/// What was put right, as lines for people that end with one; empty when nothing was.
[[nodiscard]] std::string faults_text(const lab::OutcomeFaults& faults);
/// The same as the member "faults" of the object that `writer` is in.
void write_faults(json::Writer& writer, const lab::OutcomeFaults& faults);

}  // namespace leeway::app
