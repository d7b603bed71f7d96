#include "methods/router/semantic/bm25.hpp"

#include "methods/router/semantic/words.hpp"

#include <algorithm>
#include <cmath>

namespace leeway::router {
namespace {

// Lucene's form, which is never negative.
double rarity_of(std::size_t all, std::size_t having) {
    const auto n = static_cast<double>(all);
    const auto df = static_cast<double>(having);
    return std::log1p((n - df + 0.5) / (df + 0.5));
}

}  // namespace

Bm25::Bm25(std::span<const std::string> utterances, double k1, double b)
    : count_(utterances.size()), unknown_(static_cast<float>(rarity_of(utterances.size(), 0))) {
    struct Use {
        std::uint32_t utterance = 0;
        std::uint32_t times = 0;
    };
    std::unordered_map<std::string, std::vector<Use>> uses;
    std::vector<double> lengths(count_);
    double total = 0;
    for (std::size_t i = 0; i < count_; ++i) {
        const auto id = static_cast<std::uint32_t>(i);
        for (std::string& word : words_of(utterances[i])) {
            lengths[i] += 1;
            std::vector<Use>& of_word = uses[std::move(word)];
            if (of_word.empty() || of_word.back().utterance != id) of_word.push_back({id, 0});
            ++of_word.back().times;
        }
        total += lengths[i];
    }
    const double average = count_ == 0 ? 1 : std::max(1.0, total / static_cast<double>(count_));
    for (const auto& [word, of_word] : uses) {
        const Word entry{static_cast<float>(rarity_of(count_, of_word.size())),
                         static_cast<std::uint32_t>(postings_.size()),
                         static_cast<std::uint32_t>(of_word.size())};
        words_.emplace(word, entry);
        for (const Use& use : of_word) {
            // A longer utterance has the larger norm, and so the smaller weight.
            const double norm = k1 * (1 - b + b * lengths[use.utterance] / average);
            const double times = use.times;
            const double weight = times * (k1 + 1) / (times + norm);
            postings_.push_back({use.utterance, static_cast<float>(weight)});
        }
    }
}

void Bm25::score(std::string_view text, std::span<float> shares) const {
    std::fill(shares.begin(), shares.end(), 0.0F);
    std::vector<std::string> asked = words_of(text);
    std::sort(asked.begin(), asked.end());
    asked.erase(std::unique(asked.begin(), asked.end()), asked.end());
    float all = 0;
    for (const std::string& word : asked) {
        const auto found = words_.find(word);
        if (found == words_.end()) {
            all += unknown_;
            continue;
        }
        const Word& entry = found->second;
        all += entry.rarity;
        for (const Posting& posting : std::span(postings_).subspan(entry.first, entry.count))
            shares[posting.utterance] += entry.rarity * posting.weight;
    }
    if (all <= 0) return;
    for (float& share : shares) share /= all;
}

}  // namespace leeway::router
