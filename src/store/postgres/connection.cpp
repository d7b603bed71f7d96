#include "store/postgres/connection.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>

namespace leeway::store::postgres {
namespace {

struct FreeOptions {
    void operator()(PQconninfoOption* options) const noexcept { PQconninfoFree(options); }
};
using ConnInfo = std::unique_ptr<PQconninfoOption, FreeOptions>;

// So many answers fit into the socket's buffers while we send.
constexpr int kMostUnread = 256;

Error not_a_url() {
    return {.code = ErrorCode::kConfig,
            .message = "ledger.database is no URL of a PostgreSQL database",
            .hint = "write postgres://USER:PASSWORD@HOST:5432/NAME, and give it by ${VARIABLE}",
            .param = {},
            .reason = "denied"};
}

/// One line, without the trailing newline that libpq's texts have.
std::string one_line(const char* text) {
    std::string out(text == nullptr ? "" : text);
    while (!out.empty() && (out.back() == '\n' || out.back() == ' ')) out.pop_back();
    std::replace(out.begin(), out.end(), '\n', ';');
    std::erase(out, '\t');
    return out;
}

/// False: the deadline passed.
bool wait_for(int fd, short events, TimePoint deadline) {
    while (true) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - monotonic_now());
        if (left.count() <= 0) return false;
        pollfd one{fd, events, 0};
        const int ready =
            ::poll(&one, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 60'000)));
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR) return false;
    }
}

}  // namespace

Result<std::string> display_name(const Secret& url) {
    const std::string& text = url.expose();
    if (!text.starts_with("postgres://") && !text.starts_with("postgresql://")) {
        return fail(not_a_url());
    }
    const ConnInfo options(PQconninfoParse(text.c_str(), nullptr));
    if (!options) return fail(not_a_url());
    std::string user;
    std::string host;
    std::string port;
    std::string database;
    const std::pair<std::string_view, std::string*> wanted[] = {
        {"user", &user}, {"host", &host}, {"port", &port}, {"dbname", &database}};
    for (const PQconninfoOption* one = options.get(); one->keyword != nullptr; ++one) {
        for (const auto& [keyword, out] : wanted) {
            if (keyword == one->keyword && one->val != nullptr) *out = one->val;
        }
    }
    return fmt::format("postgres://{}{}{}{}{}/{}", user, user.empty() ? "" : "@", host,
                       port.empty() ? "" : ":", port, database);
}

Error Connection::lost(const char* doing) const {
    const std::string why = one_line(PQerrorMessage(pg));
    return {
        .code = ErrorCode::kUnavailable,
        .message = fmt::format("{}: {} ({})", doing, why.empty() ? "no answer in time" : why, name),
        .hint = "check that the PostgreSQL server runs and can be reached",
        .param = {},
        .reason = "unreachable"};
}

Error Connection::error_of(const PGresult* result, const char* doing) const {
    const char* field = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (field == nullptr || PQstatus(pg) == CONNECTION_BAD) return lost(doing);
    const std::string_view state(field);
    Error error;
    error.code = ErrorCode::kUnavailable;
    error.message = fmt::format(
        "{}: {} ({})", doing, one_line(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)), name);
    if (state.starts_with("57P") || state.starts_with("08")) {
        error.reason = "unreachable";
        error.hint = "the PostgreSQL server is going down or starting";
    } else if (state == "53100") {
        error.reason = "disk_full";
        error.hint = "free some space on the server's disk; nothing needs a restart";
    } else if (state.starts_with("40") || state == "55P03" || state == "57014" ||
               state.starts_with("53")) {
        error.reason = "busy";
        error.hint = "the server is busy, or another client holds a lock";
    } else if (state.starts_with("22") || state.starts_with("23")) {
        error.reason = "constraint";
        error.code = ErrorCode::kInternal;
    } else if (state == "42501" || state == "25006") {
        error.reason = "read_only";
        error.hint = "give this user the right to create and write tables in the database";
    } else {
        error.reason = "postgres";
        error.code = ErrorCode::kInternal;
    }
    return error;
}

Result<void> Connection::connect(const Secret& url, const OpenOptions& options) {
    auto shown = display_name(url);
    if (!shown) return fail(std::move(shown.error()));
    name = std::move(*shown);
    patience = options.patience;
    const TimePoint deadline = monotonic_now() + options.connect_patience;
    // Dead peers must not hold locks or us for hours; what the URL says goes first.
    const char* const keywords[] = {"dbname",
                                    "application_name",
                                    "client_encoding",
                                    "keepalives_idle",
                                    "keepalives_interval",
                                    "keepalives_count",
                                    nullptr};
    const char* const values[] = {url.expose().c_str(), "leeway", "UTF8", "15", "5", "3", nullptr};
    pg = PQconnectStartParams(keywords, values, 1);
    constexpr const char* kDoing = "cannot reach the ledger's database";
    if (pg == nullptr || PQstatus(pg) == CONNECTION_BAD) return fail(lost(kDoing));
    // What the server says about its state and our rights; libpq has no code for it.
    for (auto state = PGRES_POLLING_WRITING; state != PGRES_POLLING_OK; state = PQconnectPoll(pg)) {
        if (state == PGRES_POLLING_FAILED) {
            Error error = lost(kDoing);
            const bool denied = error.message.find("authentication failed") != std::string::npos ||
                                error.message.find("no password supplied") != std::string::npos ||
                                (error.message.find("does not exist") != std::string::npos &&
                                 error.message.find("FATAL") != std::string::npos);
            if (denied) {
                error.code = ErrorCode::kConfig;
                error.reason = "denied";
                error.hint = "check user, password and database in ledger.database";
            }
            return fail(std::move(error));
        }
        const short events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        if (!wait_for(PQsocket(pg), events, deadline)) return fail(lost(kDoing));
    }
    PQsetnonblocking(pg, 1);
    PQsetNoticeProcessor(pg, [](void*, const char*) {}, nullptr);
    return {};
}

Result<void> Connection::flush(TimePoint deadline) {
    while (true) {
        const int left = PQflush(pg);
        if (left == 0) return {};
        if (left < 0) return fail(lost("the ledger's database is gone"));
        // The server may want to be read before it reads on.
        if (!wait_for(PQsocket(pg), POLLIN | POLLOUT, deadline) || PQconsumeInput(pg) == 0) {
            return fail(lost("the ledger's database is gone"));
        }
    }
}

Result<ResultSet> Connection::next(TimePoint deadline) {
    while (PQisBusy(pg) != 0) {
        if (!wait_for(PQsocket(pg), POLLIN, deadline) || PQconsumeInput(pg) == 0) {
            return fail(lost("the ledger's database is gone"));
        }
    }
    return ResultSet(PQgetResult(pg));
}

Result<ResultSet> Connection::answer(bool sent, const char* doing) {
    if (!sent) return fail(lost(doing));
    if (queueing) {
        ++unread;
        return drain();
    }
    const TimePoint deadline = monotonic_now() + patience;
    if (auto flushed = flush(deadline); !flushed) return fail(std::move(flushed.error()));
    ResultSet last;
    std::optional<Error> error;
    while (true) {
        auto result = next(deadline);
        if (!result) return result;
        if (!*result) break;
        const auto status = PQresultStatus(result->get());
        const bool well = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
        if (!well && !error) error = error_of(result->get(), doing);
        last = std::move(*result);
    }
    if (error) return fail(std::move(*error));
    if (!last) return fail(lost(doing));
    return last;
}

Result<void> Connection::queued(bool sent) {
    if (!sent) return fail(lost("the ledger's database is gone"));
    if (++unread < kMostUnread) return {};
    auto read = drain();
    if (!read) return fail(std::move(read.error()));
    return {};
}

Result<ResultSet> Connection::drain() {
    const TimePoint deadline = monotonic_now() + patience;
    if (PQpipelineSync(pg) != 1) return fail(lost("the ledger's database is gone"));
    if (auto flushed = flush(deadline); !flushed) return fail(std::move(flushed.error()));
    unread = 0;
    ResultSet last;
    std::optional<Error> error;
    while (true) {
        auto result = next(deadline);
        if (!result) return result;
        if (!*result) {
            if (PQstatus(pg) == CONNECTION_BAD) return fail(lost("the ledger's database is gone"));
            continue;  // the end of one statement
        }
        const auto status = PQresultStatus(result->get());
        if (status == PGRES_PIPELINE_SYNC) break;
        if (status == PGRES_PIPELINE_ABORTED) continue;
        const bool well = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
        if (!well && !error) error = error_of(result->get(), "database statement failed");
        last = std::move(*result);
    }
    if (error) return fail(std::move(*error));
    return last;
}

}  // namespace leeway::store::postgres
