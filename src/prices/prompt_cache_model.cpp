#include "prices/prompt_cache_model.hpp"

#include "base/hash.hpp"

namespace leeway::prices {
namespace {

/// One value of two, order matters (from splitmix64).
std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
    std::uint64_t z = (a ^ (b + 0x9e3779b97f4a7c15ULL)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

}  // namespace

PromptCacheModel::PromptCacheModel() : slots_(new std::atomic<std::uint64_t>[kSlots]()) {}

std::int64_t PromptCacheModel::look_and_keep(std::string_view tenant, std::string_view model,
                                             std::string_view prompt, std::int64_t input_tokens,
                                             std::int64_t unix_s) noexcept {
    if (prompt.size() < kChunk || input_tokens < kLeastTokens) return 0;
    const auto now = static_cast<std::uint32_t>(unix_s);
    const std::uint32_t ends = now + static_cast<std::uint32_t>(kTtlSeconds);
    std::uint64_t hash = mix(process_hash128(tenant).low, process_hash128(model).low);
    std::size_t found = 0;
    bool all_found = true;
    for (std::size_t i = 0; i < kMostChunks && (i + 1) * kChunk <= prompt.size(); ++i) {
        hash = mix(hash, process_hash128(prompt.substr(i * kChunk, kChunk)).low);
        auto& slot = slots_[hash % kSlots];
        const std::uint64_t tag = hash & 0xffffffff00000000ULL;
        const std::uint64_t kept = slot.load(std::memory_order_relaxed);
        all_found = all_found && (kept & 0xffffffff00000000ULL) == tag &&
                    static_cast<std::uint32_t>(kept) >= now;
        if (all_found) found = i + 1;
        slot.store(tag | ends, std::memory_order_relaxed);
    }
    if (found == 0) return 0;
    const double share = static_cast<double>(found * kChunk) / static_cast<double>(prompt.size());
    const auto tokens = static_cast<std::int64_t>(share * static_cast<double>(input_tokens));
    return tokens < kLeastTokens ? 0 : tokens / kTokenStep * kTokenStep;
}

}  // namespace leeway::prices
