#pragma once

#include "base/result.hpp"
#include "lab/estimate/scenario.hpp"
#include "tokens/calibration.hpp"
#include "tokens/count.hpp"
#include "tokens/model_map.hpp"
#include "tokens/tokenizer.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace leeway::lab {

/// A prompt as one model counts it.
struct CountedPrompt {
    PartTokens tokens{};  ///< of the input; their sum is `count.tokens`
    tokens::TokenCount count;
    std::int64_t constant = 0;  ///< of these, the beginning that all requests of this kind share
    std::int64_t cached = 0;    ///< as recorded
};

/// The tokenizer of a rule. It may change the rule where the model's own vocabulary is not there, and says so.
using TokenizerFor =
    std::function<Result<tokens::Tokenizer*>(tokens::ModelTokens& rule, std::string& note)>;

/// What models' tokens are counted with.
struct Counters {
    std::function<tokens::ModelTokens(const std::string& model)> rule_of;
    TokenizerFor tokenizer_for;
    /// What is known of a model whose tokenizer is not public.
    std::function<tokens::Calibration(const tokens::ModelTokens& rule, const std::string& model)>
        calibration_of;
};

/// Counts `prompt` as `model` would. `note` gets what the reader must know, if anything.
[[nodiscard]] Result<CountedPrompt> count_prompt(const Prompt& prompt, const std::string& model,
                                                 const Counters& counters, std::string& note);

/// Divides `total` in the proportions of `weights`, exactly: the parts add up to it. Nothing is divided
/// by weights that are all 0: then all of it is the last part.
void divide(std::int64_t total, const std::int64_t* weights, std::int64_t* parts,
            std::size_t count);

}  // namespace leeway::lab
