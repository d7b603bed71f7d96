#include "store/vectors/rows.hpp"

#include "store/vectors/encoding.hpp"
#include "store/vectors/kernel.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>
#include <utility>

namespace leeway::store::vectors {
namespace {

// A node of the table of ids and its share of the buckets.
constexpr std::uint64_t kTableBytes = 48;

struct Free {
    void operator()(void* memory) const noexcept { std::free(memory); }
};
/// Without zeroing: pages of a large chunk that hold no row yet take no memory.
template <class T>
using Memory = std::unique_ptr<T[], Free>;
template <class T>
Memory<T> allocate(std::size_t count) {
    constexpr std::size_t kLine = 64;
    const std::size_t bytes = (count * sizeof(T) + kLine - 1) / kLine * kLine;
    return Memory<T>(static_cast<T*>(std::aligned_alloc(kLine, bytes)));
}

}  // namespace

struct Rows::Chunk {
    Memory<float> full;  // Precision::kFloat32
    Memory<std::uint16_t> half;  // Precision::kInt8
    Memory<std::uint8_t> codes;  // Precision::kInt8
    Memory<std::uint64_t> ids;
    Memory<std::uint64_t> stamps;
    std::unique_ptr<std::unique_ptr<const std::string>[]> payloads;
    std::unique_ptr<std::atomic<std::uint32_t>[]> used;
    // The first row that a reader must know of to see this one dead: 0 when it was removed, that of its successor when
    // it was replaced, so that each reader sees exactly one of the two; kNone while it lives.
    std::unique_ptr<std::atomic<std::uint32_t>[]> ends;
};

Rows::Rows(std::size_t dimension, Precision precision)
    : length_(padded(dimension)),
      precision_(precision),
      bytes_(sizeof(Rows) + sizeof(std::array<Shard, kShards>)),
      shards_(std::make_unique<std::array<Shard, kShards>>()) {}

Rows::~Rows() {
    for (auto& chunk : chunks_) delete chunk.load(std::memory_order_relaxed);
}

Rows::Place Rows::place(std::uint32_t row) const noexcept {
    const std::uint32_t number = row / kFirstChunk + 1;
    const auto chunk = static_cast<std::size_t>(std::bit_width(number)) - 1;
    const std::uint32_t first = kFirstChunk * ((std::uint32_t{1} << chunk) - 1);
    return {chunks_[chunk].load(std::memory_order_acquire), row - first};
}

Rows::Block Rows::block(std::uint32_t row, std::uint32_t end) const noexcept {
    const auto [chunk, at] = place(row);
    // A chunk holds as many rows as all before it and the first one together.
    const std::uint32_t size = row - static_cast<std::uint32_t>(at) + kFirstChunk;
    const std::uint32_t count = std::min(end - row, size - static_cast<std::uint32_t>(at));
    Block block{.first = row, .count = count, .ids = chunk->ids.get() + at};
    block.ends = chunk->ends.get() + at;
    if (precision_ == Precision::kFloat32) {
        block.full = chunk->full.get() + at * length_;
    } else {
        block.codes = chunk->codes.get() + at * code_bytes(length_);
    }
    return block;
}

Rows::Chunk* Rows::chunk_for(std::uint32_t row) {
    const std::uint32_t number = row / kFirstChunk + 1;
    const auto index = static_cast<std::size_t>(std::bit_width(number)) - 1;
    if (index >= kMostChunks) return nullptr;
    if (Chunk* const there = chunks_[index].load(std::memory_order_relaxed); there != nullptr) {
        return there;
    }
    const std::size_t size = std::size_t{kFirstChunk} << index;
    auto chunk = std::make_unique<Chunk>();
    bool whole = true;
    if (precision_ == Precision::kFloat32) {
        chunk->full = allocate<float>(size * length_);
        whole = chunk->full != nullptr;
    } else {
        chunk->half = allocate<std::uint16_t>(size * length_);
        chunk->codes = allocate<std::uint8_t>(size * code_bytes(length_));
        whole = chunk->half != nullptr && chunk->codes != nullptr;
    }
    chunk->ids = allocate<std::uint64_t>(size);
    chunk->stamps = allocate<std::uint64_t>(size);
    if (!whole || chunk->ids == nullptr || chunk->stamps == nullptr) return nullptr;
    chunk->payloads = std::make_unique<std::unique_ptr<const std::string>[]>(size);
    chunk->used = std::make_unique<std::atomic<std::uint32_t>[]>(size);
    chunk->ends = std::make_unique<std::atomic<std::uint32_t>[]>(size);
    for (std::size_t i = 0; i < size; ++i) chunk->ends[i].store(kNone, std::memory_order_relaxed);
    bytes_.fetch_add(size * (sizeof(void*) + 2 * sizeof(std::uint32_t)), std::memory_order_relaxed);
    Chunk* const made = chunk.release();
    chunks_[index].store(made, std::memory_order_release);
    return made;
}

Rows::Shard& Rows::shard(std::uint64_t id) const noexcept {
    // The upper bits of a multiplication by the golden ratio: ids may be small or evenly spaced.
    constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15U;
    return (*shards_)[(id * kGolden) >> 60U];
}

void Rows::publish(std::uint64_t id, std::uint32_t row, std::uint64_t payload_bytes) {
    const std::uint64_t vector_bytes = precision_ == Precision::kFloat32
                                           ? length_ * sizeof(float)
                                           : length_ * sizeof(std::uint16_t) + code_bytes(length_);
    bytes_.fetch_add(vector_bytes + 2 * sizeof(std::uint64_t) + kTableBytes + payload_bytes,
                     std::memory_order_relaxed);
    live_.fetch_add(1, std::memory_order_relaxed);
    Shard& of = shard(id);
    const std::scoped_lock lock(of.mutex);
    const auto [known, fresh] = of.rows.try_emplace(id, row);
    if (!fresh) {
        const auto [chunk, at] = place(std::exchange(known->second, row));
        chunk->ends[at].store(row, std::memory_order_relaxed);  // nobody sees the new one yet
        live_.fetch_sub(1, std::memory_order_relaxed);
    }
    count_.store(row + 1, std::memory_order_release);
}

bool Rows::append(New entry, std::span<const float> row) {
    const std::uint32_t at_row = count_.load(std::memory_order_relaxed);
    Chunk* const chunk = chunk_for(at_row);
    if (chunk == nullptr) return false;
    const std::size_t at = place(at_row).at;
    if (precision_ == Precision::kFloat32) {
        std::copy(row.begin(), row.end(), chunk->full.get() + at * length_);
    } else {
        std::uint16_t* const half = chunk->half.get() + at * length_;
        std::transform(row.begin(), row.end(), half, to_half);
        // From what is kept: so that a row that comes back from disk has the same code.
        std::vector<float> kept(row.size());
        std::transform(half, half + row.size(), kept.begin(), from_half);
        encode(kept, chunk->codes.get() + at * code_bytes(length_));
    }
    chunk->ids[at] = entry.id;
    chunk->stamps[at] = entry.stamp;
    chunk->used[at].store(entry.used_unix_s, std::memory_order_relaxed);
    std::uint64_t payload_bytes = 0;
    if (!entry.payload.empty()) {
        payload_bytes = entry.payload.capacity() + sizeof(std::string) + 2 * sizeof(void*);
        chunk->payloads[at] = std::make_unique<const std::string>(std::move(entry.payload));
    }
    publish(entry.id, at_row, payload_bytes);
    return true;
}

bool Rows::append_from(const Rows& other, std::uint32_t row) {
    const std::uint32_t at_row = count_.load(std::memory_order_relaxed);
    Chunk* const chunk = chunk_for(at_row);
    if (chunk == nullptr) return false;
    const std::size_t at = place(at_row).at;
    const auto [from, from_at] = other.place(row);
    if (precision_ == Precision::kFloat32) {
        std::copy_n(from->full.get() + from_at * length_, length_,
                    chunk->full.get() + at * length_);
    } else {
        std::copy_n(from->half.get() + from_at * length_, length_,
                    chunk->half.get() + at * length_);
        const std::size_t size = code_bytes(length_);
        std::copy_n(from->codes.get() + from_at * size, size, chunk->codes.get() + at * size);
    }
    chunk->ids[at] = from->ids[from_at];
    chunk->stamps[at] = from->stamps[from_at];
    chunk->used[at].store(from->used[from_at].load(std::memory_order_relaxed),
                          std::memory_order_relaxed);
    std::uint64_t payload_bytes = 0;
    if (from->payloads[from_at]) {
        chunk->payloads[at] = std::make_unique<const std::string>(*from->payloads[from_at]);
        payload_bytes = from->payloads[from_at]->size() + sizeof(std::string) + 2 * sizeof(void*);
    }
    publish(chunk->ids[at], at_row, payload_bytes);
    return true;
}

void Rows::kill(std::uint32_t row) {
    const auto [chunk, at] = place(row);
    Shard& of = shard(chunk->ids[at]);
    const std::scoped_lock lock(of.mutex);
    if (chunk->ends[at].exchange(0, std::memory_order_relaxed) != kNone) return;
    live_.fetch_sub(1, std::memory_order_relaxed);
    const auto known = of.rows.find(chunk->ids[at]);
    if (known != of.rows.end() && known->second == row) of.rows.erase(known);
}

std::uint32_t Rows::find(std::uint64_t id) const {
    const Shard& of = shard(id);
    const std::scoped_lock lock(of.mutex);
    const auto known = of.rows.find(id);
    return known == of.rows.end() ? kNone : known->second;
}

bool Rows::is_dead(std::uint32_t row, std::uint32_t count) const noexcept {
    const auto [chunk, at] = place(row);
    return chunk->ends[at].load(std::memory_order_relaxed) < count;
}

std::uint64_t Rows::id(std::uint32_t row) const noexcept {
    const auto [chunk, at] = place(row);
    return chunk->ids[at];
}

std::uint64_t Rows::stamp(std::uint32_t row) const noexcept {
    const auto [chunk, at] = place(row);
    return chunk->stamps[at];
}

std::uint32_t Rows::used(std::uint32_t row) const noexcept {
    const auto [chunk, at] = place(row);
    return chunk->used[at].load(std::memory_order_relaxed);
}

void Rows::note_use(std::uint32_t row, std::uint32_t unix_s) const noexcept {
    const auto [chunk, at] = place(row);
    chunk->used[at].store(unix_s, std::memory_order_relaxed);
}

std::string Rows::payload(std::uint32_t row) const {
    const auto [chunk, at] = place(row);
    return chunk->payloads[at] ? *chunk->payloads[at] : std::string();
}

float Rows::cosine(std::uint32_t row, const float* query) const noexcept {
    const auto [chunk, at] = place(row);
    return precision_ == Precision::kFloat32
               ? kernel().dot_f32(query, chunk->full.get() + at * length_, length_)
               : kernel().dot_f16(query, chunk->half.get() + at * length_, length_);
}

const std::uint8_t* Rows::code(std::uint32_t row, std::vector<std::uint8_t>& scratch) const {
    const auto [chunk, at] = place(row);
    if (precision_ == Precision::kInt8) return chunk->codes.get() + at * code_bytes(length_);
    scratch.resize(code_bytes(length_));
    encode({chunk->full.get() + at * length_, length_}, scratch.data());
    return scratch.data();
}

}  // namespace leeway::store::vectors
