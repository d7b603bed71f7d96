#include "ledger/request_pages.hpp"

#include "ledger/schema.hpp"

#include <cstring>
#include <limits>

namespace leeway::ledger {
namespace {

using store::sql::Database;
using store::sql::Statement;
using store::sql::Transaction;

constexpr std::int64_t kPage = 1000;

}  // namespace

Result<void> each_request_row(Database& db, Statement& requests,
                              std::optional<std::int64_t> since_us,
                              const std::function<void(Statement&)>& bind_more,
                              const std::function<Result<void>(const RequestId&)>& take) {
    // Ids begin with their millisecond; the hour allows for one that was made a little off.
    RequestId after = since_us ? id_bound(*since_us - kHourUs) : RequestId{};
    const auto page = [&]() -> Result<std::int64_t> {
        auto snapshot = Transaction::begin_read(db);
        if (!snapshot) return fail(std::move(snapshot.error()));
        const RequestId start = after;
        requests.bind_blob(1, start.bytes)
            .bind(2, since_us.value_or(std::numeric_limits<std::int64_t>::min()))
            .bind(3, kPage);
        bind_more(requests);
        for (std::int64_t count = 0;; ++count) {
            const auto row = requests.step();
            if (!row) return fail(row.error());
            if (!*row) return count;
            const auto id = requests.blob(0);
            if (id.size() != after.bytes.size()) continue;
            std::memcpy(after.bytes.data(), id.data(), id.size());
            if (auto done = take(after); !done) {
                requests.reset();
                return fail(std::move(done.error()));
            }
        }
    };
    for (bool more = true; more;) {
        const auto count = page();
        if (!count) return fail(count.error());
        more = *count == kPage;
    }
    return {};
}

}  // namespace leeway::ledger
