#include "app/commands.hpp"
#include "app/terminal.hpp"
#include "json/write.hpp"
#include "providers/presets.hpp"

#include <fmt/format.h>

namespace leeway::app {
namespace {

/// The quirks that are on, with blanks between.
std::string quirk_names(const wire::ChatQuirks& quirks) {
    std::string out;
    for (const wire::ChatQuirk& quirk : wire::kChatQuirks) {
        if (!(quirks.*quirk.flag)) continue;
        if (!out.empty()) out += ' ';
        out += quirk.name;
    }
    return out;
}

std::string presets_json() {
    std::string out;
    json::Writer json(out);
    json.object().key("presets").array();
    for (const providers::Preset& preset : providers::presets()) {
        json.object().key("name").string(preset.name).key("title").string(preset.title);
        json.key("base_url").string(preset.base_url).key("api_key").string(preset.key_variable);
        json.key("needs_key").boolean(preset.needs_key);
        json.key("dialect")
            .string(to_string(preset.dialect))
            .key("usage")
            .string(to_string(preset.flavour));
        json.key("quirks").object();
        for (const wire::ChatQuirk& quirk : wire::kChatQuirks)
            json.key(quirk.name).boolean(preset.quirks.*quirk.flag);
        json.close_object().close_object();
    }
    json.close_array().close_object();
    return out + "\n";
}

std::string presets_text() {
    std::string out = fmt::format("{:<17} {:<58} {:<20} {:<10} {}\n", "PRESET", "BASE_URL",
                                  "API KEY", "DIALECT", "QUIRKS");
    for (const providers::Preset& preset : providers::presets()) {
        const bool chat = preset.dialect == wire::Dialect::kOpenAiChat;
        out += fmt::format("{:<17} {:<58} {:<20} {:<10} {}", preset.name, preset.base_url,
                           preset.key_variable, to_string(preset.dialect),
                           chat ? quirk_names(preset.quirks) : "");
        out.erase(out.find_last_not_of(' ') + 1);
        out += '\n';
    }
    out +=
        "\nproviders: {NAME: {preset: groq}} is all a configuration needs; "
        "docs/formats/providers.md has the rest.\n";
    return out;
}

}  // namespace

int run_providers(const ProvidersOptions& options) {
    return print_out(options.json ? presets_json() : presets_text());
}

}  // namespace leeway::app
