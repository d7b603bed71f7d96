#pragma once

#include "base/hash.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "methods/agent_cache/semantic/hit_model.hpp"
#include "store/sqlite/database.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace leeway::agent_cache {

/// How often a kept answer was verified for another question than its own.
struct RecordRow {
    std::uint64_t entry = 0;
    std::string tenant;  ///< name of the key; empty: of callers without one, or shared
    std::string route;
    semantic::EntryRecord counts;
};
/// What one controller learned.
struct ControllerRow {
    Sha256 id{};
    std::string tenant;
    std::string route;
    std::string saved;  ///< RiskController::save
    std::string state;  ///< for people, a JSON object
};
/// What is to be forgotten; nullopt: whoever's, wherever.
struct Erasure {
    std::optional<std::string> tenant;
    std::optional<std::string> route;
    [[nodiscard]] bool fits(std::string_view of_tenant, std::string_view of_route) const {
        return (!tenant || *tenant == of_tenant) && (!route || *route == of_route);
    }
};

/// What the semantic cache knows beside vectors and answers: the SQLite file `<state>/semantic.db`
/// (docs/formats/cache.md). One thread at a time; other processes may read it, and order what is to be forgotten.
class SemanticFile {
public:
    /// Makes the file or brings it up to date. Errors as of `store::sqlite::Database` and `store::migrate`.
    [[nodiscard]] static Result<SemanticFile> open(
        const std::string& path, store::sqlite::Access access = store::sqlite::Access::kCreate);

    using Transaction = store::sqlite::Transaction;
    [[nodiscard]] Result<Transaction> begin() { return Transaction::begin(db_); }

    [[nodiscard]] Result<void> each_record(const std::function<void(RecordRow)>& take);
    [[nodiscard]] Result<void> each_controller(const std::function<void(ControllerRow)>& take);
    /// Replaces. Beyond kRecords those that were saved the longest ago go.
    [[nodiscard]] Result<void> save(const RecordRow& record);
    [[nodiscard]] Result<void> save(const ControllerRow& controller);
    [[nodiscard]] Result<void> erase(const Erasure& what);
    static constexpr int kRecords = 100'000;

    /// Why a request was answered as it was, for `leeway cache explain`: `detail` is a JSON object. Of older requests
    /// than the last kDecisions nothing is kept.
    [[nodiscard]] Result<void> add_decision(const RequestId& id, std::string_view tenant,
                                            std::string_view route, std::string_view detail);
    /// nullopt: there is none.
    [[nodiscard]] Result<std::optional<std::string>> decision(const RequestId& id);
    static constexpr int kDecisions = 20'000;

    /// Orders of other processes, and the greatest number among them.
    struct Orders {
        std::vector<Erasure> what;
        std::int64_t last = 0;
    };
    [[nodiscard]] Result<Orders> orders();
    /// Gives one; a number is never given twice.
    [[nodiscard]] Result<std::int64_t> order(const Erasure& what);
    /// Those up to `last` are obeyed.
    [[nodiscard]] Result<void> forget_orders(std::int64_t last);
    [[nodiscard]] Result<bool> is_obeyed(std::int64_t number);

private:
    explicit SemanticFile(store::sqlite::Database db) : db_(std::move(db)) {}
    store::sqlite::Database db_;
};

}  // namespace leeway::agent_cache
