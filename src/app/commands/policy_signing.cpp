#include "app/commands/policy_signing.hpp"

#include "app/terminal.hpp"
#include "json/seal.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdio>
#include <string_view>
#include <utility>

namespace leeway::app {

void add_sign_option(CLI::App& command, std::string& key_file) {
    command
        .add_option("--sign", key_file,
                    "Sign the policy with the key of this file (leeway policy keygen)")
        ->type_name("KEYFILE");
}

Result<std::optional<Ed25519Key>> read_signing_key(const std::string& path) {
    if (path.empty()) return std::optional<Ed25519Key>();
    constexpr std::size_t kMost = 64UL * 1024;
    struct stat info{};
    if (stat(path.c_str(), &info) == 0 && (info.st_mode & 077U) != 0)
        fmt::print(stderr, "leeway: {} other users can read {}: chmod 600 {}\n",
                   coloured("warning:", Colour::kYellow, wants_colour(stderr)), path, path);
    auto text = read_input(path, kMost);
    if (!text) return fail(std::move(text.error()));
    auto key = Ed25519Key::read(Secret(std::move(*text)));
    if (!key)
        return fail(key.error().code, fmt::format("{}: {}", path, key.error().message),
                    key.error().hint);
    return std::optional(std::move(*key));
}

Result<std::string> signed_policy(const std::string& bytes, const std::optional<Ed25519Key>& key) {
    if (!key) return bytes;
    const std::size_t line = bytes.find('\n');
    auto head = json::with_signature(std::string_view(bytes).substr(0, line), *key);
    if (!head || line == std::string::npos) return head;
    return std::move(*head) + bytes.substr(line);
}

std::string made_text(const std::string& output, const std::optional<Ed25519Key>& key) {
    std::string out = output.empty() ? "nothing was written: --output FILE writes the policy\n"
                                     : fmt::format("written to {}\n", output);
    if (key) out += fmt::format("signed by {}\n", key->public_key().text());
    return out;
}

}  // namespace leeway::app
