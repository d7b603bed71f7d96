#include "guard/auth/key_directory.hpp"

#include <gtest/gtest.h>

#include <set>

namespace leeway::guard::auth {
namespace {

const Secret kPepper("pepper-of-the-test");

KeyEntry entry(const std::string& name, const std::string& secret) {
    KeyEntry out;
    out.spec.name = name;
    out.credentials.push_back({key_mac(kPepper, secret), std::nullopt});
    return out;
}

std::shared_ptr<const KeyDirectory> built(std::vector<KeyEntry> entries) {
    auto directory = KeyDirectory::build(kPepper, std::move(entries));
    EXPECT_TRUE(directory) << directory.error().text();
    return *directory;
}

TEST(KeyDirectory, FindsAKeyByItsSecretOnly) {
    const auto keys = built({entry("a", "secret-of-a-123"), entry("b", "secret-of-b-123")});
    const auto found = keys->find("secret-of-b-123", 0);
    EXPECT_EQ(found.state, KeyState::kActive);
    ASSERT_NE(found.spec, nullptr);
    EXPECT_EQ(found.spec->name, "b");
    for (const std::string& wrong :
         {std::string(), std::string("secret-of-b-12"), std::string("secret-of-b-1234"),
          std::string("b"), std::string(5000, 'x'), to_hex(key_mac(kPepper, "secret-of-b-123"))}) {
        EXPECT_EQ(keys->find(wrong, 0).state, KeyState::kUnknown);
    }
}

TEST(KeyDirectory, EmptyKnowsNobody) {
    const auto keys = built({});
    EXPECT_TRUE(keys->empty());
    EXPECT_EQ(keys->find("anything", 0).state, KeyState::kUnknown);
}

TEST(KeyDirectory, RevokedKeyStillMakesItNotEmpty) {
    KeyEntry revoked = entry("a", "secret-of-a-123");
    revoked.spec.revoked = true;
    const auto keys = built({revoked});
    EXPECT_FALSE(keys->empty());
    EXPECT_EQ(keys->find("secret-of-a-123", 0).state, KeyState::kRevoked);
}

TEST(KeyDirectory, KeyEndsAtItsExpiry) {
    KeyEntry ending = entry("a", "secret-of-a-123");
    ending.spec.expires_unix_s = 100;
    const auto keys = built({ending});
    EXPECT_EQ(keys->find("secret-of-a-123", 99).state, KeyState::kActive);
    EXPECT_EQ(keys->find("secret-of-a-123", 100).state, KeyState::kExpired);
}

TEST(KeyDirectory, OldSecretOfARotationEndsAloneAndSharesTheLimit) {
    KeyEntry rotated = entry("a", "new-secret-of-a");
    rotated.credentials.push_back({key_mac(kPepper, "old-secret-of-a"), 100});
    const auto keys = built({rotated});
    const auto old_one = keys->find("old-secret-of-a", 99);
    EXPECT_EQ(old_one.state, KeyState::kActive);
    EXPECT_EQ(old_one.spec, keys->find("new-secret-of-a", 99).spec);
    EXPECT_EQ(keys->find("old-secret-of-a", 100).state, KeyState::kExpired);
    EXPECT_EQ(keys->find("new-secret-of-a", 100).state, KeyState::kActive);
}

TEST(KeyDirectory, ListsLimitWhatAKeyMayUse) {
    KeySpec spec;
    EXPECT_TRUE(spec.may_use_model("any"));
    EXPECT_TRUE(spec.may_use_route(""));
    spec.models = {"gpt-4o"};
    spec.routes = {"support"};
    EXPECT_TRUE(spec.may_use_model("gpt-4o"));
    EXPECT_FALSE(spec.may_use_model("gpt-4o-mini"));
    EXPECT_TRUE(spec.may_use_route("support"));
    EXPECT_FALSE(spec.may_use_route(""));
}

TEST(KeyDirectory, RefusesTwoKeysOfOneNameOrSecret) {
    EXPECT_FALSE(KeyDirectory::build(kPepper, {entry("a", "x1"), entry("a", "x2")}));
    const auto same = KeyDirectory::build(kPepper, {entry("a", "x1"), entry("b", "x1")});
    ASSERT_FALSE(same);
    EXPECT_EQ(same.error().message, "keys 'a' and 'b' have the same secret");
    EXPECT_FALSE(KeyDirectory::build(Secret(), {})) << "an empty pepper protects nothing";
}

TEST(KeySecret, IsLongRandomAndUrlSafe) {
    std::set<std::string> seen;
    for (int i = 0; i < 100; ++i) {
        const std::string text = new_key_secret().expose();
        EXPECT_EQ(text.size(), 46u);
        EXPECT_TRUE(text.starts_with("lw_"));
        EXPECT_EQ(text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                         "0123456789-_"),
                  std::string::npos);
        EXPECT_TRUE(seen.insert(text).second);
    }
}

TEST(KeySecret, MacDependsOnThePepper) {
    EXPECT_NE(key_mac(Secret("p1"), "secret"), key_mac(Secret("p2"), "secret"));
}

}  // namespace
}  // namespace leeway::guard::auth
