#include "json/seal.hpp"

#include "base/hash.hpp"

#include <optional>

namespace leeway::json {
namespace {

// Inside a string its quotes would have backslashes before them, so these stand only where members are.
constexpr std::string_view kSigner = ",\"signer\":\"";
constexpr std::string_view kSignature = ",\"signature\":\"";
constexpr std::string_view kSeal = ",\"seal\":\"";

/// A text that ends with a string member: what is before the member, and its value; nullopt: it does not end so.
struct LastMember {
    std::string_view before;
    std::string_view value;
};
std::optional<LastMember> last_member(std::string_view text, std::string_view opening) {
    const std::size_t at = text.rfind(opening);
    if (at == std::string_view::npos) return std::nullopt;
    const std::string_view rest = text.substr(at + opening.size());
    if (rest.empty() || rest.find('"') != rest.size() - 1) return std::nullopt;
    return LastMember{text.substr(0, at), rest.substr(0, rest.size() - 1)};
}

/// The same of the seal, which ends the object.
std::optional<LastMember> seal_of(std::string_view text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
        text.remove_suffix(1);
    if (!text.ends_with('}')) return std::nullopt;
    return last_member(text.substr(0, text.size() - 1), kSeal);
}

tl::unexpected<Error> unsound(std::string why) {
    return fail(Error{ErrorCode::kConfig,
                      std::move(why),
                      "have it signed anew by whoever made it",
                      {},
                      "signature_invalid"});
}

}  // namespace

void append_seal(std::string& out) {
    const Sha256 seal = sha256(out);
    out.append(kSeal).append(to_hex(seal)).append("\"}");
}

bool seal_fits(std::string_view text, std::string_view seal) {
    const auto found = seal_of(text);
    return found && found->value == seal && seal == to_hex(sha256(found->before));
}

Result<std::string> with_signature(std::string_view sealed, const Ed25519Key& key) {
    const auto seal = seal_of(sealed);
    if (!seal) return fail(ErrorCode::kInvalidRequest, "there is no seal at its end");
    if (seal->before.find(kSignature) != std::string_view::npos ||
        seal->before.find(kSigner) != std::string_view::npos)
        return fail(ErrorCode::kInvalidRequest, "it is signed already");
    std::string out(seal->before);
    out.append(kSigner).append(key.public_key().text()).append("\"");
    const auto signature = key.sign(out);
    if (!signature) return fail(signature.error());
    out.append(kSignature).append(signature->text()).append("\"");
    append_seal(out);
    return out;
}

Result<std::string> signer_of(std::string_view text) {
    const auto seal = seal_of(text);
    if (!seal) return unsound("there is no seal at its end");
    if (seal->before.find(kSignature) == std::string_view::npos &&
        seal->before.find(kSigner) == std::string_view::npos)
        return std::string();
    const auto signature = last_member(seal->before, kSignature);
    const auto signer = signature ? last_member(signature->before, kSigner) : std::nullopt;
    if (!signer) return unsound("its signature does not stand at its end");
    const auto key = Ed25519PublicKey::parse(signer->value);
    if (!key) return unsound("its signer is no public key of Ed25519");
    const auto value = Ed25519Signature::parse(signature->value);
    if (!value) return unsound("its signature was cut, or is none of Ed25519");
    if (!is_signed_by(*key, signature->before, *value))
        return unsound("its signature does not fit, so it was edited, or another signed it");
    return std::string(signer->value);
}

}  // namespace leeway::json
