#pragma once

// Only for tests: a throwaway PostgreSQL server.

#include "base/secret.hpp"
#include "ledger/testing.hpp"
#include "store/postgres/database.hpp"

#include <fmt/format.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace leeway::ledger::testing {

/// One server for the whole program, started by the first who asks; see tests/support/postgres.
class PostgresServer {
public:
    static PostgresServer& get() {
        static PostgresServer server;
        return server;
    }
    PostgresServer(const PostgresServer&) = delete;
    PostgresServer& operator=(const PostgresServer&) = delete;
    ~PostgresServer() {
        if (running_) stop();
    }

    /// Empty: it can be used; else why not.
    [[nodiscard]] const std::string& missing() const noexcept { return missing_; }
    bool start() {
        running_ = call("start", &url_) == 0;
        return running_;
    }
    /// As a crash would: connections break, what is committed stays.
    void stop() {
        (void)call("stop", nullptr);
        running_ = false;
    }
    /// A new, empty database.
    Secret make_database() {
        const std::string name = "t" + std::to_string(++count_);
        auto db = store::postgres::Database::open(Secret(url_));
        if (!db || !db->exec(("CREATE DATABASE " + name).c_str())) std::abort();
        std::string url = url_;
        url.replace(url.find("/postgres?"), 9, "/" + name);
        return Secret(url);
    }

private:
    PostgresServer() {
        if (!start()) {
            missing_ = "PostgreSQL 15 cannot be started: tools/setup.sh test installs it";
        }
    }
    int call(const char* action, std::string* line) {
        const std::string command = fmt::format("{}/tests/support/postgres {} {}/server",
                                                LEEWAY_SOURCE_DIR, action, folder_.path());
        std::FILE* out = ::popen(command.c_str(), "r");
        std::string text;
        for (int c = std::fgetc(out); c != EOF && c != '\n'; c = std::fgetc(out)) {
            text += static_cast<char>(c);
        }
        const int status = ::pclose(out);
        if (line != nullptr) *line = text;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

    TemporaryFolder folder_;
    std::string url_;
    std::string missing_;
    bool running_ = false;
    int count_ = 0;
};

}  // namespace leeway::ledger::testing
