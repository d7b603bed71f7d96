#pragma once

#include "app/config.hpp"
#include "base/result.hpp"
#include "store/sqlite/database.hpp"
#include "wire/openai/responses_items.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::app {

/// A response that is to be kept here.
struct KeptResponse {
    std::string key;  ///< whose it is; empty: of callers without a key
    std::string previous;  ///< id of the one that it continues, which is kept here too; empty: none
    std::int64_t created_unix_s = 0;
    wire::openai::WholeResponse whole;
    std::vector<wire::openai::ConversationItem> input;  ///< its own, without those before it
};

/// A response that its provider keeps. We know whose it is.
struct HeldResponse {
    std::string key;
    std::string id;
    std::string provider;
    std::int64_t created_unix_s = 0;
    std::int64_t tokens =
        -1;  ///< of its input and its answer: what continuing it takes; −1: unknown
};

/// What is found under an id.
struct FoundResponse {
    std::int64_t number = 0;  ///< its place in the store
    std::string provider;  ///< that keeps it; empty: it is kept here
    std::int64_t tokens = -1;  ///< HeldResponse::tokens
};

/// What a caller is told when the store fails.
[[nodiscard]] Error responses_unavailable(const Error& why);

/// Responses and who they belong to: `<state>/responses.db`. An id is found by its owner only, and until the retention
/// ends. What a living conversation continues stays a part of it beyond that, and what was deleted is gone at once: a
/// conversation with a gap is not continued.
///
/// Thread-safe. Each call waits for the SQLite statements that it is described by and for those of other calls, never
/// for the disk: a kill loses nothing, a power cut may lose the last seconds. `tend` brings changes to the disk.
class ResponseStore {
public:
    [[nodiscard]] static Result<std::unique_ptr<ResponseStore>> open(
        const std::string& state_folder, const ResponsesConfig& config);

    /// From now on; what lies there stays until its time.
    void configure(const ResponsesConfig& config);

    /// All of it or nothing. Makes room by giving up the conversations that were not used for the longest time. Errors
    /// have the reason "too_large", "no_room", "previous_gone" or SQLite's.
    [[nodiscard]] Result<void> keep(const KeptResponse& response);
    /// Anew where it is known already. An id that is kept here is not touched, nor one that is no plain word.
    [[nodiscard]] Result<void> hold(const HeldResponse& response);

    /// nullopt: the owner has none of that id.
    [[nodiscard]] Result<std::optional<FoundResponse>> find(std::string_view id,
                                                            std::string_view key,
                                                            std::int64_t now_unix_s);
    /// The bodies of all items of the conversation up to this response with its output, oldest first. Errors:
    /// "previous_gone", and kPayloadTooLarge when they have more than `most` bytes.
    [[nodiscard]] Result<std::vector<std::string>> conversation(std::int64_t number,
                                                                std::size_t most);
    /// The newest item with each of these ids, where the owner has one.
    [[nodiscard]] Result<wire::openai::ItemsById> find_items(std::span<const std::string> ids,
                                                             std::string_view key,
                                                             std::int64_t now_unix_s);
    /// The response as it was told.
    [[nodiscard]] Result<std::string> read(std::int64_t number);

    /// The same error for what `param` names.
    [[nodiscard]] static Error too_long(std::string param);

    struct Page {
        std::vector<std::string> items;
        std::vector<std::string> ids;
        bool has_more = false;
    };
    /// The items that the response was made from: the conversation before it and its own input. `after`: id of an item;
    /// empty: from the first. nullopt: it has no item `after`.
    [[nodiscard]] Result<std::optional<Page>> input_page(std::int64_t number,
                                                         std::string_view after, bool newest_first,
                                                         std::size_t limit);
    [[nodiscard]] Result<void> remove(std::int64_t number);

    /// Now and then, from one thread: deletes what is over, keeps the size, brings changes to the disk.
    void tend(std::int64_t now_unix_s);

    /// Sum of what is kept, as `disk_bytes` counts it.
    [[nodiscard]] std::int64_t bytes();

private:
    ResponseStore(store::sqlite::Database db, store::sqlite::Database checkpoints,
                  const ResponsesConfig& config)
        : db_(std::move(db)), checkpoints_(std::move(checkpoints)), config_(config) {}
    struct Row;
    // With the lock held:
    [[nodiscard]] Result<std::int64_t> add(const Row& row);
    [[nodiscard]] Result<void> add_texts(std::int64_t number, const KeptResponse& response);
    [[nodiscard]] Result<std::int64_t> number_of(const KeptResponse& response);
    [[nodiscard]] Result<std::vector<std::int64_t>> links(std::int64_t number);
    [[nodiscard]] Result<void> make_room(std::int64_t bytes, std::int64_t spared);
    /// Deletes as `sql` says, and says how many.
    [[nodiscard]] Result<int> erase(const char* sql, std::int64_t first, std::int64_t second);

    std::mutex mutex_;
    store::sqlite::Database db_;
    store::sqlite::Database checkpoints_;  // of `tend`, without the lock
    ResponsesConfig config_;
    std::int64_t bytes_ = 0;
    bool changed_ = false;  // since the last checkpoint
    bool erased_ = false;  // likewise
    // Of `tend` alone:
    std::int64_t swept_unix_s_ = 0;
    std::int64_t written_unix_s_ = 0;
};

}  // namespace leeway::app
