#pragma once

#include "app/batch_counters.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "store/sqlite/database.hpp"

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace leeway::app {

/// The most that the lines of an input file can take, summed up. All of them ask for the same.
struct BatchBound {
    std::string endpoint;  ///< "/v1/chat/completions"; empty: the file is no input of a batch
    std::string model;     ///< as the provider calls it
    std::int64_t lines = 0;
    std::int64_t input_tokens = 0;
    std::int64_t output_tokens = 0;  ///< of the lines that set a limit
    std::int64_t unbounded = 0;  ///< number of the first line whose cost has no bound; 0: none
};

/// A file that a caller sent, or that a batch of its wrote.
struct StoredFile {
    std::string provider;
    std::string id;   ///< the provider's
    std::string key;  ///< whose it is; empty: of callers without a key
    BatchBound bound;
};

/// A batch from the moment before it is asked for. What its row in the ledger will say is known then.
struct StoredBatch {
    std::string provider;
    std::string id;  ///< empty: its provider has not answered yet, or never did
    std::string key;
    RequestId record;  ///< of its row
    std::int64_t ts_us = 0;
    std::string endpoint;
    std::string model;  ///< our name
    std::string asked;  ///< the provider's name of it
    std::string user;
    std::string tags;
    std::string session;
    std::string agent;
    std::int64_t worst_pico_usd = 0;
    std::int64_t worst_tokens = 0;
    std::vector<std::string> scopes;  ///< that it is reserved for; empty: no budget was configured
    /// Not empty: it is one request that was gathered with others, `line` names it in the provider's batch, and all that
    /// is said of a batch here is said of it alone.
    std::string line;
    std::string route;  ///< of such a request
    bool settled = false;  ///< its row is in the ledger's journal
    std::string state;  ///< the provider's word, when it was last asked; empty: it has not been
    std::int64_t expires_unix_s = 0;  ///< as the provider tells; 0: not yet
};

/// Who owns which file and batch, and what is known of them: `<state>/batches.db`. Thread-safe; each call waits for
/// one SQLite statement, and none is made for any other kind of request.
class BatchStore {
public:
    [[nodiscard]] static Result<std::unique_ptr<BatchStore>> open(const std::string& state_folder);

    /// To read it, also while a gateway writes. It must exist and be of this program's version.
    [[nodiscard]] static Result<std::unique_ptr<BatchStore>> open_to_read(
        const std::string& state_folder);

    /// Whether there is one in this folder.
    [[nodiscard]] static bool exists(const std::string& state_folder);

    [[nodiscard]] Result<void> add_file(const StoredFile& file);
    /// nullopt: there is none of this owner.
    [[nodiscard]] Result<std::optional<StoredFile>> find_file(std::string_view id,
                                                              std::string_view key);
    [[nodiscard]] Result<void> remove_file(const StoredFile& file);

    // Of one batch, or of all requests that were gathered into one: all of them or none.
    /// Before it is asked for.
    [[nodiscard]] Result<void> begin_batches(std::span<const StoredBatch> batches);
    /// Its provider has taken it. They have its name, and how it stands.
    [[nodiscard]] Result<void> name_batches(std::span<const StoredBatch> batches);
    /// It was refused.
    [[nodiscard]] Result<void> drop_batches(std::span<const StoredBatch> batches);
    /// How it stands, as its provider tells.
    [[nodiscard]] Result<void> note_state(std::span<const StoredBatch> batches,
                                          std::string_view state, std::int64_t expires_unix_s);
    /// For each of them whether it had not been settled before.
    [[nodiscard]] Result<std::vector<bool>> settle_batches(std::span<const StoredBatch> batches);
    /// Gathered requests are none that a caller could ask for.
    [[nodiscard]] Result<std::optional<StoredBatch>> find_batch(std::string_view id,
                                                                std::string_view key);
    /// Those without a row in the ledger, oldest first.
    [[nodiscard]] Result<std::vector<StoredBatch>> unsettled();
    /// All of them, oldest first.
    [[nodiscard]] Result<std::vector<StoredBatch>> all();
    /// How many are unsettled in each state.
    [[nodiscard]] Result<std::vector<std::pair<std::string, std::int64_t>>> standings();

    [[nodiscard]] BatchCounters& counters() noexcept { return counters_; }

private:
    [[nodiscard]] Result<std::vector<StoredBatch>> select(const char* where);
    /// `sql` for each of them in one transaction: `run` fills in all but the record, and runs it. Which changed something.
    template <class Run>
    [[nodiscard]] Result<std::vector<bool>> for_each(std::span<const StoredBatch> batches,
                                                     const char* sql, Run&& run);
    explicit BatchStore(store::sqlite::Database db) : db_(std::move(db)) {}

    std::mutex mutex_;
    store::sqlite::Database db_;
    BatchCounters counters_;
};

}  // namespace leeway::app
