#include "store/sqlite/database.hpp"

#include "ledger/testing.hpp"
#include "store/sqlite/migrations.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>

namespace leeway::store::sqlite {
namespace {

using ledger::testing::TemporaryFolder;

Database open_or_die(const std::string& path, const OpenOptions& options = {}) {
    auto db = Database::open(path, options);
    if (!db) {
        ADD_FAILURE() << db.error().text();
        std::abort();
    }
    return std::move(*db);
}

TEST(SqliteDatabase, StoresAndReadsEveryTypeThroughBoundParameters) {
    auto db = open_or_die(":memory:");
    ASSERT_TRUE(db.exec("CREATE TABLE t (i INTEGER, t TEXT, b BLOB, n INTEGER) STRICT"));
    auto insert = db.prepare("INSERT INTO t VALUES (?1, ?2, ?3, ?4)");
    ASSERT_TRUE(insert);
    const std::array<std::uint8_t, 3> bytes{0, 1, 255};
    const std::string text("a'; DROP TABLE t; --\0x", 22);
    insert->bind(1, std::int64_t{INT64_MIN}).bind(2, text).bind_blob(3, bytes).bind_null(4);
    ASSERT_TRUE(insert->run());
    EXPECT_EQ(db.changes(), 1);
    insert->bind(1, std::int64_t{1}).bind(2, std::string_view()).bind_blob(3, {});
    ASSERT_TRUE(insert->run());

    auto select = db.prepare("SELECT i, t, b, n FROM t ORDER BY i");
    ASSERT_TRUE(select);
    ASSERT_TRUE(*select->step());
    EXPECT_EQ(select->int64(0), INT64_MIN);
    EXPECT_EQ(select->text(1), text);
    EXPECT_TRUE(std::ranges::equal(select->blob(2), bytes));
    EXPECT_EQ(select->optional_int64(3), std::nullopt);
    ASSERT_TRUE(*select->step());
    EXPECT_FALSE(select->is_null(1)) << "empty text is not NULL";
    EXPECT_FALSE(select->is_null(2)) << "an empty blob is not NULL";
    EXPECT_FALSE(*select->step());
}

TEST(SqliteDatabase, NamesTheReasonOfAnError) {
    auto db = open_or_die(":memory:");
    ASSERT_TRUE(db.exec("CREATE TABLE t (i INTEGER PRIMARY KEY) STRICT; INSERT INTO t VALUES (1)"));
    EXPECT_EQ(db.exec("INSERT INTO t VALUES (1)").error().reason, "constraint");
    EXPECT_EQ(db.prepare("SELEC").error().reason, "sqlite");
    EXPECT_EQ(Database::open("/nonexistent/folder/x.db").error().reason, "cannot_open");
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/x.db";
    std::ofstream(path) << std::string(4096, 'x');
    EXPECT_EQ(Database::open(path).error().reason, "corrupt");
    EXPECT_EQ(Database::open(path, {.access = Access::kReadOnly}).error().reason, "corrupt");
}

TEST(SqliteDatabase, RollsBackATransactionThatWasNotCommitted) {
    auto db = open_or_die(":memory:");
    ASSERT_TRUE(db.exec("CREATE TABLE t (i INTEGER) STRICT"));
    {
        auto transaction = Transaction::begin(db);
        ASSERT_TRUE(transaction);
        ASSERT_TRUE(db.exec("INSERT INTO t VALUES (1)"));
    }
    EXPECT_EQ(*db.query_int("SELECT count(*) FROM t"), 0);
    auto transaction = Transaction::begin(db);
    ASSERT_TRUE(db.exec("INSERT INTO t VALUES (1)"));
    ASSERT_TRUE(transaction->commit());
    EXPECT_EQ(*db.query_int("SELECT count(*) FROM t"), 1);
}

TEST(SqliteDatabase, LetsAReaderReadWhileAWriterWrites) {
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/x.db";
    auto writer = open_or_die(path);
    ASSERT_TRUE(writer.exec("CREATE TABLE t (i INTEGER) STRICT; INSERT INTO t VALUES (1)"));
    auto reader = open_or_die(path, {.access = Access::kReadOnly});
    auto transaction = Transaction::begin(writer);
    ASSERT_TRUE(transaction);
    ASSERT_TRUE(writer.exec("INSERT INTO t VALUES (2)"));
    EXPECT_EQ(*reader.query_int("SELECT count(*) FROM t"), 1);
    ASSERT_TRUE(transaction->commit());
    EXPECT_EQ(*reader.query_int("SELECT count(*) FROM t"), 2);
    EXPECT_FALSE(reader.exec("INSERT INTO t VALUES (3)"));
    const auto mode = std::filesystem::status(path).permissions();
    EXPECT_EQ(mode & std::filesystem::perms::others_all, std::filesystem::perms::none);
}

constexpr std::array<Migration, 2> kTwo{
    {{1, "CREATE TABLE a (x INTEGER) STRICT"}, {2, "CREATE TABLE b (x INTEGER) STRICT"}}};
constexpr std::array<Migration, 1> kOne{{{1, "CREATE TABLE a (x INTEGER) STRICT"}}};

TEST(SqliteMigrations, BringAnOldDatabaseForwardOnce) {
    const TemporaryFolder folder;
    auto db = open_or_die(folder.path() + "/x.db");
    EXPECT_EQ(*schema_version(db), 0);
    EXPECT_FALSE(require_version(db, "test", kOne));
    ASSERT_TRUE(migrate(db, "test", kOne));
    ASSERT_TRUE(db.exec("INSERT INTO a VALUES (7)"));
    ASSERT_TRUE(migrate(db, "test", kTwo));
    ASSERT_TRUE(migrate(db, "test", kTwo));
    EXPECT_EQ(*schema_version(db), 2);
    EXPECT_TRUE(require_version(db, "test", kTwo));
    EXPECT_EQ(*db.query_int("SELECT x FROM a"), 7);
    EXPECT_EQ(*db.query_int("SELECT count(*) FROM b"), 0);
}

TEST(SqliteMigrations, RefuseADatabaseOfANewerVersionAndSayWhatToDo) {
    auto db = open_or_die(":memory:");
    ASSERT_TRUE(migrate(db, "test", kTwo));
    const auto done = migrate(db, "test", kOne);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().reason, "newer_state");
    EXPECT_NE(done.error().message.find("version 2"), std::string::npos);
    EXPECT_NE(done.error().message.find("up to 1"), std::string::npos);
    EXPECT_NE(done.error().hint.find("newer leeway"), std::string::npos);
    EXPECT_EQ(require_version(db, "test", kOne).error().reason, "newer_state");
}

// Locks of files belong to the process, and closing any descriptor of a file drops them: then the last connection of
// another process would take the log away in which ours still writes.
TEST(SqliteDatabase, ASecondConnectionOfTheProcessKeepsTheLocksOfTheFirst) {
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/a.db";
    auto first = open_or_die(path);
    ASSERT_TRUE(first.exec("CREATE TABLE t (i INTEGER) STRICT"));
    {
        auto second = open_or_die(path);
    }
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        // What another process that closes the last connection, as it believes, would ask for.
        const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
        struct flock lock{};
        lock.l_type = F_WRLCK;
        lock.l_whence = SEEK_SET;
        const bool asked = fd >= 0 && ::fcntl(fd, F_GETLK, &lock) == 0;
        ::_exit(asked && lock.l_type == F_RDLCK ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0) << "the lock of the first connection is gone";
}

TEST(SqliteMigrations, LeaveNothingBehindWhenAStepFails) {
    constexpr std::array<Migration, 2> kBroken{
        {{1, "CREATE TABLE a (x INTEGER) STRICT"}, {2, "CREATE TABLE a (x INTEGER) STRICT"}}};
    auto db = open_or_die(":memory:");
    const auto done = migrate(db, "test", kBroken);
    ASSERT_FALSE(done);
    EXPECT_NE(done.error().message.find("migration 2"), std::string::npos);
    EXPECT_EQ(*schema_version(db), 0);
    EXPECT_EQ(*db.query_int("SELECT count(*) FROM sqlite_schema"), 0);
}

}  // namespace
}  // namespace leeway::store::sqlite
