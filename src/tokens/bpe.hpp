#pragma once

#include "tokens/vocabulary.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace leeway::tokens {

/// Byte-pair encodes single pieces, exactly as the definition says: again and again the pair of
/// neighbours that merges first is merged, the leftmost where several are equal. Keeps its working
/// memory; not thread-safe.
class BytePairEncoder {
public:
    explicit BytePairEncoder(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {}

    /// The tokens of `piece`, which must not be empty; valid until the next call. A piece that is a
    /// token as a whole is that token. O(n²) with a small factor below 64 bytes, O(n log n) above.
    [[nodiscard]] const std::vector<Rank>& encode(std::string_view piece);

    /// Pairs looked up since the start: the measure of work for tests.
    [[nodiscard]] std::uint64_t steps() const noexcept { return steps_; }

private:
    void encode_short(std::string_view piece);
    void encode_long(std::string_view piece);
    [[nodiscard]] Rank merged(Rank left, Rank right) noexcept {
        ++steps_;
        return vocabulary_.merged(left, right);
    }

    struct Node {
        std::uint32_t previous;
        std::uint32_t next;
        Rank rank;
        Rank pair;  ///< what this and the next merge into
    };

    const Vocabulary& vocabulary_;
    std::vector<Rank> out_;
    std::vector<Node> nodes_;
    std::vector<std::uint64_t> heap_;
    std::uint64_t steps_ = 0;
};

}  // namespace leeway::tokens
