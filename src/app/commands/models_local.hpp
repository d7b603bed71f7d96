#pragma once

#include "app/commands.hpp"
#include "app/config.hpp"
#include "base/result.hpp"
#include "models/host/model_store.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace leeway::app {

// What the actions of `leeway models` share.

/// What the configuration says about embedded models, for use in this process.
[[nodiscard]] models::ModelStoreOptions local_store_options(const Config& config);

/// The configured model of that name. Errors: there is none (with the nearest name), or its provider
/// runs it elsewhere.
[[nodiscard]] Result<const ModelConfig*> embedded_model(const Config& config,
                                                        const std::string& name);

/// Whether the model runs in our own child process.
[[nodiscard]] bool is_embedded(const Config& config, const ModelConfig& model);

/// Checks the file (allow-list, form, SHA-256) and loads it here. `bar`: draws its progress on standard
/// error when that is a terminal.
[[nodiscard]] Result<std::unique_ptr<models::Engine>> load_here(const Config& config,
                                                                const std::string& name, bool bar);

/// Resident memory of this process in bytes, now; 0 when it cannot be read.
[[nodiscard]] std::uint64_t resident_bytes();

/// `leeway models load` and `try`. Each returns the exit status.
int load_model(const Config& config, const ModelsOptions& options);
int try_model(const Config& config, const ModelsOptions& options);

}  // namespace leeway::app
