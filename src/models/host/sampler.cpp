#include "models/host/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <queue>

namespace leeway::models {
namespace {

// Below this weight (e^-34) a token cannot be drawn: a vocabulary of a million such tokens has less
// mass than one step of the 53-bit random number.
constexpr float kNegligible = -34.0F;
// Where the search for the head of the distribution starts; nearly always it already holds top-p.
constexpr float kHead = -9.0F;

}  // namespace

std::int32_t arg_max(std::span<const float> values) noexcept {
    // Two passes that the compiler vectorises beat one with a data-dependent index.
    float best = values[0];
    for (const float value : values) best = value > best ? value : best;
    const auto at = std::find(values.begin(), values.end(), best);
    return at == values.end() ? 0 : static_cast<std::int32_t>(at - values.begin());
}

float log_sum_exp(std::span<const float> values) noexcept {
    const float best = *std::max_element(values.begin(), values.end());
    double sum = 0;
    for (const float value : values) sum += static_cast<double>(std::exp(value - best));
    return best + static_cast<float>(std::log(sum));
}

std::vector<std::pair<std::int32_t, float>> largest(std::span<const float> values,
                                                    std::size_t count) {
    using Entry = std::pair<float, std::int32_t>;
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> heap;  // smallest kept on top
    for (std::size_t i = 0; i < values.size() && count > 0; ++i) {
        if (heap.size() == count && values[i] <= heap.top().first) continue;
        if (heap.size() == count) heap.pop();
        heap.emplace(values[i], static_cast<std::int32_t>(i));
    }
    std::vector<std::pair<std::int32_t, float>> result(heap.size());
    for (auto entry = result.rbegin(); entry != result.rend(); ++entry, heap.pop()) {
        *entry = {heap.top().second, heap.top().first};
    }
    return result;
}

Sampler::Sampler(const Sampling& options, std::uint32_t seed)
    : temperature_(options.temperature),
      top_p_(options.top_p),
      min_p_(options.min_p),
      top_k_(options.top_k > 0 ? static_cast<std::size_t>(options.top_k) : 0),
      frequency_penalty_(options.frequency_penalty),
      presence_penalty_(options.presence_penalty),
      bias_(options.logit_bias),
      random_state_(seed) {}

std::int32_t Sampler::sample(std::span<float> logits) {
    adjust(logits);
    const std::int32_t token = temperature_ <= 0 || top_k_ == 1 ? arg_max(logits) : draw(logits);
    if (frequency_penalty_ != 0 || presence_penalty_ != 0) ++counts_[token];
    return token;
}

void Sampler::adjust(std::span<float> logits) const noexcept {
    for (const auto& [token, bias] : bias_) logits[static_cast<std::size_t>(token)] += bias;
    for (const auto& [token, count] : counts_) {
        logits[static_cast<std::size_t>(token)] -=
            static_cast<float>(count) * frequency_penalty_ + presence_penalty_;
    }
}

void Sampler::collect(std::span<const float> logits, float best, float floor) {
    const float inverse = 1.0F / temperature_;
    const float cut = best + floor * temperature_;
    candidates_.clear();
    for (std::size_t i = 0; i < logits.size(); ++i) {
        if (logits[i] < cut) continue;
        candidates_.push_back(
            {static_cast<std::int32_t>(i), std::exp((logits[i] - best) * inverse)});
    }
}

std::int32_t Sampler::draw(std::span<const float> logits) {
    const float best = *std::max_element(logits.begin(), logits.end());
    if (!std::isfinite(best)) return arg_max(logits);
    // Nothing may be left out before the mass is known, unless min-p drops it in any case.
    const float floor = min_p_ > 0 ? std::max(kNegligible, std::log(min_p_)) : kNegligible;
    const auto heavier = [](const Candidate& a, const Candidate& b) {
        return a.weight > b.weight;
    };
    if (top_k_ == 0 && top_p_ >= 1) {
        collect(logits, best, floor);
        return pick(candidates_);
    }
    collect(logits, best, kNegligible);
    if (top_k_ > 0 && top_k_ < candidates_.size()) {
        std::nth_element(candidates_.begin(),
                         candidates_.begin() + static_cast<std::ptrdiff_t>(top_k_),
                         candidates_.end(), heavier);
        candidates_.resize(top_k_);
    }
    double total = 0;
    for (const Candidate& candidate : candidates_) total += static_cast<double>(candidate.weight);
    const double wanted = static_cast<double>(top_p_) * total;
    // Sorts only the head when that holds enough mass: most of the vocabulary never gets sorted.
    const float head_weight = std::exp(kHead);
    auto head = std::partition(candidates_.begin(), candidates_.end(),
                               [&](const Candidate& c) { return c.weight >= head_weight; });
    double head_mass = 0;
    for (auto at = candidates_.begin(); at != head; ++at)
        head_mass += static_cast<double>(at->weight);
    if (head_mass < wanted) head = candidates_.end();
    std::sort(candidates_.begin(), head, heavier);
    double mass = 0;
    std::size_t kept = 0;
    const auto sorted = static_cast<std::size_t>(head - candidates_.begin());
    while (kept < sorted && (kept == 0 || (mass < wanted && candidates_[kept].weight >= min_p_))) {
        mass += static_cast<double>(candidates_[kept++].weight);
    }
    return pick(std::span(candidates_).first(kept));
}

std::int32_t Sampler::pick(std::span<const Candidate> candidates) noexcept {
    double total = 0;
    for (const Candidate& candidate : candidates) total += static_cast<double>(candidate.weight);
    double left = uniform() * total;
    for (const Candidate& candidate : candidates) {
        left -= static_cast<double>(candidate.weight);
        if (left < 0) return candidate.id;
    }
    return candidates.back().id;  // rounding
}

double Sampler::uniform() noexcept {
    // splitmix64 (Steele, Lea & Flood 2014): the same numbers on every platform and library.
    random_state_ += 0x9E3779B97F4A7C15ULL;
    std::uint64_t z = random_state_;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
    z ^= z >> 31U;
    return static_cast<double>(z >> 11U) * 0x1.0p-53;
}

}  // namespace leeway::models
