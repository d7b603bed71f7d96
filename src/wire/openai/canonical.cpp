#include "wire/openai/canonical.hpp"

#include "json/canonical.hpp"

#include <array>

namespace leeway::wire::openai {

Result<void> append_canonical(std::string_view body, std::string& out) {
    constexpr std::array<std::string_view, 8> kLeftOut = {
        "model", "stream",   "stream_options",   "user",
        "store", "metadata", "prompt_cache_key", "safety_identifier",
    };
    return json::append_canonical(body, kLeftOut, out);
}

}  // namespace leeway::wire::openai
