#pragma once

// Only for tests: certificates made on the spot, and the server's side of TLS.

#include "net/testing.hpp"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

namespace leeway::net::testing {

template <auto Free>
struct Freed {
    template <class T>
    void operator()(T* object) const noexcept {
        Free(object);
    }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;

/// A certificate with its key.
struct Identity {
    Key key{EVP_EC_gen("P-256")};
    Certificate certificate{X509_new()};

    [[nodiscard]] std::string pem() const {
        std::unique_ptr<BIO, Freed<BIO_free_all>> out(BIO_new(BIO_s_mem()));
        PEM_write_bio_X509(out.get(), certificate.get());
        char* data = nullptr;
        const long size = BIO_get_mem_data(out.get(), &data);
        return {data, static_cast<std::size_t>(size)};
    }
};

struct IdentityOptions {
    std::string name;  ///< of the subject
    std::string for_hosts;  ///< "IP:127.0.0.1,DNS:localhost"; empty: an authority
    const Identity* signer = nullptr;  ///< null: signs itself
    long ends_in_s = 3600;  ///< negative: has expired
};

inline void add_extension(X509* to, X509* issuer, int id, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, to, nullptr, nullptr, 0);
    X509_EXTENSION* made = X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str());
    if (made == nullptr) std::abort();
    X509_add_ext(to, made, -1);
    X509_EXTENSION_free(made);
}

inline Identity make_identity(const IdentityOptions& options) {
    constexpr long kDay = 86'400;
    Identity out;
    X509* made = out.certificate.get();
    const Identity& signer = options.signer == nullptr ? out : *options.signer;
    static std::atomic<long> serial{1};
    X509_set_version(made, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made), -kDay);
    X509_gmtime_adj(X509_getm_notAfter(made), options.ends_in_s);
    X509_set_pubkey(made, out.key.get());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(options.name.c_str()), -1, -1,
                               0);
    X509_set_issuer_name(made, X509_get_subject_name(signer.certificate.get()));
    const bool authority = options.for_hosts.empty();
    add_extension(made, signer.certificate.get(), NID_basic_constraints,
                  authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (!authority) {
        add_extension(made, signer.certificate.get(), NID_subject_alt_name, options.for_hosts);
    }
    if (X509_sign(made, signer.key.get(), EVP_sha256()) == 0) std::abort();
    return out;
}

/// A file that goes away.
class TemporaryFile {
public:
    explicit TemporaryFile(std::string_view text) {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "leeway_tls_XXXXXX").string();
        const int fd = ::mkstemp(pattern.data());
        if (fd < 0) std::abort();
        ::close(fd);
        path_ = pattern;
        std::ofstream(path_) << text;
    }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;
    ~TemporaryFile() { ::unlink(path_.c_str()); }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    std::string path_;
};

/// The server's side of TLS on an accepted socket, blocking.
class TlsPeer {
public:
    TlsPeer(RawSocket& socket, const Identity& identity)
        : context_(SSL_CTX_new(TLS_server_method())) {
        SSL_CTX_use_certificate(context_.get(), identity.certificate.get());
        SSL_CTX_use_PrivateKey(context_.get(), identity.key.get());
        ssl_.reset(SSL_new(context_.get()));
        SSL_set_fd(ssl_.get(), socket.fd());
        if (SSL_accept(ssl_.get()) == 1) shaken_ = true;
    }
    [[nodiscard]] bool shaken() const noexcept { return shaken_; }
    /// What name the client asked for (SNI); empty: none.
    [[nodiscard]] std::string asked_for() const {
        const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
        return name == nullptr ? std::string() : std::string(name);
    }
    bool send(std::string_view bytes) {
        return shaken_ && SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) > 0;
    }
    /// Reads until `mark` has come, or the end.
    std::string read_until(std::string_view mark) {
        std::string seen;
        char bytes[4096];
        while (shaken_ && !seen.ends_with(mark)) {
            const int n = SSL_read(ssl_.get(), bytes, sizeof bytes);
            if (n <= 0) return {};
            seen.append(bytes, static_cast<std::size_t>(n));
        }
        return seen;
    }
    /// Says that no more follows (close_notify).
    void end() {
        if (shaken_) SSL_shutdown(ssl_.get());
    }

private:
    std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>> context_;
    std::unique_ptr<SSL, Freed<SSL_free>> ssl_;
    bool shaken_ = false;
};

}  // namespace leeway::net::testing
