#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace leeway::prices {

/// A simulation of a provider's prompt cache for requests that the provider did not see: which part of
/// a prompt was sent before, by the same tenant to the same model, within the last five minutes.
///
/// It looks at prefixes of the prompt's bytes in steps of 2 KiB, up to 256 KiB; tokens are taken as
/// spread evenly over the bytes. As providers do, it counts nothing below 1024 tokens and whole
/// steps of 128 tokens. A fixed table of hashes, no text; a collision only forgets. Thread-safe, without locks.
class PromptCacheModel {
public:
    static constexpr std::int64_t kTtlSeconds = 300;
    static constexpr std::int64_t kLeastTokens = 1024;
    static constexpr std::int64_t kTokenStep = 128;
    static constexpr std::size_t kChunk = 2048;
    static constexpr std::size_t kMostChunks = 128;

    PromptCacheModel();

    /// How many of `input_tokens` would have been read from the cache; then remembers the prompt.
    [[nodiscard]] std::int64_t look_and_keep(std::string_view tenant, std::string_view model,
                                             std::string_view prompt, std::int64_t input_tokens,
                                             std::int64_t unix_s) noexcept;

private:
    static constexpr std::size_t kSlots = 1U << 16;
    // Upper half: a part of the hash. Lower half: when it ends, in unix seconds.
    std::unique_ptr<std::atomic<std::uint64_t>[]> slots_;
};

}  // namespace leeway::prices
