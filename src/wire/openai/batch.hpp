#pragma once

#include "base/result.hpp"
#include "wire/usage/extractor.hpp"
#include "wire/usage/flavour.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::wire::openai {

/// One line of the file that a batch works on, as far as its cost depends on it.
struct BatchAsk {
    std::string endpoint;  ///< "/v1/chat/completions", …
    std::string model;  ///< as the provider calls it
    std::optional<std::int64_t> limit;  ///< most tokens of one answer; nullopt: it sets none
    std::int64_t answers = 1;  ///< how many are asked for
    std::int64_t messages = 0;
    std::int64_t media = 0;  ///< images and files; at least as many as there are
    bool open_input = false;  ///< it names input that is not in the line
};
/// Reads it. Errors are for the caller, and name no line. Uses the thread's JSON indexer.
[[nodiscard]] Result<BatchAsk> read_batch_ask(std::string_view line);

/// One line of the file that a batch wrote.
struct BatchAnswer {
    bool valid = false;  ///< it is JSON with an answer in it
    int status = 0;  ///< of the answer; 0: none
    usage::UsageReading usage;
};
[[nodiscard]] BatchAnswer read_batch_answer(std::string_view line, usage::Flavour flavour);

/// A batch as its provider tells it.
struct BatchState {
    std::string id;
    std::string status;
    std::string output_file;  ///< empty: none
    std::string error_file;

    /// Nothing will be done, and billed, any more.
    [[nodiscard]] bool ended() const noexcept {
        return status == "completed" || status == "failed" || status == "expired" ||
               status == "cancelled";
    }
};
/// nullopt: it is not one. Uses the thread's JSON indexer.
[[nodiscard]] std::optional<BatchState> read_batch_state(std::string_view json);

/// The `id` of an object; empty: it has none.
[[nodiscard]] std::string read_object_id(std::string_view json);

/// A page of a list.
struct ListPage {
    std::vector<std::string_view> items;  ///< as they came, views into the text
    bool has_more = false;
};
/// nullopt: it is no list.
[[nodiscard]] std::optional<ListPage> read_list(std::string_view json);
/// A list of these items in OpenAI's form. `ids` are theirs.
[[nodiscard]] std::string render_list(const std::vector<std::string>& items,
                                      const std::vector<std::string>& ids, bool has_more);

}  // namespace leeway::wire::openai
