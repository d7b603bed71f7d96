#pragma once

#include "wire/canonical/dialect.hpp"
#include "wire/usage/extractor.hpp"
#include "wire/usage/flavour.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::wire {

/// One request of a batch, as far as its cost depends on it.
struct BatchAsk {
    std::string endpoint;  ///< "/v1/chat/completions", "/v1/messages", …
    std::string model;  ///< as the provider calls it
    std::optional<std::int64_t> limit;  ///< most tokens of one answer; nullopt: it sets none
    std::int64_t answers = 1;  ///< how many are asked for
    std::int64_t messages = 0;
    std::int64_t media = 0;  ///< images and files; at least as many as there are
    bool open_input = false;  ///< it names input that is not in it
};

/// One line of what a batch wrote.
struct BatchAnswer {
    bool valid = false;  ///< it is JSON with an answer in it
    int status = 0;  ///< of the answer; 400 and more: it was refused, and is not billed; 0: none
    usage::UsageReading usage;
};

/// A batch as its provider tells it.
struct BatchState {
    std::string id;
    std::string status;  ///< the provider's word
    /// How it ended: "completed", "failed", "expired" or "cancelled"; empty: something may still be done, and billed.
    std::string end;
    std::int64_t expires_unix_s = 0;  ///< 0: not told
    std::string answers_path;  ///< of what it wrote, behind the provider's base; empty: nothing
    std::vector<std::string> files;  ///< ids of the files that it wrote

    [[nodiscard]] bool ended() const noexcept { return !end.empty(); }
};

/// A page of a list.
struct ListPage {
    std::vector<std::string_view> items;  ///< as they came, views into the text
    bool has_more = false;
};
/// nullopt: it is no list. Uses the thread's JSON indexer.
[[nodiscard]] std::optional<ListPage> read_list(std::string_view json);
/// The `id` of an object; empty: it has none. Uses the thread's JSON indexer.
[[nodiscard]] std::string read_object_id(std::string_view json);

/// How one dialect talks of batches. Immutable; for any thread. The functions use the thread's JSON indexer.
struct BatchDialect {
    std::string_view path;  ///< of the list, behind the provider's base
    std::size_t longest_page;  ///< that a caller may ask for
    std::string_view after;  ///< name of the parameter with the item that stands before the page
    std::string_view before;  ///< the same with the one behind it; empty: there is none
    /// nullopt: it is no batch.
    std::optional<BatchState> (*read_state)(std::string_view json);
    BatchAnswer (*read_answer)(std::string_view line, usage::Flavour flavour);
    /// A batch as it is told to our caller.
    std::string (*for_caller)(std::string_view json);
    /// A page of a list. `ids` are those of the items.
    std::string (*render_list)(const std::vector<std::string>& items,
                               const std::vector<std::string>& ids, bool has_more);
};
/// Of providers of this dialect, and of their callers: Anthropic's, or else OpenAI's.
[[nodiscard]] const BatchDialect& batch_dialect_of(Dialect dialect) noexcept;

}  // namespace leeway::wire
