#include "ledger/report_filter.hpp"

#include "ledger/schema.hpp"
#include "ledger/time_text.hpp"

#include <fmt/format.h>

namespace leeway::ledger {

std::string filter_condition(const store::sql::Database& db, const ReportFilter& filter, int number,
                             std::string_view names_of) {
    const bool none = filter.value.empty();
    const auto label = [&](const char* column, LabelKind kind) {
        if (none) return fmt::format("{} = 0", column);
        return fmt::format(
            "({0} = (SELECT id FROM label WHERE kind = {1} AND text = ?{2}) OR"
            " {3} = ?{2})",
            column, static_cast<int>(kind), number, label_text_sql(db, column));
    };
    switch (filter.by) {
        case ReportBy::kUser: return label("user", LabelKind::kUser);
        case ReportBy::kAgent: return label("agent", LabelKind::kAgent);
        case ReportBy::kSession:
            return none ? "session IS NULL" : fmt::format("session = ?{}", number);
        case ReportBy::kTag:
            if (none) return "tags = 0";
            // A set holds a tag if it is another text without it.
            return fmt::format(
                "(tags IN (SELECT id FROM label WHERE kind = 3 AND"
                " replace(',' || text || ',', ',' || ?{0} || ',', '') <> ',' || text || ',') OR"
                " replace(',' || {1} || ',', ',' || ?{0} || ',', '') <> ',' || {1} || ',')",
                number, label_text_sql(db, "tags"));
        default:
            return fmt::format(
                "{}{} = (SELECT id FROM name WHERE text = ?{})",
                filter.by == ReportBy::kProvider || filter.by == ReportBy::kModel ? names_of : "",
                to_string(filter.by), number);
    }
}

bool filter_has_parameter(const ReportFilter& filter) {
    const bool name = filter.by == ReportBy::kKey || filter.by == ReportBy::kRoute ||
                      filter.by == ReportBy::kModel || filter.by == ReportBy::kProvider;
    return name || !filter.value.empty();
}

Result<void> read_times(const ReportOptions& options, std::int64_t now_us, ReportQuery& query) {
    const std::pair<const std::string*, std::optional<std::int64_t>*> times[] = {
        {&options.since, &query.since_us}, {&options.until, &query.until_us}};
    for (const auto& [text, value] : times) {
        if (text->empty()) continue;
        const auto parsed = parse_time(*text, now_us);
        if (!parsed) return fail(parsed.error());
        *value = *parsed;
    }
    return {};
}

}  // namespace leeway::ledger
