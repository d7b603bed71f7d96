#include "lab/evaluate/cache_stream.hpp"

#include <numeric>
#include <optional>
#include <utility>

namespace leeway::lab {

using namespace agent_cache::semantic;  // NOLINT(google-build-using-namespace)

std::vector<std::uint32_t> shuffled(std::uint32_t n, std::uint64_t seed) {
    std::vector<std::uint32_t> out(n);
    std::iota(out.begin(), out.end(), 0U);
    Chances chances(seed);
    for (std::uint32_t i = n; i > 1; --i) std::swap(out[i - 1], out[chances.below(i)]);
    return out;
}

namespace {

struct Entry {
    std::uint32_t answer = 0;
    EntryRecord record;
};

/// The cache's store, without vectors of its own.
class Store {
public:
    explicit Store(std::size_t texts) : entry_of_(texts, kNone) {}
    static constexpr std::uint32_t kNone = 0xFFFFFFFF;

    [[nodiscard]] bool has(std::uint32_t text) const noexcept { return entry_of_[text] != kNone; }
    [[nodiscard]] std::uint32_t entry_of(std::uint32_t text) const noexcept {
        return entry_of_[text];
    }
    [[nodiscard]] Entry& entry(std::uint32_t index) noexcept { return entries_[index]; }
    [[nodiscard]] std::span<const std::uint32_t> texts() const noexcept { return texts_; }
    void keep(std::uint32_t text, std::uint32_t answer) {
        add_question(text, static_cast<std::uint32_t>(entries_.size()));
        entries_.push_back({answer, {}});
    }
    void add_question(std::uint32_t text, std::uint32_t entry) {
        entry_of_[text] = entry;
        texts_.push_back(text);
    }

private:
    std::vector<std::uint32_t> entry_of_;
    std::vector<Entry> entries_;
    std::vector<std::uint32_t> texts_;
};

}  // namespace

StreamOutcome play_cache(const CacheQuestions& data, const NeighbourLists& lists,
                         std::span<const std::uint32_t> order, const HitModel& model,
                         const RiskSettings& settings, std::uint64_t seed, RiskState* state,
                         std::vector<LabelledInputs>* samples) {
    RiskController controller(model, settings);
    Store store(data.texts.size());
    Chances chances(seed ^ 0xA0D17ULL);
    const auto stored = [&](std::uint32_t text) {
        return store.has(text);
    };
    StreamOutcome out;
    std::vector<Near> nears;
    std::vector<Neighbour> neighbours;
    for (const std::uint32_t asked : order) {
        ++out.requests;
        nears.clear();
        neighbours.clear();
        lists.nearest(asked, kNeighbours, stored, store.texts(), nears);
        for (const Near& near : nears) {
            const std::uint32_t entry = store.entry_of(near.text);
            neighbours.push_back(
                {&data.questions[near.text], entry, near.cosine, store.entry(entry).record});
        }
        const auto candidate = model.judge(data.questions[asked], neighbours);
        if (!candidate) {
            ++out.far;
            store.keep(asked, data.answers[asked]);
            continue;
        }
        const Decision decision = controller.decide(*candidate, chances.uniform());
        const auto index = static_cast<std::uint32_t>(candidate->entry);
        Entry& entry = store.entry(index);
        const bool right = entry.answer == data.answers[asked];
        if (decision.action == Action::kServe || decision.action == Action::kServeAndAudit) {
            out.hit(right, order.size());
            if (decision.action == Action::kServe) continue;
            ++out.audited;
        }
        ++out.verdicts;
        if (decision.vetoed) {
            ++out.vetoed;
            out.vetoed_right += right ? 1 : 0;
        }
        if (samples != nullptr && candidate->veto == Veto::kNone) {
            samples->push_back({candidate->inputs, right});
        }
        controller.record(decision, right);
        if (!decision.vetoed) entry.record.learn(right, decision.probability);
        if (right) {
            store.add_question(asked, index);
        } else {
            store.keep(asked, data.answers[asked]);
        }
    }
    if (state != nullptr) *state = controller.state();
    return out;
}

}  // namespace leeway::lab
