#include "base/ed25519.hpp"

#include "base/base64.hpp"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <utility>

namespace leeway {
namespace {

struct FreeContext {
    void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};
struct FreeBio {
    void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};
struct FreeKey {
    void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};
using Context = std::unique_ptr<EVP_MD_CTX, FreeContext>;
using Bio = std::unique_ptr<BIO, FreeBio>;

const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

template <std::size_t N>
std::string encoded(const std::array<std::uint8_t, N>& bytes) {
    std::string out;
    append_base64(out, bytes);
    return out;
}

/// Only what `encoded` would write: of two texts for one key a list of trusted ones would know the other not.
template <std::size_t N>
bool decode(std::string_view text, std::array<std::uint8_t, N>& out) {
    const auto bytes = decode_base64(text);
    if (!bytes || bytes->size() != N) return false;
    std::copy(bytes->begin(), bytes->end(), out.begin());
    return encoded(out) == text;
}

tl::unexpected<Error> no_key(std::string why) {
    return fail(ErrorCode::kConfig, std::move(why), "make one: leeway policy keygen --output FILE");
}

/// Asked for the password of an encrypted key; without it OpenSSL would ask the terminal.
int no_password(char* /*to*/, int /*size*/, int /*writes*/, void* asked) {
    *static_cast<bool*>(asked) = true;
    return -1;
}

}  // namespace

std::string Ed25519PublicKey::text() const { return encoded(bytes); }

std::optional<Ed25519PublicKey> Ed25519PublicKey::parse(std::string_view text) {
    Ed25519PublicKey out;
    if (!decode(text, out.bytes)) return std::nullopt;
    return out;
}

std::string Ed25519Signature::text() const { return encoded(bytes); }

std::optional<Ed25519Signature> Ed25519Signature::parse(std::string_view text) {
    Ed25519Signature out;
    if (!decode(text, out.bytes)) return std::nullopt;
    return out;
}

bool is_signed_by(const Ed25519PublicKey& signer, std::string_view data,
                  const Ed25519Signature& signature) noexcept {
    const std::unique_ptr<EVP_PKEY, FreeKey> key(EVP_PKEY_new_raw_public_key(
        EVP_PKEY_ED25519, nullptr, signer.bytes.data(), signer.bytes.size()));
    const Context context(EVP_MD_CTX_new());
    return key && context &&
           EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
           EVP_DigestVerify(context.get(), signature.bytes.data(), signature.bytes.size(),
                            bytes_of(data), data.size()) == 1;
}

void Ed25519Key::Free::operator()(evp_pkey_st* key) const noexcept { EVP_PKEY_free(key); }

Result<Ed25519Key> Ed25519Key::from(Key key) {
    Ed25519Key out;
    std::size_t size = out.public_.bytes.size();
    if (EVP_PKEY_get_raw_public_key(key.get(), out.public_.bytes.data(), &size) != 1 ||
        size != out.public_.bytes.size())
        return fail(ErrorCode::kInternal, "the key has no public half");
    out.key_ = std::move(key);
    return out;
}

Result<Ed25519Key> Ed25519Key::make() {
    Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    if (!key) return fail(ErrorCode::kInternal, "no key can be made");
    return from(std::move(key));
}

Result<Ed25519Key> Ed25519Key::read(const Secret& pem) {
    const std::string& text = pem.expose();
    const Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    bool encrypted = false;
    Key key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, &encrypted) : nullptr);
    if (encrypted) return no_key("the key is encrypted, and nobody is asked for its password");
    if (!key) return no_key("it is no private key in PEM");
    if (EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_ED25519) {
        const char* const kind = EVP_PKEY_get0_type_name(key.get());
        return no_key(std::string("it is a key of ") + (kind == nullptr ? "another kind" : kind) +
                      ", not of Ed25519");
    }
    return from(std::move(key));
}

Result<Secret> Ed25519Key::pem() const {
    const Bio bio(BIO_new(BIO_s_secmem()));
    char* text = nullptr;
    if (!bio || PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr,
                                              nullptr) != 1)
        return fail(ErrorCode::kInternal, "the key cannot be written as PEM");
    const long size = BIO_get_mem_data(bio.get(), &text);  // NOLINT(google-runtime-int): OpenSSL's
    return Secret(std::string(text, static_cast<std::size_t>(size)));
}

Result<Ed25519Signature> Ed25519Key::sign(std::string_view data) const {
    const Context context(EVP_MD_CTX_new());
    Ed25519Signature out;
    std::size_t size = out.bytes.size();
    if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) != 1 ||
        EVP_DigestSign(context.get(), out.bytes.data(), &size, bytes_of(data), data.size()) != 1 ||
        size != out.bytes.size())
        return fail(ErrorCode::kInternal, "the key does not sign");
    return out;
}

}  // namespace leeway
