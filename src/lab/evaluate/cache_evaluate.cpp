#include "lab/evaluate/cache_evaluate.hpp"

#include "store/vectors/kernel.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace leeway::lab {
namespace {

SeedSpread spread_of(std::vector<double> values) {
    SeedSpread out;
    if (values.empty()) return out;
    std::sort(values.begin(), values.end());
    const double n = static_cast<double>(values.size());
    out.mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
    const auto at = [&](double share) {
        return values[static_cast<std::size_t>(std::lround(share * (n - 1)))];
    };
    out.low = at(0.025);
    out.high = at(0.975);
    return out;
}

CacheFigures figures_of(std::string rule, const std::vector<StreamOutcome>& streams,
                        double max_error) {
    CacheFigures out;
    out.rule = std::move(rule);
    std::vector<double> hits;
    std::vector<double> late;
    std::vector<double> errors;
    StreamOutcome all;
    for (const StreamOutcome& one : streams) {
        const double requests = static_cast<double>(std::max<std::uint64_t>(1, one.requests));
        hits.push_back(static_cast<double>(one.hits) / requests);
        late.push_back(2 * static_cast<double>(one.late_hits) / requests);
        errors.push_back(one.error_of_hits());
        out.streams_within += one.error_of_hits() <= max_error ? 1 : 0;
        out.streams_within_requests += one.error_of_requests() <= max_error ? 1 : 0;
        all.requests += one.requests;
        all.hits += one.hits;
        all.wrong += one.wrong;
        all.audited += one.audited;
        all.verdicts += one.verdicts;
        all.vetoed += one.vetoed;
    }
    out.hit_rate = spread_of(std::move(hits));
    out.late_hit_rate = spread_of(std::move(late));
    out.error_rate = spread_of(std::move(errors));
    const auto share = [](std::uint64_t part, std::uint64_t whole) {
        return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
    };
    out.error_rate.mean = share(all.wrong, all.hits);
    out.error_per_request = share(all.wrong, all.requests);
    out.audited = share(all.audited, all.hits);
    out.upstream_calls = share(all.requests - all.hits + all.audited, all.requests);
    out.verdicts = share(all.verdicts, all.requests);
    out.vetoed = share(all.vetoed, all.requests);
    return out;
}

/// The threshold with the most hits of those that meet the bound on the first half of the stream; above 1: none.
float best_threshold(const CacheQuestions& data, const NeighbourLists& lists,
                     std::span<const std::uint32_t> order, double max_error) {
    float best = 2;
    std::uint64_t most = 0;
    constexpr int kLowest = 50;
    for (int percent = kLowest; percent <= 100; ++percent) {
        const float threshold = static_cast<float>(percent) / 100;
        const StreamOutcome half =
            play_fixed(data, lists, order.first(order.size() / 2), threshold);
        if (half.error_of_hits() > max_error || half.hits <= most) continue;
        most = half.hits;
        best = threshold;
    }
    return best;
}

}  // namespace

NearPairs judge_pairs(const CacheFile& file, const agent_cache::semantic::HitModel& model,
                      double max_error) {
    using agent_cache::semantic::Veto;
    NearPairs out;
    const CacheQuestions& data = file.data;
    for (const DifferentPair& pair : file.different) {
        ++out.pairs;
        agent_cache::semantic::Neighbour kept;
        kept.question = &data.questions[pair.a];
        kept.cosine = store::vectors::dot(data.vectors.row(pair.a), data.vectors.row(pair.b));
        const auto candidate = model.judge(data.questions[pair.b], {&kept, 1});
        if (!candidate) continue;
        out.vetoed += candidate->veto != Veto::kNone ? 1 : 0;
        out.wrong_hits += candidate->probability >= 1 - max_error ? 1 : 0;
    }
    return out;
}

CacheEvaluation evaluate_cache(const CacheFile& file, const NeighbourLists& lists,
                               const agent_cache::semantic::HitModel& model, const CachePlan& plan,
                               const std::function<void(double)>& progress) {
    constexpr float kGptcacheDefault = 0.6F;
    const CacheQuestions& data = file.data;
    CacheEvaluation out;
    out.different = judge_pairs(file, model, plan.settings.max_error);
    out.max_error = plan.settings.max_error;
    out.streams = plan.seeds;
    std::vector<StreamOutcome> ours;
    std::vector<StreamOutcome> vcache;
    std::vector<StreamOutcome> gptcache;
    std::vector<StreamOutcome> fixed;
    for (std::size_t i = 0; i < plan.seeds; ++i) {
        const std::uint64_t seed = i + 1;
        auto order = shuffled(static_cast<std::uint32_t>(data.texts.size()), seed);
        if (plan.length != 0 && plan.length < order.size()) order.resize(plan.length);
        out.requests = order.size();
        ours.push_back(play_cache(data, lists, order, model, plan.settings, seed, &out.last));
        if (plan.rivals) {
            vcache.push_back(play_vcache(data, lists, order, out.max_error, seed));
            gptcache.push_back(play_fixed(data, lists, order, kGptcacheDefault));
            fixed.push_back(
                play_fixed(data, lists, order, best_threshold(data, lists, order, out.max_error)));
        }
        if (progress) progress(static_cast<double>(i + 1) / static_cast<double>(plan.seeds));
    }
    out.ours = figures_of("leeway", ours, out.max_error);
    if (plan.rivals) {
        out.rivals.push_back(figures_of("vcache", vcache, out.max_error));
        out.rivals.push_back(figures_of("gptcache", gptcache, out.max_error));
        out.rivals.push_back(figures_of("fixed threshold", fixed, out.max_error));
    }
    return out;
}

}  // namespace leeway::lab
