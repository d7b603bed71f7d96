#pragma once

#include <atomic>
#include <cstdint>

namespace leeway::models {

/// What `Engine::stats` reports: written by the engine's thread (and `waiting` by submitters too).
struct EngineCounters {
    std::atomic<std::uint64_t> prompt_tokens{0};
    std::atomic<std::uint64_t> cached_tokens{0};
    std::atomic<std::uint64_t> completion_tokens{0};
    std::atomic<std::uint64_t> embedded_texts{0};
    std::atomic<std::uint64_t> jobs_done{0};
    std::atomic<std::uint64_t> preempted{0};
    std::atomic<std::uint32_t> waiting{
        0};  ///< accepted, not started (texts, for a model for vectors)
    std::atomic<std::uint32_t> running{0};
};

}  // namespace leeway::models
