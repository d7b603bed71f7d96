#pragma once

#include <string>

namespace leeway::app {

/// The value of an environment variable; empty when it is not set.
[[nodiscard]] std::string environment(const char* name);
/// Where tools/setup.sh keeps what is slow to make: $LEEWAY_CACHE, else leeway/ in the user's cache.
[[nodiscard]] std::string cache_folder();

// Where things are when the configuration does not say: what an environment variable names ($LEEWAY_MODELS,
// $LEEWAY_PRICES, $LEEWAY_VOCABULARIES), else where tools/setup.sh puts them.
[[nodiscard]] std::string default_model_folder();
/// Empty when there is none.
[[nodiscard]] std::string default_price_book();
[[nodiscard]] std::string default_vocabulary_folder();

}  // namespace leeway::app
