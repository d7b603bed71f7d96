#include "app/config_model.hpp"
#include "base/strings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

namespace leeway::app {
namespace {

/// `none`, `exact`, or the name of the model that is asked.
void read_judge(Section& section, SemanticCacheConfig& out, RouteMarks& marks) {
    const auto judge = section.scalar("judge");
    if (!judge || judge->text == "none") return;
    if (judge->text == "exact") {
        out.judge = SemanticJudge::kExact;
        return;
    }
    out.judge = SemanticJudge::kModel;
    out.judge_model = judge->text;
    marks.judge = judge->mark;
}

void read_semantic(ConfigSource& source, Section& cache, RouteConfig& out, RouteMarks& marks) {
    Section section = cache.section("semantic");
    SemanticCacheConfig& to = out.semantic_cache;
    read_share(source, section, "max_error", "0.2", 200'000, to.max_error_ppm);
    if (cache.has("semantic") && (!section.has("max_error") || to.max_error_ppm == 0)) {
        source.error(cache.mark("semantic"),
                     "the semantic cache needs the share of its answers that may be wrong: "
                     "`max_error: 0.01`");
    }
    read_judge(section, to, marks);
    section.seconds("ttl", to.ttl, std::chrono::seconds(1));
    section.choice<bool>("scope", to.shared, {{"tenant", false}, {"public", true}});
    marks.semantic = cache.has("semantic") ? cache.mark("semantic") : cache.mark();
    section.finish();
}

}  // namespace

void read_share(ConfigSource& source, Section& section, std::string_view key, std::string_view most,
                std::uint32_t most_ppm, std::uint32_t& ppm) {
    const auto value = section.scalar(key);
    if (!value) return;
    std::string text = value->text;
    if (const std::size_t dot = text.find('.'); dot == std::string::npos) {
        text += "000000";
    } else {
        const std::size_t decimals = text.size() - dot - 1;
        if (decimals > 6) text.clear();
        text.append(decimals <= 6 ? 6 - decimals : 0, '0');
        if (!text.empty()) text.erase(dot, 1);
    }
    const auto number = parse_u64(text);
    if (!number || *number > most_ppm) {
        source.error(value->mark,
                     fmt::format("{}: '{}' is no share of requests: write a number from 0 to "
                                 "{} with at most six decimals, such as 0.02",
                                 key, value->text, most));
        return;
    }
    ppm = static_cast<std::uint32_t>(*number);
}

void read_route_cache(ConfigSource& source, Section& section, RouteConfig& out, RouteMarks& marks) {
    Section cache = section.section("cache");
    cache.choice<ExactCacheMode>("exact", out.exact_cache,
                                 {{"auto", ExactCacheMode::kAuto},
                                  {"on", ExactCacheMode::kOn},
                                  {"off", ExactCacheMode::kOff},
                                  {"true", ExactCacheMode::kOn},
                                  {"false", ExactCacheMode::kOff}});
    cache.seconds("ttl", out.cache_ttl, std::chrono::seconds(0));
    read_semantic(source, cache, out, marks);
    marks.cache = cache.mark();
    cache.finish();
}

void read_stages(ConfigSource& source, Section& section, RouteConfig& out) {
    std::vector<PlacedText> stages;
    section.list("stages", stages);
    for (std::size_t i = 0; i < stages.size(); ++i) {
        PlacedText& stage = stages[i];
        if (stage.text == "cache") {
            stage.text = "exact_cache";
            PlacedText semantic{"semantic_cache", stage.mark};
            if (out.semantic_cache.max_error_ppm > 0)
                stages.insert(stages.begin() + static_cast<std::ptrdiff_t>(i) + 1, semantic);
        }
        const PlacedText& named = stages[i];
        const auto& known = known_stages();
        if (std::find(known.begin(), known.end(), named.text) == known.end()) {
            source.unknown(named.mark, "stage", named.text, known);
        } else if (std::find(out.stages.begin(), out.stages.end(), named.text) !=
                   out.stages.end()) {
            source.error(named.mark,
                         fmt::format("stage '{}' stands in the list twice", named.text));
        } else {
            out.stages.push_back(named.text);
        }
    }
}

}  // namespace leeway::app
