#include "app/builtin_stages.hpp"

#include "methods/agent_cache/exact_cache_stage.hpp"
#include "methods/agent_cache/semantic_cache_stage.hpp"

namespace leeway::app {

std::map<std::string, std::unique_ptr<pipeline::Stage>, std::less<>> make_builtin_stages(
    const Services& services) {
    std::map<std::string, std::unique_ptr<pipeline::Stage>, std::less<>> stages;
    const auto add = [&stages](std::unique_ptr<pipeline::Stage> stage) {
        std::string name(stage->info().name);
        stages.emplace(std::move(name), std::move(stage));
    };
    agent_cache::CacheServices cache = services.cache;
    cache.embedder = services.embedder;
    add(std::make_unique<agent_cache::ExactCacheStage>(cache));
    add(std::make_unique<agent_cache::SemanticCacheStage>(cache));
    return stages;
}

}  // namespace leeway::app
