#pragma once

#include "base/hash.hpp"
#include "base/ids.hpp"
#include "base/money.hpp"
#include "base/result.hpp"
#include "lab/outcomes/outcome_table.hpp"
#include "lab/outcomes/stored_outcome.hpp"
#include "methods/router/predict/outcome_predictor.hpp"
#include "store/sqlite/database.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace leeway::lab {

/// How long and how many rows of live traffic are kept. What was imported stays.
struct StoreBounds {
    std::int64_t oldest_s = 0;  ///< Unix time
    std::int64_t rows = 0;  ///< answers, and outcomes, each
};

/// What was asked of an answer of live traffic, as a router looks at it.
struct StoredVector {
    std::vector<float> vector;
    router::TextCues cues{};
};

/// How much there is of one model from one source.
struct OutcomeStatistic {
    std::string model;
    OutcomeSource source = OutcomeSource::kImported;
    std::int64_t outcomes = 0;
    double mean_quality = 0;
    std::int64_t with_cost = 0;
    PicoUsdSum cost;  ///< of those
};
struct StoreStatistics {
    std::int64_t queries = 0;
    std::int64_t answers = 0;  ///< requests that feedback can name
    std::int64_t feedback = 0;  ///< of these, those that it did
    std::vector<std::pair<std::string, std::int64_t>> embeddings;  ///< by fingerprint
    std::vector<OutcomeStatistic> outcomes;  ///< by model and source
};

/// What a store tells as a table, without texts.
struct StoreTable {
    OutcomeTable table;
    Sha256 digest{};  ///< of all that is in it
};

/// Where it is under a state folder.
[[nodiscard]] inline std::string outcome_store_path(const std::string& state_folder) {
    return state_folder + "/outcomes.db";
}

/// What models did with queries, from wherever it is known: the SQLite file `<state>/outcomes.db`
/// (docs/formats/outcomes.md). One thread at a time; other processes may read it.
class OutcomeStore {
public:
    /// Makes the file or brings it up to date. Errors as of `store::sqlite::Database` and `store::migrate`.
    [[nodiscard]] static Result<OutcomeStore> open(
        const std::string& path, store::sqlite::Access access = store::sqlite::Access::kCreate);

    using Transaction = store::sqlite::Transaction;
    /// Many changes at once take a hundredth of the time within one.
    [[nodiscard]] Result<Transaction> begin() { return Transaction::begin(db_); }

    /// The number of a query, which is added when it is new; task and split of a known one are replaced.
    [[nodiscard]] Result<std::int64_t> put(const StoredQuery& query);
    /// Replaces what this source said of this model's answer before.
    [[nodiscard]] Result<void> put(std::int64_t query, const StoredOutcome& outcome);
    /// Replaces. `fingerprint`: that of the model that made `vector`.
    [[nodiscard]] Result<void> put(std::int64_t query, std::string_view fingerprint,
                                   std::span<const float> vector);

    /// An answer of live traffic; a known id is left as it is.
    [[nodiscard]] Result<void> put(std::int64_t query, const StoredAnswer& answer);
    /// nullopt: this tenant has none of that id.
    [[nodiscard]] Result<std::optional<FoundAnswer>> find_answer(const RequestId& id,
                                                                 std::string_view tenant);
    /// Of an answer that is there.
    [[nodiscard]] Result<void> put(const RequestId& answer, const StoredFeedback& feedback);
    /// What callers said, oldest first. `tenant`: of this one only.
    [[nodiscard]] Result<void> each_feedback(
        const std::optional<std::string>& tenant,
        const std::function<void(const ListedFeedback&)>& take);
    /// What is known of the models' answers to the query of each answer of live traffic, by its id; of one model several may
    /// come, the latest last.
    [[nodiscard]] Result<void> each_live_outcome(
        const std::function<void(const RequestId&, const StoredOutcome&)>& take);
    /// Of that answer's query, by the model of this fingerprint; nullopt: there is none.
    [[nodiscard]] Result<std::optional<StoredVector>> find_vector(const RequestId& answer,
                                                                  std::string_view fingerprint);
    /// Deletes what is beyond the bounds, at most about `most` rows. Returns how many.
    [[nodiscard]] Result<std::size_t> sweep(const StoreBounds& bounds, std::int64_t most);

    /// All that is not missing in `table`, as imported at `at_s`, in one transaction. Returns how many outcomes.
    /// `vectors` are those of the queries (as many floats each as `dimension`), or empty.
    [[nodiscard]] Result<std::size_t> import(const OutcomeTable& table, std::int64_t at_s,
                                             std::string_view fingerprint,
                                             std::span<const float> vectors,
                                             const std::function<void(std::size_t)>& progress = {});

    /// What a router learns from: the queries of `tenant` with a vector of that fingerprint. Where several sources tell of
    /// an answer the latest counts. Outcomes without a cost are left out.
    [[nodiscard]] Result<router::OutcomeRows> rows(std::string_view tenant,
                                                   std::string_view fingerprint);

    /// Outcomes as a table: the latest of each query and model. `tenant`: of this one only, else of all. `tasks`: only
    /// these; empty: all. Texts are empty. Errors: kConfig where there are none.
    [[nodiscard]] Result<StoreTable> table(const std::optional<std::string>& tenant,
                                           std::span<const std::string> tasks);

    [[nodiscard]] Result<StoreStatistics> statistics();
    /// Forgets all that came from a tenant, texts of feedback included, also in the files.
    [[nodiscard]] Result<void> erase(std::string_view tenant);

private:
    explicit OutcomeStore(store::sqlite::Database db) : db_(std::move(db)) {}
    store::sqlite::Database db_;
};

}  // namespace leeway::lab
