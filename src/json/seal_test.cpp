#include "json/seal.hpp"

#include "base/hash.hpp"
#include "json/node.hpp"

#include <gtest/gtest.h>

#include <string>

namespace leeway::json {
namespace {

constexpr const char* kText = R"({"cascade":1,"why":",\"signature\":\"no\"")";

std::string sealed(std::string text = kText) {
    append_seal(text);
    return text;
}
std::string seal_of(const std::string& text) {
    return std::string(parse_node(text)->text_of("seal"));
}
/// Seals anew what was changed before the seal, as anyone can.
std::string resealed(std::string text) {
    text.resize(text.rfind(",\"seal\":\""));
    return sealed(std::move(text));
}
std::string changed(std::string text, const std::string& from, const std::string& to) {
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
}
std::string why(const std::string& text) {
    const auto signer = signer_of(text);
    return signer ? "signed by '" + *signer + "'" : signer.error().message;
}

TEST(Seal, TellsWhatWasCutOrEdited) {
    const std::string text = sealed();
    EXPECT_TRUE(seal_fits(text, seal_of(text)));
    EXPECT_TRUE(seal_fits(text + " \r\n", seal_of(text)));
    EXPECT_FALSE(seal_fits(changed(text, "1", "2"), seal_of(text)));
    // Nothing may be put in behind it, either.
    EXPECT_FALSE(seal_fits(text.substr(0, text.size() - 1) + ",\"cascade\":2}", seal_of(text)));
    EXPECT_EQ(why(text), "signed by ''");
}

TEST(Seal, TellsWhoSigned) {
    const auto key = Ed25519Key::make();
    const auto text = with_signature(sealed(), *key);
    ASSERT_TRUE(text) << text.error().text();
    const auto node = parse_node(*text);
    ASSERT_TRUE(node);
    EXPECT_EQ(node->text_of("signer"), key->public_key().text());
    EXPECT_EQ(node->members.back().key, "seal");
    EXPECT_TRUE(seal_fits(*text, seal_of(*text)));
    EXPECT_EQ(why(*text), "signed by '" + key->public_key().text() + "'");
    EXPECT_EQ(why(*text + "\n"), "signed by '" + key->public_key().text() + "'");
    // What is signed is all before the signature, so that other programs can check it.
    const std::string before = text->substr(0, text->rfind(",\"signature\":\""));
    const auto signature = Ed25519Signature::parse(node->text_of("signature"));
    EXPECT_TRUE(is_signed_by(key->public_key(), before, *signature));
    EXPECT_FALSE(with_signature(*text, *key)) << "one signature is enough";
    EXPECT_FALSE(with_signature(kText, *key)) << "there is nothing to put it before";
}

TEST(Seal, WhoeverEditsCanSealAndNotSign) {
    const auto key = Ed25519Key::make();
    const std::string text = *with_signature(sealed(), *key);
    const std::string own = key->public_key().text();
    const std::string signature(parse_node(text)->text_of("signature"));
    const auto refused = [&](const std::string& from, const std::string& to,
                             const std::string& reason) {
        const std::string edited = resealed(changed(text, from, to));
        EXPECT_TRUE(seal_fits(edited, seal_of(edited)));
        EXPECT_NE(why(edited).find(reason), std::string::npos) << to << ": " << why(edited);
    };
    refused("\"cascade\":1", "\"cascade\":2", "does not fit");
    refused(own, Ed25519Key::make()->public_key().text(), "does not fit");
    refused(own, "nobody", "signer is no public key");
    refused(own, "", "signer is no public key");
    refused(signature, signature.substr(0, 60), "was cut");
    refused(signature, "", "was cut");
    refused(signature, "!" + signature.substr(1), "was cut");
    refused(signature + "\"", signature + "\",\"cascade\":2", "does not stand at its end");
    refused(",\"signature\":\"" + signature + "\"", "", "does not stand at its end");
    refused(",\"signer\":\"" + own + "\"", "", "does not stand at its end");
    refused(",\"signer\":\"", ",\"max\":2,\"signer\":\"", "does not fit");
    // Without both it is as if nobody had signed: whoever needs a signature must ask for one.
    const std::string bare = resealed(
        changed(text, ",\"signer\":\"" + own + "\",\"signature\":\"" + signature + "\"", ""));
    EXPECT_EQ(why(bare), "signed by ''");
    EXPECT_EQ(bare, sealed());
}

}  // namespace
}  // namespace leeway::json
