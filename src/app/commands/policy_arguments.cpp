#include "app/commands/policy_arguments.hpp"

#include "base/ed25519.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace leeway::app {

void add_policy(CLI::App& app, PolicyOptions& options, Command& chosen) {
    CLI::App& group = *app.add_subcommand(
        "policy", "Files of leeway tune cascade and router: what they say, who signed them");
    group.footer(
        "Examples:\n"
        "  leeway policy keygen --output ~/policies.key\n"
        "  leeway policy show policies/support.json");
    group.require_subcommand(1);
    CLI::App& keygen = *group.add_subcommand("keygen", "Make a key that signs policies");
    keygen.footer(
        "The file has the secret key and is for its owner only. The public key is printed: a\n"
        "gateway trusts it by `policies: {trusted_keys: [KEY]}` (docs/formats/policies.md).\n\n"
        "Examples:\n"
        "  leeway policy keygen --output ~/policies.key\n"
        "  leeway tune cascade … --sign ~/policies.key --output policies/support.json");
    keygen.add_option("--output", options.output, "The secret key: a file that is not there yet")
        ->required()
        ->type_name("KEYFILE");
    keygen.add_flag("--json", options.json, "One JSON object instead of text");
    keygen.final_callback([&options, &chosen] {
        options.action = PolicyOptions::Action::kKeygen;
        chosen = options;
    });
    CLI::App& show =
        *group.add_subcommand("show", "What a policy says, who signed it and whether it holds");
    show.footer(
        "Exit status: 0 it is whole, and a signature that it has is right; 1 it is not.\n\n"
        "Examples:\n"
        "  leeway policy show policies/support.json\n"
        "  leeway policy show policies/support.router --trusted-key KEY --json");
    show.add_option("file", options.file, "A policy")->required()->type_name("FILE");
    show.add_option("--trusted-key", options.trusted,
                    "It must be signed by this public key; may be repeated [any, or none]")
        ->allow_extra_args(false)
        ->check([](const std::string& text) {
            return Ed25519PublicKey::parse(text) ? std::string()
                                                 : fmt::format("'{}' is no public key", text);
        })
        ->type_name("KEY");
    show.add_flag("--json", options.json, "One JSON object instead of text");
    show.final_callback([&options, &chosen] {
        options.action = PolicyOptions::Action::kShow;
        chosen = options;
    });
}

}  // namespace leeway::app
