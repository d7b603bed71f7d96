#pragma once

#include "base/result.hpp"
#include "wire/canonical/batch.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::wire::openai {

/// One line of the file that a batch works on. Errors are for the caller, and name no line. Uses the thread's JSON indexer.
[[nodiscard]] Result<BatchAsk> read_batch_ask(std::string_view line);

/// One line of a file that a batch wrote, as the caller of its request wants it.
struct BatchLine {
    std::string custom_id;
    int status = 0;  ///< 0: there is no answer
    std::string_view body;  ///< of the answer; a view into the line
};
/// nullopt: it cannot be read. Uses the thread's JSON indexer.
[[nodiscard]] std::optional<BatchLine> read_batch_line(std::string_view line);

// What BatchDialect says of them.
[[nodiscard]] BatchAnswer read_batch_answer(std::string_view line, usage::Flavour flavour);
[[nodiscard]] std::optional<BatchState> read_batch_state(std::string_view json);
[[nodiscard]] std::string render_list(const std::vector<std::string>& items,
                                      const std::vector<std::string>& ids, bool has_more);

}  // namespace leeway::wire::openai
