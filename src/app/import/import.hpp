#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace leeway::app::imports {

/// A setting of another gateway that stands in the new configuration.
struct Carried {
    std::uint32_t line = 0;  ///< of the source, from 1
    std::string from;  ///< place in the source: "model_list[0].litellm_params.api_key"
    std::string to;    ///< place in the new file: "providers.openai.api_key"
    std::string note;  ///< what is to be known or done about it; may be empty
};

/// A setting that does not.
struct NotCarried {
    std::uint32_t line = 0;
    std::string from;
    std::string why;
    std::string instead;  ///< what to do; may be empty
};

/// What became of a file. No text of it holds a value that was a secret in the source, nor any value
/// that is not known to be harmless: names of models, providers and variables only.
struct Imported {
    std::string
        config;  ///< text of a leeway.yaml that read_config_text accepts once `variables` are set
    std::vector<Carried> carried;  ///< in the order of the lines
    std::vector<NotCarried> not_carried;  ///< in the order of the lines
    std::vector<std::string> variables;  ///< of the environment, that `config` refers to
};

/// Reads the config.yaml of a LiteLLM proxy. An error (kConfig) when it is no YAML or no such file.
/// Prices are converted digit by digit, from the text of the number.
[[nodiscard]] Result<Imported> import_litellm(const std::string& text);

/// Reads a Portkey config, JSON with snake_case or camelCase keys. Errors likewise.
[[nodiscard]] Result<Imported> import_portkey(const std::string& text);

}  // namespace leeway::app::imports
