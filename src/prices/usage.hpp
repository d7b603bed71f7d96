#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>

namespace leeway::prices {

/// What is counted of an answer. Token buckets are disjoint: each token is in exactly one of them, so
/// their sum is what the provider billed. Stored by number: never renumber, add at the end, and give
/// the ledger a migration with a column of the bucket's name.
enum class Bucket : std::uint8_t {
    kInput = 0,  ///< fresh text
    kCachedInput = 1,  ///< read from the provider's prompt cache
    kCacheWrite = 2,  ///< written to the prompt cache, for a time that was not told
    kAudioInput = 3,  ///< fresh audio
    kOutput = 4,  ///< visible text
    kReasoning = 5,  ///< output that the caller does not see but pays for
    kAudioOutput = 6,
    kCacheWrite5m = 7,
    kCacheWrite1h = 8,
    kImageInput = 9,  ///< fresh, like the next two
    kVideoInput = 10,
    kDocumentInput = 11,
    kToolPrompt = 12,  ///< results of the provider's own tools, put into the prompt
    kCachedAudio = 13,  ///< audio read from the prompt cache
    kCachedImage = 14,
    kImageOutput = 15,
    kAcceptedPrediction = 16,  ///< output that was predicted by the caller
    kRejectedPrediction =
        17,  ///< predictions that did not hold: not in the answer, but billed as output
    kWebSearch = 18,  ///< calls, like the other services
    kFileSearch = 19,
    kCodeExecution = 20,
    kGrounding = 21,
    kRequests = 22,
    kImages = 23,  ///< generated images
    kAudioMs = 24,  ///< milliseconds of audio
    kWebFetch = 25,
    kCitations = 26,
    kPages = 27,  ///< of documents that were read
};

/// What a bucket holds and how it is billed.
enum class BucketKind : std::uint8_t {
    kInputTokens,
    kOutputTokens,
    kService,  ///< counted by the piece; used without a known rate, the cost is unknown
    kFact,  ///< counted by the piece; costs only where a rate is given
};

struct BucketInfo {
    Bucket bucket;
    std::string_view name;  ///< in the ledger, in exports, in price books: never renamed
    BucketKind kind;
};

/// One line per bucket, in the order of their numbers.
inline constexpr std::array kBuckets{
    BucketInfo{Bucket::kInput, "input", BucketKind::kInputTokens},
    BucketInfo{Bucket::kCachedInput, "cached_input", BucketKind::kInputTokens},
    BucketInfo{Bucket::kCacheWrite, "cache_write_input", BucketKind::kInputTokens},
    BucketInfo{Bucket::kAudioInput, "audio_input", BucketKind::kInputTokens},
    BucketInfo{Bucket::kOutput, "output", BucketKind::kOutputTokens},
    BucketInfo{Bucket::kReasoning, "reasoning_output", BucketKind::kOutputTokens},
    BucketInfo{Bucket::kAudioOutput, "audio_output", BucketKind::kOutputTokens},
    BucketInfo{Bucket::kCacheWrite5m, "cache_write_5m_input", BucketKind::kInputTokens},
    BucketInfo{Bucket::kCacheWrite1h, "cache_write_1h_input", BucketKind::kInputTokens},
    BucketInfo{Bucket::kImageInput, "image_input", BucketKind::kInputTokens},
    BucketInfo{Bucket::kVideoInput, "video_input", BucketKind::kInputTokens},
    BucketInfo{Bucket::kDocumentInput, "document_input", BucketKind::kInputTokens},
    BucketInfo{Bucket::kToolPrompt, "tool_prompt_input", BucketKind::kInputTokens},
    BucketInfo{Bucket::kCachedAudio, "cached_audio_input", BucketKind::kInputTokens},
    BucketInfo{Bucket::kCachedImage, "cached_image_input", BucketKind::kInputTokens},
    BucketInfo{Bucket::kImageOutput, "image_output", BucketKind::kOutputTokens},
    BucketInfo{Bucket::kAcceptedPrediction, "accepted_prediction_output",
               BucketKind::kOutputTokens},
    BucketInfo{Bucket::kRejectedPrediction, "rejected_prediction_output",
               BucketKind::kOutputTokens},
    BucketInfo{Bucket::kWebSearch, "web_search", BucketKind::kService},
    BucketInfo{Bucket::kFileSearch, "file_search", BucketKind::kService},
    BucketInfo{Bucket::kCodeExecution, "code_execution", BucketKind::kService},
    BucketInfo{Bucket::kGrounding, "grounding", BucketKind::kService},
    BucketInfo{Bucket::kRequests, "requests", BucketKind::kService},
    BucketInfo{Bucket::kImages, "images", BucketKind::kFact},
    BucketInfo{Bucket::kAudioMs, "audio_ms", BucketKind::kFact},
    BucketInfo{Bucket::kWebFetch, "web_fetch", BucketKind::kFact},
    BucketInfo{Bucket::kCitations, "citations", BucketKind::kFact},
    BucketInfo{Bucket::kPages, "pages", BucketKind::kFact},
};
inline constexpr std::size_t kBucketCount = kBuckets.size();

[[nodiscard]] constexpr std::size_t index_of(Bucket bucket) noexcept {
    return static_cast<std::size_t>(bucket);
}
[[nodiscard]] constexpr const BucketInfo& info_of(Bucket bucket) noexcept {
    return kBuckets[index_of(bucket)];
}
[[nodiscard]] constexpr std::string_view to_string(Bucket bucket) noexcept {
    return info_of(bucket).name;
}
[[nodiscard]] constexpr bool is_tokens(BucketKind kind) noexcept {
    return kind == BucketKind::kInputTokens || kind == BucketKind::kOutputTokens;
}

namespace detail {
constexpr bool in_order() noexcept {
    for (std::size_t i = 0; i < kBucketCount; ++i) {
        if (index_of(kBuckets[i].bucket) != i) return false;
    }
    return true;
}
}  // namespace detail
static_assert(detail::in_order(), "kBuckets stands in the order of the numbers");
static_assert(kBucketCount <= 64, "a record of the journal has a 64-bit mask of the buckets");

/// What one answer used, per bucket. All counts are ≥ 0.
///
///     Usage usage{{Bucket::kInput, 900}, {Bucket::kOutput, 250}};
///     usage[Bucket::kCachedInput] = 100;
class Usage {
public:
    constexpr Usage() = default;
    constexpr Usage(std::initializer_list<std::pair<Bucket, std::int64_t>> counts) {
        for (const auto& [bucket, count] : counts) (*this)[bucket] = count;
    }

    [[nodiscard]] constexpr std::int64_t& operator[](Bucket bucket) noexcept {
        return counts_[index_of(bucket)];
    }
    [[nodiscard]] constexpr std::int64_t operator[](Bucket bucket) const noexcept {
        return counts_[index_of(bucket)];
    }

    [[nodiscard]] constexpr std::int64_t input_total() const noexcept {
        return total(BucketKind::kInputTokens);
    }
    [[nodiscard]] constexpr std::int64_t output_total() const noexcept {
        return total(BucketKind::kOutputTokens);
    }
    friend constexpr bool operator==(const Usage&, const Usage&) = default;

private:
    [[nodiscard]] constexpr std::int64_t total(BucketKind kind) const noexcept {
        std::int64_t sum = 0;
        for (std::size_t i = 0; i < kBucketCount; ++i) {
            sum += kBuckets[i].kind == kind ? counts_[i] : 0;
        }
        return sum;
    }

    std::array<std::int64_t, kBucketCount> counts_{};
};

/// How much is known about the usage of an answer. Stored by number: never renumber.
enum class UsageState : std::uint8_t {
    kMissing = 0,  ///< the provider told nothing; the counts are meaningless, the cost is unknown
    kFinal = 1,  ///< told at the end, complete
    kPartial = 2,  ///< told, but the answer was cut before its end
    kZero = 3,  ///< told explicitly as zero
};

[[nodiscard]] constexpr std::string_view to_string(UsageState state) noexcept {
    switch (state) {
        case UsageState::kMissing: return "missing";
        case UsageState::kFinal: return "final";
        case UsageState::kPartial: return "partial";
        case UsageState::kZero: return "zero";
    }
    return "missing";
}

}  // namespace leeway::prices
