#pragma once

#include "base/hash.hpp"

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

namespace leeway::models {

struct Hash128Hasher {
    std::size_t operator()(const Hash128& key) const noexcept {
        return static_cast<std::size_t>(key.low);
    }
};

/// Vectors of texts that came before, by the process' own hash of the text, in so many bytes; the one that was not
/// asked for longest goes first. One thread at a time.
class VectorMemo {
public:
    using Vector = std::shared_ptr<const std::vector<float>>;

    explicit VectorMemo(std::uint64_t most_bytes) noexcept : most_(most_bytes) {}
    /// Null: it is not there.
    [[nodiscard]] Vector find(const Hash128& key);
    /// Replaces what is there.
    void put(const Hash128& key, Vector vector);
    void clear() noexcept;
    /// From now on.
    void limit(std::uint64_t most_bytes);

    [[nodiscard]] std::size_t size() const noexcept { return places_.size(); }
    /// With what the tables take.
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

private:
    struct Entry {
        Hash128 key;
        Vector vector;
    };
    [[nodiscard]] static std::uint64_t bytes_of(const Vector& vector) noexcept;
    void shrink();

    std::uint64_t most_;
    std::uint64_t bytes_ = 0;
    std::list<Entry> entries_;  // the newest first
    std::unordered_map<Hash128, std::list<Entry>::iterator, Hash128Hasher> places_;
};

}  // namespace leeway::models
