#pragma once

#include "ledger/reader.hpp"
#include "ledger/report.hpp"
#include "ledger/schema.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace leeway::ledger {

inline constexpr std::int64_t kDayUs = 86'400'000'000;
inline constexpr std::int64_t kHourUs = 3'600'000'000;

/// Days and moments that a query covers. Days in [first_day, end_day) are whole.
struct ReportRange {
    std::int64_t since_us;
    std::int64_t until_us;
    std::int64_t first_day;
    std::int64_t end_day;
};
[[nodiscard]] ReportRange range_of(std::optional<std::int64_t> since_us,
                                   std::optional<std::int64_t> until_us);

/// Days [first_day, end_day) as rows of one length hold them: 1 is `rollup_day` and `rollup_label`, the others
/// are their spans.
struct DaySpan {
    std::int64_t days;
    std::int64_t first_day;
    std::int64_t end_day;
    friend bool operator==(const DaySpan&, const DaySpan&) = default;
};
/// [first_day, end_day) with as few rows as can be, where the spans have the days before `folded_before`.
[[nodiscard]] std::vector<DaySpan> cover_days(std::int64_t first_day, std::int64_t end_day,
                                              std::int64_t folded_before);

/// The work of one report: finds the cheapest table that can answer, and adds up. One use.
class ReportScan {
public:
    /// Numbers of the groups: days, hours, ids of names or labels, or of `interned_`.
    using Group = std::array<std::int64_t, 2>;

    ReportScan(store::sql::Database& db, const ReportQuery& query)
        : db_(db), query_(query), names_(db) {}

    [[nodiscard]] Result<void> run();

    [[nodiscard]] const std::map<Group, Totals>& sums() const noexcept { return sums_; }
    [[nodiscard]] const Totals& total() const noexcept { return total_; }
    [[nodiscard]] std::string text(ReportBy by, std::int64_t id);
    [[nodiscard]] std::vector<std::string> take_notes() { return std::move(notes_); }

private:
    /// What a filter compares with: an id, or a text that has none.
    struct Wanted {
        ReportBy by = ReportBy::kDay;
        std::int64_t id = 0;
    };
    enum class Table : std::uint8_t { kDay, kLabel, kRows };

    [[nodiscard]] Result<bool> resolve_filters();
    [[nodiscard]] bool uses(ReportBy by) const;
    [[nodiscard]] std::size_t count_of(ReportBy by) const;
    [[nodiscard]] Table choose();
    [[nodiscard]] Result<void> add_rollups(std::int64_t first_day, std::int64_t end_day);
    [[nodiscard]] Result<void> read_rollups(const std::string& sql, const DaySpan& span,
                                            bool into_groups, bool into_total);
    [[nodiscard]] Result<void> add_cut_days(std::int64_t from_us, std::int64_t to_us);
    [[nodiscard]] Result<void> add_rows(std::int64_t from_us, std::int64_t to_us);
    void add_row(const store::sql::Statement& row);
    [[nodiscard]] Result<void> note_missing_rows(const ReportRange& range);
    [[nodiscard]] std::int64_t intern(std::string_view text);
    [[nodiscard]] Result<std::optional<std::int64_t>> label_of(LabelKind kind,
                                                               const std::string& text);
    [[nodiscard]] std::int64_t tag_id(std::string_view text);
    [[nodiscard]] const std::string& label_text(std::int64_t id);
    void load_labels();

    store::sql::Database& db_;
    const ReportQuery& query_;
    Names names_;
    Table table_ = Table::kDay;
    ReportBy label_by_ = ReportBy::kUser;
    std::vector<Wanted> wanted_;
    std::map<Group, Totals> sums_;
    Totals total_;
    std::vector<std::string> notes_;
    std::int64_t rows_of_whole_days_ = 0;
    std::int64_t whole_from_us_ = 0;
    std::int64_t whole_to_us_ = 0;
    // Texts that have no number of their own: sessions, and labels beyond the bound.
    std::unordered_map<std::string, std::int64_t> interned_;
    std::vector<std::string> interned_texts_;
    bool labels_loaded_ = false;
    std::unordered_map<std::int64_t, std::string> labels_;
    std::unordered_map<std::string, std::int64_t> tags_;
    std::unordered_map<std::int64_t, std::vector<std::int64_t>> tag_sets_;
};

}  // namespace leeway::ledger
