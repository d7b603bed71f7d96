#include "models/embed/vector_memo.hpp"

#include <utility>

namespace leeway::models {

std::uint64_t VectorMemo::bytes_of(const Vector& vector) noexcept {
    constexpr std::uint64_t kTables = 200;  // list node, hash node, both control blocks
    return vector->size() * sizeof(float) + kTables;
}

VectorMemo::Vector VectorMemo::find(const Hash128& key) {
    const auto place = places_.find(key);
    if (place == places_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, place->second);
    return place->second->vector;
}

void VectorMemo::put(const Hash128& key, Vector vector) {
    if (const auto place = places_.find(key); place != places_.end()) {
        bytes_ -= bytes_of(place->second->vector);
        entries_.erase(place->second);
        places_.erase(place);
    }
    bytes_ += bytes_of(vector);
    entries_.push_front({key, std::move(vector)});
    places_.emplace(key, entries_.begin());
    shrink();
}

void VectorMemo::clear() noexcept {
    places_.clear();
    entries_.clear();
    bytes_ = 0;
}

void VectorMemo::limit(std::uint64_t most_bytes) {
    most_ = most_bytes;
    shrink();
}

void VectorMemo::shrink() {
    while (bytes_ > most_ && !entries_.empty()) {
        bytes_ -= bytes_of(entries_.back().vector);
        places_.erase(entries_.back().key);
        entries_.pop_back();
    }
}

}  // namespace leeway::models
