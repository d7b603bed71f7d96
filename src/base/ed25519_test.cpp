#include "base/ed25519.hpp"

#include "base/base64.hpp"
#include "base/hash.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace leeway {
namespace {

std::vector<std::uint8_t> bytes_of(std::string_view hex) {
    std::vector<std::uint8_t> out;
    for (std::size_t i = 0; i < hex.size(); i += 2)
        out.push_back(
            static_cast<std::uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
    return out;
}

Secret pem_of(std::string_view seed_hex) {
    // PKCS #8 of RFC 8410 around the 32 bytes.
    const auto der = bytes_of("302e020100300506032b657004220420" + std::string(seed_hex));
    std::string out = "-----BEGIN PRIVATE KEY-----\n";
    append_base64(out, der);
    return Secret(out + "\n-----END PRIVATE KEY-----\n");
}

/// RFC 8032, 7.1, tests 1 and 2.
TEST(Ed25519, SignsAsRfc8032Says) {
    struct Vector {
        const char* seed;
        const char* key;
        std::string message;
        const char* signature;
    };
    for (const Vector& one :
         {Vector{
              "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
              "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
              "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e"
              "39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
          Vector{
              "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
              "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "\x72",
              "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f"
              "3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"}}) {
        const auto key = Ed25519Key::read(pem_of(one.seed));
        ASSERT_TRUE(key) << key.error().text();
        EXPECT_EQ(to_hex(key->public_key().bytes), one.key);
        const auto signature = key->sign(one.message);
        ASSERT_TRUE(signature);
        EXPECT_EQ(to_hex(signature->bytes), one.signature);
        EXPECT_TRUE(is_signed_by(key->public_key(), one.message, *signature));
        EXPECT_FALSE(is_signed_by(key->public_key(), one.message + "x", *signature));
    }
}

TEST(Ed25519, EveryBitOfASignatureCounts) {
    const auto key = Ed25519Key::make();
    ASSERT_TRUE(key);
    const auto signature = key->sign("text");
    for (std::size_t bit = 0; bit < 512; ++bit) {
        Ed25519Signature changed = *signature;
        changed.bytes[bit / 8] =
            static_cast<std::uint8_t>(changed.bytes[bit / 8] ^ (1U << bit % 8));
        EXPECT_FALSE(is_signed_by(key->public_key(), "text", changed)) << bit;
    }
    EXPECT_FALSE(is_signed_by(Ed25519Key::make()->public_key(), "text", *signature));
}

TEST(Ed25519, KeysAreReadAsTheyWereWritten) {
    const auto key = Ed25519Key::make();
    const auto pem = key->pem();
    ASSERT_TRUE(pem);
    EXPECT_TRUE(pem->expose().starts_with("-----BEGIN PRIVATE KEY-----\n"));
    const auto read = Ed25519Key::read(*pem);
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_EQ(read->public_key(), key->public_key());
    const std::string text = key->public_key().text();
    EXPECT_EQ(text.size(), 44U);
    EXPECT_EQ(Ed25519PublicKey::parse(text), key->public_key());
}

TEST(Ed25519, RefusesWhatIsNoKey) {
    const std::string text = Ed25519Key::make()->public_key().text();
    for (const std::string& bad :
         {std::string(), std::string("key"), text.substr(0, 43), text + "=", " " + text,
          text.substr(0, 40) + "AAAA", std::string(44, '-'), text.substr(1)})
        EXPECT_FALSE(Ed25519PublicKey::parse(bad)) << bad;
    // The last letter has two bits that count for nothing; only one spelling is taken.
    std::string other = text;
    other[42] = static_cast<char>(other[42] == 'A' ? 'B' : other[42] + 1);
    const auto parsed = Ed25519PublicKey::parse(other);
    EXPECT_TRUE(!parsed || parsed->text() == other);
    const auto refusal = [](const std::string& pem) {
        const auto read = Ed25519Key::read(Secret(pem));
        return read ? std::string("taken") : read.error().message;
    };
    EXPECT_EQ(refusal(""), "it is no private key in PEM");
    EXPECT_EQ(refusal("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
              "it is no private key in PEM");
    EXPECT_EQ(refusal("-----BEGIN PUBLIC KEY-----\n"
                      "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
                      "-----END PUBLIC KEY-----\n"),
              "it is no private key in PEM");
    // X25519 has keys of the same length and agrees on secrets with them.
    std::string x25519 = "-----BEGIN PRIVATE KEY-----\n";
    append_base64(x25519, bytes_of("302e020100300506032b656e04220420" + std::string(64, '7')));
    EXPECT_EQ(refusal(x25519 + "\n-----END PRIVATE KEY-----\n"),
              "it is a key of X25519, not of Ed25519");
    // Made with `openssl genpkey -algorithm ed25519 -aes256`; nobody is asked for the password.
    EXPECT_EQ(refusal("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                      "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAiBAMOxBkUjZwICCAAw\n"
                      "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEGItD/BqhKK0bgIV+XZ6WdsEQAru\n"
                      "qMKMrS7eDZDUSVqtm4ZdfIkI/B0JDs+UKtNGuuSQWwlEwL3x45SaoAuB0vk0wYdT\n"
                      "YPLMkfSCY9q/k43Bc6A=\n"
                      "-----END ENCRYPTED PRIVATE KEY-----\n"),
              "the key is encrypted, and nobody is asked for its password");
}

}  // namespace
}  // namespace leeway
