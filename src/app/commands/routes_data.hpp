#pragma once

#include "app/commands/routes_options.hpp"
#include "base/result.hpp"
#include "lab/evaluate/routes_tune.hpp"
#include "models/embedding.hpp"

#include <memory>
#include <string>

namespace leeway::app {

/// Lines of {"text": …, "route": NAME or null}; other members are not looked at. Errors: kConfig, with the line: no
/// JSON, no text, a route that the set does not have, no line at all.
[[nodiscard]] Result<std::vector<router::LabelledText>> read_labelled(const std::string& path,
                                                                      const router::RouteSet& set);

/// The embedder that the options ask for; `config` may be empty.
[[nodiscard]] Result<std::unique_ptr<models::TextEmbedder>> embedder_for(
    const std::string& config, const EmbeddingOptions& options);

/// A routes file with the vectors of its texts.
struct EmbeddedSet {
    router::RouteSet set;
    models::VectorTable vectors;
};
[[nodiscard]] Result<EmbeddedSet> embed_set(router::RouteSet set, models::TextEmbedder& embedder);
[[nodiscard]] Result<lab::LabelledRows> embed_rows(std::vector<router::LabelledText> rows,
                                                   models::TextEmbedder& embedder);

}  // namespace leeway::app
