#include "methods/router/predict/router_memory.hpp"

#include <algorithm>
#include <span>
#include <utility>

namespace leeway::router {

double SharedPacer::lambda() const {
    const std::lock_guard lock(mutex_);
    return pacer_.lambda();
}

void SharedPacer::settle(double cost) {
    const std::lock_guard lock(mutex_);
    pacer_.settle(cost);
}

std::vector<Prediction> PredictionMemo::find(const Hash128& asked) {
    Shard& shard = shards_[asked.low % kShards];
    const std::lock_guard lock(shard.mutex);
    if (shard.entries.empty()) return {};
    const Entry& entry = shard.entries[asked.high % kEntries];
    return entry.asked == asked ? entry.told : std::vector<Prediction>();
}

void PredictionMemo::put(const Hash128& asked, std::vector<Prediction> told) {
    Shard& shard = shards_[asked.low % kShards];
    const std::lock_guard lock(shard.mutex);
    if (shard.entries.empty()) shard.entries.resize(kEntries);
    shard.entries[asked.high % kEntries] = {asked, std::move(told)};
}

std::optional<RouterMemory::Answered> RouterMemory::find(const Hash128& conversation) {
    Shard& shard = shards_[conversation.low % kShards];
    const std::lock_guard lock(shard.mutex);
    if (shard.entries.empty()) return std::nullopt;
    const auto set = std::span(shard.entries).subspan(conversation.high % kSets * kWays, kWays);
    const auto found = std::ranges::find_if(set, [&](const Entry& entry) {
        return entry.used > 0 && entry.conversation == conversation;
    });
    if (found == set.end()) return std::nullopt;
    found->used = ++shard.clock;
    return found->answered;
}

void RouterMemory::put(const Hash128& conversation, Answered answered) {
    Shard& shard = shards_[conversation.low % kShards];
    const std::lock_guard lock(shard.mutex);
    if (shard.entries.empty()) shard.entries.resize(kSets * kWays);
    const auto set = std::span(shard.entries).subspan(conversation.high % kSets * kWays, kWays);
    auto place = std::ranges::find_if(set, [&](const Entry& entry) {
        return entry.used > 0 && entry.conversation == conversation;
    });
    if (place == set.end()) place = std::ranges::min_element(set, {}, &Entry::used);
    place->conversation = conversation;
    place->answered = std::move(answered);
    place->used = ++shard.clock;
}

std::shared_ptr<SharedPacer> RouterMemory::pacer(const std::string& route, const std::string& terms,
                                                 const std::function<cascade::Pacer()>& make) {
    const std::lock_guard lock(mutex_);
    Paced& paced = pacers_[route];
    if (paced.pacer == nullptr || paced.terms != terms)
        paced = {terms, std::make_shared<SharedPacer>(make())};
    return paced.pacer;
}

}  // namespace leeway::router
