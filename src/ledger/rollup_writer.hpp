#pragma once

#include "ledger/record.hpp"
#include "ledger/schema.hpp"
#include "ledger/totals.hpp"
#include "store/sql/database.hpp"

#include <compare>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

namespace leeway::ledger {

/// Days since 1970-01-01 UTC, and numbers of `name`.
struct RollupGroup {
    std::int64_t day = 0;
    std::int64_t key = 0;
    std::int64_t route = 0;
    std::int64_t model = 0;
    std::int64_t provider = 0;
    friend bool operator==(const RollupGroup&, const RollupGroup&) = default;
};

/// What a request adds to which row of the roll-ups; docs/formats/ledger.md has the tables. Sums of a batch are
/// gathered in memory and written once, in the transaction of its rows. A day that is over is also added to the
/// spans that it lies in, so that a long report reads few rows. Ledger thread only.
class RollupWriter {
public:
    explicit RollupWriter(store::sql::Database& db) : db_(db) {}
    [[nodiscard]] Result<void> prepare();

    /// Inside the transaction of a batch: forgets what an abandoned one left.
    [[nodiscard]] Result<void> begin();
    void add(const RequestRecord& record, const RollupGroup& group, const Totals& totals);
    void add_label(LabelKind kind, std::int64_t day, std::int64_t label, const Totals& totals);
    void add_attempt(std::int64_t day, std::int64_t provider, std::int64_t model,
                     const AttemptRow& attempt);
    [[nodiscard]] Result<void> write();

    /// Whether what was written began a new day: then `fold`, still in the same transaction.
    [[nodiscard]] bool day_over() const noexcept { return day_over_; }
    /// Adds all days before the newest one to the spans. Not in a queue.
    [[nodiscard]] Result<void> fold();
    /// Whether the database has days to fold.
    [[nodiscard]] Result<bool> behind();

private:
    struct Group {
        RollupGroup key;
        Totals totals;
    };
    struct LabelKey {
        std::int64_t kind = 0;
        std::int64_t day = 0;
        std::int64_t label = 0;
        friend auto operator<=>(const LabelKey&, const LabelKey&) = default;
    };
    struct LabelHash {
        std::size_t operator()(const LabelKey& key) const noexcept {
            return static_cast<std::uint64_t>(key.label) * 0x9e3779b97f4a7c15ULL +
                   static_cast<std::uint64_t>(key.day) * 31 + static_cast<std::uint64_t>(key.kind);
        }
    };
    struct SavingKey {
        std::int64_t day = 0;
        std::int64_t route = 0;
        std::int64_t step = 0;
        std::int64_t label = 0;
        friend bool operator==(const SavingKey&, const SavingKey&) = default;
    };
    struct Saving {
        SavingKey key;
        std::int64_t requests = 0;
        PicoUsdSum amount;
    };
    struct ArmSum {
        std::int64_t day = 0;
        std::int64_t route = 0;
        std::int64_t arm = 0;
        std::int64_t requests = 0;
        std::int64_t errors = 0;
        std::int64_t known = 0;
        PicoUsdSum spent;
        double squares_usd2 = 0;  // for an interval, not for money
    };
    struct AttemptSum {
        std::int64_t day = 0;
        std::int64_t provider = 0;
        std::int64_t model = 0;
        std::int64_t attempts = 0;
        std::int64_t unknown_cost = 0;
        PicoUsdSum spent;
    };

    void add_savings(const RequestRecord& record, const RollupGroup& group);
    void add_saving(const SavingKey& key, Int128 amount);
    void add_to_arm(const RequestRecord& record, const RollupGroup& group);
    [[nodiscard]] Result<void> write_groups();
    [[nodiscard]] Result<void> write_labels();
    [[nodiscard]] Result<void> write_savings();
    [[nodiscard]] Result<void> write_attempts();
    [[nodiscard]] Result<void> fold_day(std::int64_t day);

    store::sql::Database& db_;
    std::optional<store::sql::Statement> upsert_rollup_, upsert_label_, upsert_rollup_span_,
        upsert_label_span_, upsert_saving_, upsert_arm_, upsert_attempt_, folded_;
    std::vector<Group> groups_;
    std::unordered_map<LabelKey, Totals, LabelHash> label_groups_;
    std::vector<Saving> savings_;
    std::vector<ArmSum> arms_;
    std::vector<AttemptSum> attempts_;
    bool day_over_ = false;
    std::int64_t folded_before_ = 0;  // as read at `begin`: another gateway may have been quicker
};

/// The database refuses steps that do not add up; a row must not be lost for them, so they are unknown.
[[nodiscard]] bool closes(const RequestRecord& record);

}  // namespace leeway::ledger
