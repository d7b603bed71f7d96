#pragma once

#include "base/ids.hpp"
#include "base/money.hpp"
#include "prices/rates.hpp"
#include "prices/waterfall.hpp"
#include "tokens/count.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace leeway::ledger {

/// How a request or an attempt ended. Stored by number: never renumber.
enum class EndState : std::uint8_t {
    kOk = 0,          ///< whole answer delivered
    kError = 1,       ///< refused or failed; the caller got an error
    kCut = 2,         ///< the upstream's stream broke off; the caller was told so
    kClientGone = 3,  ///< the caller hung up before the end
    kTimeout = 4,     ///< a deadline passed
    kUnknown = 5,     ///< the process was killed before the end was known; charged as reserved
};

/// Who answered. Stored by number: never renumber.
enum class Source : std::uint8_t {
    kUpstream = 0,
    kExactCache = 1,
    kGateway = 2,
    kSemanticCache = 3,  ///< an answer to the same question in other words
};
[[nodiscard]] constexpr bool is_hit(Source source) noexcept {
    return source == Source::kExactCache || source == Source::kSemanticCache;
}

/// The part of a request in a comparison with requests that we do not touch. Never renumber.
enum class Arm : std::uint8_t {
    kNone = 0,     ///< its route makes no comparison
    kTreated = 1,  ///< could have been held out, was not
    kHeldOut = 2,  ///< answered without the route's stages, by the baseline's model
};

/// One call to one upstream model. Immutable once written.
struct AttemptRow {
    std::uint32_t number = 1;  ///< 1, 2, … within the request
    std::string provider;
    std::string model;           ///< our name of the model
    std::string model_reported;  ///< what the answer said, may be empty
    std::int32_t http_status = 0;  ///< 0: no answer came
    EndState end = EndState::kOk;
    std::string finish_reason;  ///< as reported; empty when cut
    prices::Usage usage;
    prices::UsageState usage_state = prices::UsageState::kMissing;
    /// Who counted, and how well: the provider, or we where its answer was cut before it told.
    tokens::Quality usage_quality = tokens::Quality::kProvider;
    std::optional<PicoUsd> cost;  ///< `reported_cost`, else by our price; nullopt: unknown
    std::optional<PicoUsd>
        reported_cost;  ///< what the provider says it bills; nullopt: it does not
    std::optional<PicoUsd> computed_cost;  ///< by our price, where `cost` is the provider's figure
    std::uint64_t price_id = 0;  ///< of the price our figure comes from; 0: none
    prices::Tier tier = prices::Tier::kStandard;  ///< as billed
    std::int64_t first_byte_us = 0;  ///< from dispatch; 0: none came
    std::int64_t total_us = 0;
};

/// One request of a client with all its attempts: what the data plane hands to the ledger, once,
/// before the caller gets the last byte of its answer.
struct RequestRecord {
    RequestId id;
    std::int64_t ts_us = 0;  ///< wall clock at arrival, microseconds since the epoch
    std::string key;  ///< name of the virtual key; empty: none
    std::string route;  ///< empty: none
    std::string endpoint;  ///< "chat.completions", "embeddings"
    std::string model_asked;
    std::string model;  ///< our name of the model that answered; empty: none did
    std::int32_t http_status = 0;
    EndState end = EndState::kOk;
    Source source = Source::kUpstream;
    bool stream = false;
    prices::Usage usage;  ///< of the answer as served (for a cache hit: of the stored answer)
    prices::UsageState usage_state = prices::UsageState::kMissing;
    tokens::Quality usage_quality = tokens::Quality::kProvider;  ///< of the last attempt
    std::optional<PicoUsd> cost;  ///< sum over the attempts; nullopt: unknown
    std::optional<PicoUsd> baseline;  ///< what it would have cost; nullopt: unknown
    std::int64_t total_us = 0;
    std::int64_t first_byte_us = 0;  ///< to the caller
    std::string provider;  ///< of `model`, also where no attempt was made; empty: none
    // As the caller tells; see pipeline::Dimensions.
    std::string user;
    std::string tags;  ///< words, sorted, separated by commas
    std::string session;
    std::string agent;
    Arm arm = Arm::kNone;
    /// How `baseline` became `cost`; nullopt: unknown, as when one of them is.
    std::optional<prices::Waterfall> waterfall;
    std::string notes;  ///< skipped stages and the like, "stage=reason" separated by spaces
    std::string error;  ///< machine word of the error; empty: none
    std::vector<AttemptRow> attempts;

    friend bool operator==(const RequestRecord& a, const RequestRecord& b) {
        return a.id == b.id;  // ids are unique and records immutable
    }
};

}  // namespace leeway::ledger
