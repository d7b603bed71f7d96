#pragma once

#include "app/commands.hpp"
#include "app/vocabularies.hpp"
#include "lab/estimate/evaluate.hpp"
#include "lab/estimate/recorded.hpp"
#include "lab/estimate/scenario.hpp"
#include "prices/book.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>

namespace leeway::app {

/// A workload file (docs/formats/workload.md). The error's message has a line for each problem.
[[nodiscard]] Result<lab::Scenario> read_workload(const std::string& path);

/// Prices, tokenizers and recorded calls of one run of `leeway estimate`. One thread.
class EstimateSources {
public:
    /// The configuration and its price book; without a configuration the book that ./run makes.
    [[nodiscard]] static Result<EstimateSources> open(const EstimateOptions& options);

    /// The model as the configuration knows it, else as the book does. Valid as long as this object.
    [[nodiscard]] const lab::PricedModel& model(const std::string& name);
    [[nodiscard]] Tokenizers& tokenizers() noexcept { return tokenizers_; }
    /// "genai-prices 0.1.8 of 2026-09-23 (67 days old)"; empty: there is no book.
    [[nodiscard]] std::string book_text(std::int64_t now_s) const;

private:
    std::optional<Config> config_;
    std::shared_ptr<const prices::PriceBook> book_;
    std::map<std::string, lab::PricedModel> models_;
    Tokenizers tokenizers_;
};

/// Recorded calls and the time that was asked for.
struct RecordedTraffic {
    lab::Recorded recorded;
    std::optional<std::int64_t> since_us;
    std::optional<std::int64_t> until_us;
};
/// Out of `options.file` (of a back-test), the file of --ledger, or the ledger of the state folder.
[[nodiscard]] Result<RecordedTraffic> read_traffic(const EstimateOptions& options);
/// The same for an estimate that does not ask for it, of the last 7 days unless --since says otherwise: empty where
/// there is no ledger.
[[nodiscard]] lab::Recorded traffic_if_any(const EstimateOptions& options);

/// What the options ask about: exactly one of a request, a template, a workload and recorded traffic. `recorded`
/// gets the calls that lengths of answers are taken from: the traffic itself, else `traffic_if_any`.
[[nodiscard]] Result<lab::Scenario> read_scenario(const EstimateOptions& options,
                                                  lab::Recorded& recorded);
/// A request or a workload, told by the file's ending.
[[nodiscard]] Result<lab::Scenario> read_scenario_file(const std::string& path,
                                                       const EstimateOptions& options);

}  // namespace leeway::app
