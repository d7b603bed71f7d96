#include "providers/provider.hpp"

#include <gtest/gtest.h>

namespace leeway::providers {
namespace {

TEST(Provider, ItsCredentialIsTakenOutOfWhatItSays) {
    Provider provider;
    std::string text = "wrong key: sk-0123456789, sk-0123456789";
    hide_credential(provider, text);
    EXPECT_EQ(text, "wrong key: sk-0123456789, sk-0123456789") << "there is none";
    provider.authorization = Secret("Bearer sk-0123456789");
    hide_credential(provider, text);
    EXPECT_EQ(text, "wrong key: ***, ***");
    provider.authorization = Secret("abc");
    text = "abc is in abcdef";
    hide_credential(provider, text);
    EXPECT_EQ(text, "abc is in abcdef") << "too short to be told from words";
}

}  // namespace
}  // namespace leeway::providers
