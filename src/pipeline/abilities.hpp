#pragma once

#include <cstdint>

namespace leeway::pipeline {

/// What requests a model can answer, as far as the configuration tells: what it does not tell counts as able.
struct Abilities {
    std::int64_t context_tokens = 0;  ///< of prompt and answer together; 0: not told
    bool tools = true;
    bool images = true;  ///< and files
    bool audio = true;
    bool schema = true;  ///< answers after a JSON schema

    friend bool operator==(const Abilities&, const Abilities&) = default;
};

}  // namespace leeway::pipeline
