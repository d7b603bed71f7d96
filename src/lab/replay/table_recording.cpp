#include "lab/replay/table_recording.hpp"

#include "base/hash.hpp"
#include "lab/evaluate/cascade_data.hpp"
#include "methods/router/predict/route_policy.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::lab {
namespace {

RecordedAnswer answer_of(const ModelOutcomes& model, std::size_t query) {
    RecordedAnswer out;
    if (!model.known(query)) return out;
    out.asked = true;
    out.quality = static_cast<double>(model.quality[query]);
    if (model.has_cost) out.cost_usd = router::in_usd(model.cost[query]);
    if (const auto mean = model.logprob(query)) out.mean_logprob = static_cast<double>(*mean);
    return out;
}

/// The same text has the same, in whatever table.
RequestId id_of(std::string_view text) {
    RequestId out;
    const Sha256 hash = sha256(text);
    std::copy_n(hash.begin(), out.bytes.size(), out.bytes.begin());
    return out;
}

}  // namespace

Result<std::vector<RecordedRequest>> recorded_requests(const OutcomeTable& table,
                                                       std::span<const std::string> models,
                                                       const models::VectorTable* vectors) {
    std::vector<const ModelOutcomes*> columns;
    for (const std::string& name : models) {
        const auto found = table.model(name);
        if (!found) {
            std::string known;
            for (const ModelOutcomes& one : table.models)
                known += (known.empty() ? "" : ", ") + one.model;
            return fail(ErrorCode::kConfig, fmt::format("the recording has no model '{}'", name),
                        "it has " + known + "; --models says what it calls those of the policy");
        }
        columns.push_back(&table.models[*found]);
    }
    const std::vector<std::string> tasks = table.tasks();
    std::vector<RecordedRequest> out;
    out.reserve(table.queries.size());
    for (std::size_t q = 0; q < table.queries.size(); ++q) {
        const OutcomeQuery& query = table.queries[q];
        RecordedRequest& request = out.emplace_back();
        request.id = id_of(query.text);
        request.text = query.text;
        if (vectors != nullptr) request.vector = vectors->row(q);
        request.stratum =
            static_cast<std::uint32_t>(std::ranges::find(tasks, query.task) - tasks.begin());
        request.tokens_in = asked_length(table, *columns.front(), q);
        for (const ModelOutcomes* model : columns) request.answers.push_back(answer_of(*model, q));
    }
    return out;
}

}  // namespace leeway::lab
