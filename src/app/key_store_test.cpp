#include "app/key_store.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace leeway::app {
namespace {

using guard::auth::KeySpec;
using guard::auth::KeyState;

class KeyStoreTest : public testing::Test {
protected:
    KeyStoreTest() {
        std::string folder = testing::TempDir() + "leeway_keys_XXXXXX";
        folder_ = mkdtemp(folder.data());
        folder_ += "/state";
    }
    ~KeyStoreTest() override {
        std::filesystem::remove_all(std::filesystem::path(folder_).parent_path());
    }
    KeyStoreTest(const KeyStoreTest&) = delete;
    KeyStoreTest& operator=(const KeyStoreTest&) = delete;

    KeyStore open() {
        auto store = KeyStore::open(folder_);
        EXPECT_TRUE(store) << store.error().text();
        return std::move(*store);
    }
    static KeySpec spec(const std::string& name) {
        KeySpec out;
        out.name = name;
        return out;
    }
    /// What a gateway that loads its keys at `now` says to a secret.
    KeyState state_of(const Secret& secret, std::int64_t now) {
        KeyStore store = open();
        const auto keys = load_key_directory(config_, store);
        EXPECT_TRUE(keys) << keys.error().text();
        return (*keys)->find(secret.expose(), now).state;
    }
    std::string all_bytes() const {
        std::string out;
        for (const auto& file : std::filesystem::directory_iterator(folder_)) {
            std::ifstream in(file.path(), std::ios::binary);
            out.append(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
        }
        return out;
    }

    std::string folder_;
    Config config_;
};

TEST_F(KeyStoreTest, CreatedKeyWorksAfterReopeningAndKeepsItsFields) {
    KeySpec wanted = spec("web");
    wanted.models = {"gpt-4o", "smollm2"};
    wanted.routes = {"support"};
    wanted.requests_per_minute = 60;
    wanted.expires_unix_s = 2000;
    const auto secret = open().create(wanted, 1000);
    ASSERT_TRUE(secret) << secret.error().text();
    EXPECT_EQ(state_of(*secret, 1001), KeyState::kActive);
    EXPECT_EQ(state_of(*secret, 2000), KeyState::kExpired);
    const auto keys = open().list();
    ASSERT_TRUE(keys);
    ASSERT_EQ(keys->size(), 1u);
    EXPECT_EQ((*keys)[0].spec.models, wanted.models);
    EXPECT_EQ((*keys)[0].spec.routes, wanted.routes);
    EXPECT_EQ((*keys)[0].spec.requests_per_minute, 60u);
    EXPECT_EQ((*keys)[0].created_unix_s, 1000);
}

TEST_F(KeyStoreTest, NoFileHoldsTheSecret) {
    const auto secret = open().create(spec("web"), 1);
    ASSERT_TRUE(secret);
    EXPECT_EQ(all_bytes().find(secret->expose().substr(3)), std::string::npos);
}

TEST_F(KeyStoreTest, FilesBelongToTheOwnerOnly) {
    open();
    for (const std::string& file :
         {std::string("/pepper"), std::string("/keys.db"), std::string()}) {
        struct stat info{};
        ASSERT_EQ(stat((folder_ + file).c_str(), &info), 0) << file;
        EXPECT_EQ(info.st_mode & 077, 0u) << file;
    }
}

TEST_F(KeyStoreTest, RevokedKeyIsKnownAsRevokedAndItsNameStaysTaken) {
    const auto secret = open().create(spec("web"), 1);
    ASSERT_TRUE(open().revoke("web", 5));
    EXPECT_EQ(state_of(*secret, 6), KeyState::kRevoked);
    EXPECT_TRUE(open().revoke("web", 7)) << "again is no error";
    EXPECT_EQ((*open().list())[0].revoked_unix_s, 5);
    EXPECT_FALSE(open().create(spec("web"), 8));
    EXPECT_FALSE(open().rotate("web", 0, 8));
}

TEST_F(KeyStoreTest, UnknownNameSuggestsTheNearest) {
    ASSERT_TRUE(open().create(spec("website"), 1));
    const auto revoked = open().revoke("webiste", 2);
    ASSERT_FALSE(revoked);
    EXPECT_EQ(revoked.error().text(), "there is no stored key 'webiste' (did you mean 'website'?)");
}

TEST_F(KeyStoreTest, RotationKeepsTheOldSecretUntilTheOverlapEnds) {
    const auto first = open().create(spec("web"), 1);
    const auto second = open().rotate("web", 100, 1000);
    ASSERT_TRUE(second) << second.error().text();
    EXPECT_EQ(state_of(*first, 1099), KeyState::kActive);
    EXPECT_EQ(state_of(*first, 1100), KeyState::kExpired);
    EXPECT_EQ(state_of(*second, 1100), KeyState::kActive);
    const auto third = open().rotate("web", 1000, 1050);
    EXPECT_EQ(state_of(*first, 1100), KeyState::kExpired) << "an overlap never grows";
    EXPECT_EQ(state_of(*second, 2049), KeyState::kActive);
    EXPECT_EQ(state_of(*third, 9999), KeyState::kActive);
    ASSERT_TRUE(open().rotate("web", 0, 3000));
    EXPECT_EQ(state_of(*third, 3000), KeyState::kUnknown) << "no overlap: gone at once";
}

TEST_F(KeyStoreTest, VersionTellsOfChangesByOthers) {
    KeyStore gateway = open();
    const auto before = gateway.version();
    ASSERT_TRUE(before);
    EXPECT_EQ(*gateway.version(), *before);
    ASSERT_TRUE(open().create(spec("web"), 1));
    const auto created = gateway.version();
    EXPECT_NE(*created, *before);
    ASSERT_TRUE(open().revoke("web", 2));
    EXPECT_NE(*gateway.version(), *created);
}

TEST_F(KeyStoreTest, MissingPepperIsAnErrorOnceThereAreKeys) {
    open();
    std::filesystem::remove(folder_ + "/pepper");
    EXPECT_TRUE(KeyStore::open(folder_)) << "no key needs it yet";
    ASSERT_TRUE(open().create(spec("web"), 1));
    std::filesystem::remove(folder_ + "/pepper");
    const auto store = KeyStore::open(folder_);
    ASSERT_FALSE(store);
    EXPECT_NE(store.error().text().find("pepper is missing"), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(folder_ + "/pepper"));
}

TEST_F(KeyStoreTest, ReadableOrCutPepperIsRefused) {
    open();
    chmod((folder_ + "/pepper").c_str(), 0644);
    EXPECT_NE(KeyStore::open(folder_).error().text().find("chmod 600"), std::string::npos);
    chmod((folder_ + "/pepper").c_str(), 0600);
    std::filesystem::resize_file(folder_ + "/pepper", 31);
    EXPECT_FALSE(KeyStore::open(folder_));
}

TEST_F(KeyStoreTest, KeysOfTheFileAndOfTheStoreAreOneDirectory) {
    KeyConfig key;
    key.name = "file";
    key.secret = Secret("0123456789abcdef");
    config_.keys.push_back(key);
    const auto stored = open().create(spec("stored"), 1);
    EXPECT_EQ(state_of(Secret("0123456789abcdef"), 5), KeyState::kActive);
    EXPECT_EQ(state_of(*stored, 5), KeyState::kActive);
    ASSERT_TRUE(open().create(spec("file"), 1));
    KeyStore store = open();
    EXPECT_FALSE(load_key_directory(config_, store)) << "one name for two keys";
}

TEST_F(KeyStoreTest, HasStoredKeysLooksWithoutMakingAnything) {
    EXPECT_FALSE(*has_stored_keys(folder_));
    EXPECT_FALSE(std::filesystem::exists(folder_));
    open();
    EXPECT_FALSE(*has_stored_keys(folder_));
    ASSERT_TRUE(open().create(spec("web"), 1));
    ASSERT_TRUE(open().revoke("web", 2));
    EXPECT_TRUE(*has_stored_keys(folder_)) << "a gateway whose only key is revoked is not open";
}

TEST_F(KeyStoreTest, NewerStateIsLeftAlone) {
    open();
    auto db = store::sqlite::Database::open(folder_ + "/keys.db");
    ASSERT_TRUE(db);
    ASSERT_TRUE(db->exec("UPDATE schema_version SET version = 99"));
    const auto store = KeyStore::open(folder_);
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().reason, "newer_state");
}

}  // namespace
}  // namespace leeway::app
