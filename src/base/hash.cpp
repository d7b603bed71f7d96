#include "base/hash.hpp"

#include "base/random.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <cstring>
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace leeway {

namespace {

/// Fetched once: EVP_sha256() would look the implementation up by name on every call (OpenSSL 3).
EVP_MD* algorithm() noexcept {
    static EVP_MD* const fetched = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    return fetched;
}

/// This thread's, for one hash at a time.
EVP_MD_CTX* scratch() noexcept {
    struct FreeContext {
        void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
    };
    thread_local const std::unique_ptr<EVP_MD_CTX, FreeContext> owned(EVP_MD_CTX_new());
    return owned.get();
}

}  // namespace

Sha256 sha256(std::string_view data) noexcept {
    EVP_MD_CTX* const context = scratch();
    Sha256 out{};
    EVP_DigestInit_ex2(context, algorithm(), nullptr);
    EVP_DigestUpdate(context, data.data(), data.size());
    EVP_DigestFinal_ex(context, out.data(), nullptr);
    return out;
}

void HmacKey::Free::operator()(evp_md_ctx_st* context) const noexcept { EVP_MD_CTX_free(context); }

// H((K ^ opad) || H((K ^ ipad) || data)); written out because OpenSSL 3's HMAC set-up costs more than both hashes.
HmacKey::HmacKey(std::string_view key) : inner_(EVP_MD_CTX_new()), outer_(EVP_MD_CTX_new()) {
    constexpr std::size_t kBlock = 64;
    std::array<std::uint8_t, kBlock> block{};
    if (key.size() > kBlock) {
        const Sha256 hashed = sha256(key);
        std::memcpy(block.data(), hashed.data(), hashed.size());
    } else if (!key.empty()) {
        std::memcpy(block.data(), key.data(), key.size());
    }
    const auto start = [&block](EVP_MD_CTX* context, std::uint8_t pad) {
        for (std::uint8_t& byte : block) byte ^= pad;
        EVP_DigestInit_ex2(context, algorithm(), nullptr);
        EVP_DigestUpdate(context, block.data(), block.size());
    };
    start(inner_.get(), 0x36);
    start(outer_.get(), 0x36 ^ 0x5c);  // takes the first pad off again
    OPENSSL_cleanse(block.data(), block.size());
}

Sha256 HmacKey::sign(std::string_view data) const noexcept {
    EVP_MD_CTX* const context = scratch();
    Sha256 out{};
    EVP_MD_CTX_copy_ex(context, inner_.get());
    EVP_DigestUpdate(context, data.data(), data.size());
    EVP_DigestFinal_ex(context, out.data(), nullptr);
    EVP_MD_CTX_copy_ex(context, outer_.get());
    EVP_DigestUpdate(context, out.data(), out.size());
    EVP_DigestFinal_ex(context, out.data(), nullptr);
    return out;
}

Sha256 hmac_sha256(std::string_view key, std::string_view data) noexcept {
    return HmacKey(key).sign(data);
}

std::uint64_t checksum64(std::string_view data) noexcept {
    return XXH3_64bits(data.data(), data.size());
}

Hash128 process_hash128(std::string_view data) noexcept {
    static const auto secret = [] {
        std::array<std::uint8_t, 192> bytes{};  // as long as XXH3's own secret
        secure_random(bytes);
        return bytes;
    }();
    const XXH128_hash_t hash =
        XXH3_128bits_withSecret(data.data(), data.size(), secret.data(), secret.size());
    return {hash.low64, hash.high64};
}

bool constant_time_equal(std::span<const std::uint8_t> a,
                         std::span<const std::uint8_t> b) noexcept {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string to_hex(std::span<const std::uint8_t> bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const std::uint8_t byte : bytes) {
        out.push_back(kDigits[byte >> 4]);
        out.push_back(kDigits[byte & 15]);
    }
    return out;
}

std::size_t Sha256Hasher::operator()(const Sha256& key) const noexcept {
    std::size_t out = 0;
    std::memcpy(&out, key.data(), sizeof out);
    return out;
}

}  // namespace leeway
