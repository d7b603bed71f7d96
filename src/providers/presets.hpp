#pragma once

#include "wire/canonical/dialect.hpp"
#include "wire/canonical/quirks.hpp"
#include "wire/usage/flavour.hpp"

#include <span>
#include <string_view>

namespace leeway::providers {

/// What is known of a provider, so that `preset: NAME` is all that a configuration must say of it.
struct Preset {
    std::string_view name;
    std::string_view title;
    std::string_view base_url;
    /// The environment variable that its own documentation puts the key in.
    std::string_view key_variable;
    bool needs_key = true;  ///< false: it may run without
    wire::Dialect dialect = wire::Dialect::kOpenAiChat;
    wire::usage::Flavour flavour = wire::usage::Flavour::kOpenAiChat;
    wire::ChatQuirks quirks;  ///< for OpenAI's chat dialect
};

/// All of them, by name.
[[nodiscard]] std::span<const Preset> presets() noexcept;
/// Null: there is none of that name.
[[nodiscard]] const Preset* find_preset(std::string_view name) noexcept;

}  // namespace leeway::providers
