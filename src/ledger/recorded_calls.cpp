#include "ledger/recorded_calls.hpp"

#include "ledger/reader.hpp"
#include "ledger/record.hpp"
#include "ledger/request_pages.hpp"
#include "ledger/schema.hpp"

#include <limits>

namespace leeway::ledger {
namespace {

using store::sql::Database;
using store::sql::Statement;

constexpr int kOkStatus = 200;

std::optional<PicoUsd> money(const Statement& row, int column) {
    const auto value = row.optional_int64(column);
    if (!value) return std::nullopt;
    return PicoUsd(*value);
}

class Reading {
public:
    Reading(Database& db, const RecordedCallFilter& filter,
            const std::function<void(const RecordedCalls&)>& take)
        : db_(db), filter_(filter), take_(take), names_(db), labels_(db, "label") {}

    Result<void> run() {
        auto requests =
            db_.prepare("SELECT id, route, model, baseline_pico_usd, notes, key, " +
                        label_number_sql(db_, "tags") + ", " + label_text_sql(db_, "tags") +
                        " FROM request WHERE id > ?1 AND ts_us >= ?2 AND ts_us < ?4 AND source = 0"
                        " ORDER BY id LIMIT ?3");
        if (!requests) return fail(std::move(requests.error()));
        requests_.emplace(std::move(*requests));
        auto attempts = db_.prepare(
            "SELECT model, cost_pico_usd, end, http_status, input, cached_input FROM attempt"
            " WHERE request_id = ?1 ORDER BY number");
        if (!attempts) return fail(std::move(attempts.error()));
        attempts_.emplace(std::move(*attempts));
        return each_request_row(
            db_, *requests_, filter_.since_us,
            [this](Statement& to) {
                to.bind(4, filter_.until_us.value_or(std::numeric_limits<std::int64_t>::max()));
            },
            [this](const RequestId& id) { return request(id); });
    }

private:
    Result<void> request(const RequestId& id) {
        const Statement& row = *requests_;
        RecordedCalls out;
        out.route = names_.text(row.int64(1));
        if (!filter_.route.empty() && out.route != filter_.route) return {};
        out.id = id;
        out.model = names_.text(row.int64(2));
        out.baseline = money(row, 3);
        out.notes = row.text(4);
        out.key = names_.text(row.int64(5));
        out.tags = row.is_null(6) ? row.text(7) : std::string_view(labels_.text(row.int64(6)));
        Statement& attempts = *attempts_;
        attempts.bind_blob(1, id.bytes);
        while (true) {
            const auto more = attempts.step();
            if (!more) return fail(more.error());
            if (!*more) break;
            const auto end = static_cast<EndState>(attempts.int64(2));
            out.calls.push_back(
                {names_.text(attempts.int64(0)), money(attempts, 1),
                 attempts.optional_int64(4).value_or(0) + attempts.optional_int64(5).value_or(0),
                 end == EndState::kOk && attempts.int64(3) == kOkStatus});
        }
        take_(out);
        return {};
    }

    Database& db_;
    const RecordedCallFilter& filter_;
    const std::function<void(const RecordedCalls&)>& take_;
    Names names_;
    Names labels_;
    std::optional<Statement> requests_;
    std::optional<Statement> attempts_;
};

}  // namespace

Result<void> each_recorded(Database& db, const RecordedCallFilter& filter,
                           const std::function<void(const RecordedCalls&)>& take) {
    return Reading(db, filter, take).run();
}

}  // namespace leeway::ledger
