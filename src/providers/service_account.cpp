#include "providers/service_account.hpp"

#include "base/base64.hpp"
#include "json/node.hpp"
#include "json/write.hpp"
#include "net/address.hpp"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

namespace leeway::providers {
namespace {

constexpr std::int64_t kHour = 3600;

struct Free {
    void operator()(BIO* bio) const noexcept { BIO_free(bio); }
    void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
    void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;

/// Null where it is none.
Key read_key(const Secret& pem) {
    const std::string& text = pem.expose();
    const std::unique_ptr<BIO, Free> bio(
        BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    if (!bio) return nullptr;
    return Key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
}

std::string encoded(std::string_view text) {
    return base64url({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

tl::unexpected<Error> bad(std::string why) {
    return fail(
        ErrorCode::kConfig, std::move(why),
        "give the key file of a service account, as the Google Cloud console or `gcloud iam "
        "service-accounts keys create` makes it");
}

}  // namespace

Result<ServiceAccount> parse_service_account(std::string_view text) {
    const auto node = json::parse_node(text);
    if (!node || !node->is_object()) return bad("it is no JSON object");
    if (node->text_of("type") != "service_account") return bad("its type is not service_account");
    ServiceAccount out;
    out.email = node->text_of("client_email");
    out.key_id = node->text_of("private_key_id");
    out.private_key = Secret(std::string(node->text_of("private_key")));
    out.token_uri = node->text_of("token_uri");
    if (out.token_uri.empty()) out.token_uri = "https://oauth2.googleapis.com/token";
    if (out.email.empty()) return bad("it has no client_email");
    const Key key = read_key(out.private_key);
    if (!key || EVP_PKEY_base_id(key.get()) != EVP_PKEY_RSA)
        return bad("its private_key is no RSA key");
    const auto url = net::parse_base_url(out.token_uri);
    if (!url) return fail(url.error());
    if (!url->tls && !url->address.is_loopback()) return bad("its token_uri is not https");
    return out;
}

Result<ServiceAccount> read_service_account(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return bad("the service account's file " + path + " cannot be read");
    const std::string text((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
    auto account = parse_service_account(text);
    if (!account) account.error().message = path + ": " + account.error().message;
    return account;
}

Result<std::string> signed_assertion(const ServiceAccount& account, std::string_view scope,
                                     std::int64_t now_unix_s) {
    std::string header;
    json::Writer(header)
        .object()
        .key("alg")
        .string("RS256")
        .key("typ")
        .string("JWT")
        .key("kid")
        .string(account.key_id)
        .close_object();
    std::string claims;
    json::Writer json(claims);
    json.object().key("iss").string(account.email).key("scope").string(scope);
    json.key("aud").string(account.token_uri).key("iat").integer(now_unix_s);
    json.key("exp").integer(now_unix_s + kHour).close_object();
    std::string text = encoded(header) + "." + encoded(claims);

    const Key key = read_key(account.private_key);
    const std::unique_ptr<EVP_MD_CTX, Free> context(EVP_MD_CTX_new());
    std::size_t size = 0;
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    if (!key || !context ||
        EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) != 1 ||
        EVP_DigestSign(context.get(), nullptr, &size, bytes, text.size()) != 1) {
        return fail(ErrorCode::kInternal, "the service account's key does not sign");
    }
    std::vector<std::uint8_t> signature(size);
    if (EVP_DigestSign(context.get(), signature.data(), &size, bytes, text.size()) != 1)
        return fail(ErrorCode::kInternal, "the service account's key does not sign");
    return text + "." + base64url(std::span(signature).first(size));
}

}  // namespace leeway::providers
