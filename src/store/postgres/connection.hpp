#pragma once

#include "store/postgres/database.hpp"

#include <postgresql/libpq-fe.h>

namespace leeway::store::postgres {

struct ClearResult {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
};
using ResultSet = std::unique_ptr<PGresult, ClearResult>;

/// libpq without its endless waits: every answer has a deadline.
struct Connection {
    ~Connection() { PQfinish(pg); }

    /// Connects until the deadline.
    [[nodiscard]] Result<void> connect(const Secret& url, const OpenOptions& options);
    /// After a send: waits for the answer, the last of several.
    [[nodiscard]] Result<ResultSet> answer(bool sent, const char* doing);
    /// One more statement of the queue was sent.
    [[nodiscard]] Result<void> queued(bool sent);
    /// Reads all answers of the queue; the last one that has rows or a count.
    [[nodiscard]] Result<ResultSet> drain();
    [[nodiscard]] Error error_of(const PGresult* result, const char* doing) const;

    PGconn* pg = nullptr;
    std::string name;
    Duration patience{};
    bool queueing = false;
    int unread = 0;  // statements of the queue
    std::int64_t changes = 0;
    std::uint64_t statements = 0;  // ever prepared

private:
    [[nodiscard]] Result<void> flush(TimePoint deadline);
    /// The next result; null at the end of a statement.
    [[nodiscard]] Result<ResultSet> next(TimePoint deadline);
    [[nodiscard]] Error lost(const char* doing) const;
};

}  // namespace leeway::store::postgres
