#pragma once

#include "store/vectors/vector_index.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace leeway::store::vectors {

/// The vectors of an index with what belongs to them, in the order in which they came: rows come at the end and die,
/// and never change. One writer at a time; any number of readers beside it, without a lock but for `find`.
class Rows {
public:
    static constexpr std::uint32_t kNone = ~std::uint32_t{0};

    Rows(std::size_t dimension, Precision precision);
    Rows(const Rows&) = delete;
    Rows& operator=(const Rows&) = delete;
    ~Rows();

    // ---- writer
    struct New {
        std::uint64_t id = 0;
        std::uint64_t stamp = 0;
        std::uint32_t used_unix_s = 0;
        std::string payload;
    };
    /// `row`: see to_row. The row that had this id dies for those who see the new one. False: there is no room, for numbers of rows or for memory.
    [[nodiscard]] bool append(New entry, std::span<const float> row);
    /// The same with a row of another `Rows` of the same kind.
    [[nodiscard]] bool append_from(const Rows& other, std::uint32_t row);
    void kill(std::uint32_t row);

    // ---- any thread; rows before `count`
    [[nodiscard]] std::uint32_t count() const noexcept {
        return count_.load(std::memory_order_acquire);
    }
    [[nodiscard]] std::uint32_t live() const noexcept {
        return live_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t bytes() const noexcept {
        return bytes_.load(std::memory_order_relaxed);
    }
    /// The living row of this id, or kNone.
    [[nodiscard]] std::uint32_t find(std::uint64_t id) const;
    /// To a reader that began at `count`.
    [[nodiscard]] bool is_dead(std::uint32_t row, std::uint32_t count) const noexcept;
    [[nodiscard]] std::uint64_t id(std::uint32_t row) const noexcept;
    [[nodiscard]] std::uint64_t stamp(std::uint32_t row) const noexcept;
    [[nodiscard]] std::uint32_t used(std::uint32_t row) const noexcept;
    void note_use(std::uint32_t row, std::uint32_t unix_s) const noexcept;
    /// Empty: it has none.
    [[nodiscard]] std::string payload(std::uint32_t row) const;
    /// To a query made by to_row.
    [[nodiscard]] float cosine(std::uint32_t row, const float* query) const noexcept;
    /// Its int8 code; made into `scratch` where none is kept.
    [[nodiscard]] const std::uint8_t* code(std::uint32_t row,
                                           std::vector<std::uint8_t>& scratch) const;

    /// Neighbouring rows, as a scan reads them.
    struct Block {
        std::uint32_t first = 0;
        std::uint32_t count = 0;
        const std::uint64_t* ids = nullptr;
        const std::atomic<std::uint32_t>* ends =
            nullptr;  ///< see is_dead: dead where it is less than `count`
        const float* full = nullptr;  ///< null for Precision::kInt8
        const std::uint8_t* codes = nullptr;  ///< null for Precision::kFloat32
    };
    /// The block that begins at `row` and ends before `end` or earlier.
    [[nodiscard]] Block block(std::uint32_t row, std::uint32_t end) const noexcept;

    [[nodiscard]] std::size_t length() const noexcept { return length_; }  ///< of a row, padded
    [[nodiscard]] Precision precision() const noexcept { return precision_; }

private:
    struct Chunk;
    struct Place {
        const Chunk* chunk;
        std::size_t at;
    };
    // Chunks double in size, so that few of them hold any number and a small index takes little.
    static constexpr std::uint32_t kFirstChunk = 64;
    static constexpr std::size_t kMostChunks = 24;  // a thousand million rows
    static constexpr std::size_t kShards = 16;
    struct Shard {
        mutable std::mutex mutex;
        std::unordered_map<std::uint64_t, std::uint32_t> rows;
    };

    [[nodiscard]] Place place(std::uint32_t row) const noexcept;
    [[nodiscard]] Chunk* chunk_for(std::uint32_t row);
    [[nodiscard]] Shard& shard(std::uint64_t id) const noexcept;
    void publish(std::uint64_t id, std::uint32_t row, std::uint64_t payload_bytes);

    const std::size_t length_;
    const Precision precision_;
    std::array<std::atomic<Chunk*>, kMostChunks> chunks_{};
    std::atomic<std::uint32_t> count_{0};
    std::atomic<std::uint32_t> live_{0};
    std::atomic<std::uint64_t> bytes_;
    std::unique_ptr<std::array<Shard, kShards>> shards_;
};

}  // namespace leeway::store::vectors
