#include "app/commands/routes_data.hpp"

#include "app/config.hpp"
#include "app/terminal.hpp"
#include "json/node.hpp"
#include "methods/router/semantic/semantic_router.hpp"

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace leeway::app {
namespace {

constexpr std::size_t kMostBytes = 1024ULL * 1024 * 1024;

Result<router::LabelledText> labelled(std::string_view line, const router::RouteSet& set) {
    const auto row = json::parse_node(line);
    if (!row) return fail(row.error());
    const json::Node* const text = row->find("text");
    const json::Node* const route = row->find("route");
    if (!row->is_object() || text == nullptr || !text->is_string())
        return fail(ErrorCode::kConfig, "no \"text\": {\"text\": …, \"route\": …} was expected");
    if (route == nullptr || !(route->is_string() || route->is_null()))
        return fail(ErrorCode::kConfig, "no \"route\": its name was expected, or null");
    if (route->is_string() && !set.find(route->text)) {
        return fail(ErrorCode::kConfig,
                    fmt::format("the routes file has no route '{}'", route->text),
                    "null stands for what no route must take");
    }
    return router::LabelledText{text->text, route->text};
}

}  // namespace

Result<std::vector<router::LabelledText>> read_labelled(const std::string& path,
                                                        const router::RouteSet& set) {
    const auto text = read_input(path, kMostBytes);
    if (!text) return fail(text.error());
    std::vector<router::LabelledText> out;
    std::string_view rest = *text;
    for (std::size_t number = 1; !rest.empty(); ++number) {
        const std::size_t end = rest.find('\n');
        const std::string_view line = rest.substr(0, end);
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
        auto row = labelled(line, set);
        if (!row) {
            return fail(ErrorCode::kConfig,
                        fmt::format("{}:{}: {}", path, number, row.error().message),
                        row.error().hint);
        }
        out.push_back(std::move(*row));
    }
    if (out.empty()) return fail(ErrorCode::kConfig, fmt::format("{}: there is no line", path));
    return out;
}

Result<std::unique_ptr<models::TextEmbedder>> embedder_for(const std::string& config,
                                                           const EmbeddingOptions& options) {
    if (config.empty()) return open_embedder(nullptr, options);
    const auto read = load_config(config);
    if (!read) return fail(read.error());
    return open_embedder(&*read, options);
}

Result<EmbeddedSet> embed_set(router::RouteSet set, models::TextEmbedder& embedder) {
    const std::vector<std::string> texts = router::SemanticRouter::texts_of(set);
    auto vectors = embed_with_bar(embedder, texts, "utterances");
    if (!vectors) return fail(std::move(vectors.error()));
    return EmbeddedSet{std::move(set), std::move(*vectors)};
}

Result<lab::LabelledRows> embed_rows(std::vector<router::LabelledText> rows,
                                     models::TextEmbedder& embedder) {
    std::vector<std::string> texts;
    texts.reserve(rows.size());
    for (const auto& row : rows) texts.push_back(row.text);
    auto vectors = embed_with_bar(embedder, texts, "labelled texts");
    if (!vectors) return fail(std::move(vectors.error()));
    return lab::LabelledRows{std::move(rows), std::move(*vectors)};
}

}  // namespace leeway::app
