#pragma once

#include "base/result.hpp"
#include "methods/router/predict/outcome_predictor.hpp"
#include "methods/router/predict/route_policy.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace leeway::router {

/// Where on the way from cheap to good a router works: one of the two.
struct Spending {
    std::optional<double> budget_usd;  ///< what a request may cost in the mean
    double lambda = 0;  ///< else the quality that a USD must buy
};

/// What shows that a router is better than single models at its spending, on rows that took no part in fitting or choosing.
struct RouterEvidence {
    std::size_t rows = 0;  ///< with an outcome of every model
    std::size_t incomplete = 0;  ///< left out
    std::size_t folds = 0;
    std::uint64_t seed = 0;
    /// Quality above the best mix of single models, at the price that money has there; with its 95 % interval.
    double gain = 0;
    double gain_low = 0;
    double gain_high = 0;
    double quality = 0;
    double cost_usd = 0;  ///< the mean of a call
    double zero_quality = 0;  ///< of the mix of single models
    double zero_cost_usd = 0;
    bool enough = false;  ///< else the policy keeps to one model
    std::string why;  ///< it is not enough; empty: it is
    std::string outcomes;  ///< name of the file, and its SHA-256
    std::string outcomes_sha256;
    std::int64_t made_unix_s = 0;
};

/// A router that was fitted to outcomes; `leeway tune router` writes it and the stage reads it (docs/formats/router.md).
struct RouterFile {
    PredictorState state;  ///< its models by the gateway's names
    RoutePolicy policy;  ///< of which models are numbers in `state.models`
    std::string embedding_model;  ///< as whoever tuned called it
    std::string fingerprint;  ///< of the vectors
    Spending spending;
    RouterEvidence evidence;
    std::string seal;  ///< of a file that was read
    std::string signer;  ///< likewise: public key of who signed it; empty: nobody did
};

inline constexpr std::size_t kMostRouterFile = 512UL * 1024 * 1024;

/// A line of JSON with all that people may want to read, and behind it the numbers of the predictor in 4 bytes each. The
/// predictor that is made of it again predicts the very same. Errors: kInvalidRequest (more than a file may hold).
[[nodiscard]] Result<std::string> write_router_file(const RouterFile& file);
/// Errors (kConfig): no such file, of another version, cut or edited, a signature (json/seal.hpp) that does not hold, a
/// member that is missing or out of range.
[[nodiscard]] Result<RouterFile> read_router_file(std::string_view bytes);

}  // namespace leeway::router
