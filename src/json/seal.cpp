#include "json/seal.hpp"

#include "base/hash.hpp"

namespace leeway::json {
namespace {

constexpr std::string_view kSeal = ",\"seal\":\"";

}  // namespace

void append_seal(std::string& out) {
    const Sha256 seal = sha256(out);
    out.append(kSeal).append(to_hex(seal)).append("\"}");
}

bool seal_fits(std::string_view text, std::string_view seal) {
    const std::size_t end = text.rfind(kSeal);
    return end != std::string_view::npos && seal == to_hex(sha256(text.substr(0, end)));
}

}  // namespace leeway::json
