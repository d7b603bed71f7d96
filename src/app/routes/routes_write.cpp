#include "app/routes/routes_file.hpp"
#include "json/write.hpp"

#include <fmt/format.h>

#include <string_view>

namespace leeway::app {
namespace {

constexpr std::string_view kKey = "fitted:";
constexpr std::string_view kNote =
    "# Written by `leeway tune routes`; run it again rather than change it by hand.\n";

std::string_view word_of(router::Aggregate aggregate) {
    switch (aggregate) {
        case router::Aggregate::kBlend: break;
        case router::Aggregate::kMax: return "max";
        case router::Aggregate::kMean: return "mean";
    }
    return "blend";
}

std::string examples_of(const router::FittedRoutes& fitted, std::string_view route,
                        std::string_view indent) {
    std::string out;
    for (const router::LabelledText& one : fitted.examples) {
        if (one.route != route) continue;
        if (out.empty()) out = fmt::format("{}examples:\n", indent);
        out += fmt::format("{}  - {}\n", indent, yaml_text(one.text));
    }
    return out;
}

std::string block_of(const router::RouteSet& set, const router::FittedRoutes& fitted) {
    std::string out(kNote);
    out += fmt::format("fitted:\n  model: {}\n  fingerprint: {}\n", yaml_text(fitted.model),
                       yaml_text(fitted.fingerprint));
    out += fmt::format("  rows: {}\n  folds: {}\n  seed: {}\n", fitted.rows, fitted.folds,
                       fitted.seed);
    out += fmt::format("  accuracy: {:.4f}\n  interval: {{low: {:.4f}, high: {:.4f}}}\n",
                       fitted.accuracy, fitted.accuracy_ci[0], fitted.accuracy_ci[1]);
    out += fmt::format("  aggregate: {}\n  alpha: {}\n  head: {}\n  temperature: {:.6f}\n",
                       word_of(fitted.scoring.aggregate), fitted.scoring.alpha, fitted.scoring.head,
                       fitted.temperature);
    out += "  routes:\n";
    for (std::size_t r = 0; r < set.routes.size(); ++r) {
        out += fmt::format("    - name: {}\n      threshold: {:.6f}\n",
                           yaml_text(set.routes[r].name), fitted.thresholds[r]);
        out += examples_of(fitted, set.routes[r].name, "      ");
    }
    const std::string rejected = examples_of(fitted, {}, "    ");
    if (!rejected.empty()) out += "  rejected:\n" + rejected;
    return out;
}

/// `text` without the top-level `fitted:` and our note above it. What belongs to it is indented, or empty.
std::string without_fitted(std::string_view text) {
    std::string out;
    bool inside = false;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(end);
        const bool blank = line.find_first_not_of(" \t\r\n") == std::string_view::npos;
        if (line.starts_with(kKey)) {
            inside = true;
            continue;
        }
        if (inside && (blank || line.front() == ' ' || line.front() == '\t')) continue;
        inside = false;
        if (line != kNote) out += line;
    }
    while (out.ends_with("\n\n")) out.pop_back();
    if (!out.empty() && out.back() != '\n') out += '\n';
    return out;
}

}  // namespace

std::string yaml_text(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text.substr(at).starts_with("${")) out += '$';
        out += text[at];
    }
    return json::quoted(out);
}

std::string with_fitted(const std::string& text, const router::RouteSet& set,
                        const router::FittedRoutes& fitted) {
    return without_fitted(text) + "\n" + block_of(set, fitted);
}

}  // namespace leeway::app
