#include "app/server.hpp"
#include "telemetry/metrics.hpp"

#include <string>
#include <string_view>

namespace leeway::app {

std::string Server::cache_metrics() const {
    std::string out;
    const auto line = [&out](std::string_view name, std::string_view type, std::string_view help,
                             std::uint64_t value) {
        telemetry::append_help(out, name, type, help);
        telemetry::append_sample(out, name, {}, std::to_string(value));
    };
    const auto cache = cache_->stats();
    line("leeway_exact_cache_memory_bytes", "gauge", "Answers in memory.", cache.memory_bytes);
    line("leeway_exact_cache_entries", "gauge", "Answers in memory.", cache.memory_entries);
    line("leeway_exact_cache_disk_bytes", "gauge", "Answers on disk.", cache.disk_bytes);
    line("leeway_exact_cache_hits_total", "counter", "Answers found in memory or on disk.",
         cache.memory_hits + cache.disk_hits);
    line("leeway_exact_cache_misses_total", "counter", "Look-ups that found nothing.",
         cache.misses);
    const auto semantic = semantic_->stats();
    line("leeway_semantic_cache_questions", "gauge", "Kept questions, on disk.",
         semantic.vectors.entries);
    line("leeway_semantic_cache_memory_bytes", "gauge", "Of kept questions in memory.",
         semantic.vectors.memory_bytes);
    line("leeway_semantic_cache_kept_total", "counter", "New answers kept.", semantic.kept);
    line("leeway_semantic_cache_joined_total", "counter",
         "Questions that a kept answer was verified right for.", semantic.joined);
    line("leeway_semantic_cache_verified_right_total", "counter",
         "Verdicts that a kept answer was right.", semantic.verified_right);
    line("leeway_semantic_cache_verified_wrong_total", "counter",
         "Verdicts that a kept answer was wrong.", semantic.verified_wrong);
    line("leeway_semantic_caches_serving", "gauge",
         "Caches of a key and route whose evidence allows to serve.", semantic.serving);
    line("leeway_semantic_caches_stopped", "gauge",
         "Caches that served too many wrong answers and stopped.", semantic.stopped);
    return out;
}

}  // namespace leeway::app
