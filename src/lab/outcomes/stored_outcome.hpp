#pragma once

#include "base/hash.hpp"
#include "base/ids.hpp"
#include "base/money.hpp"
#include "methods/router/predict/text_cues.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace leeway::lab {

/// Who says how good an answer was. The values are kept in files.
enum class OutcomeSource : std::uint8_t {
    kImported = 0,  ///< from a file
    kFeedback = 1,  ///< a user said so
    kChecker = 2,  ///< a program checked the answer
    kJudge = 3,  ///< a model judged it
    kShadow = 4,  ///< by comparison with the answer of a stronger model
};
[[nodiscard]] std::string_view source_name(OutcomeSource source) noexcept;

/// A query as it is kept: never its text.
struct StoredQuery {
    std::string tenant;  ///< name of the key that asked; empty: nobody's, as of imported ones
    Sha256 text{};  ///< of the text
    std::string task;
    std::string split;
    std::size_t bytes = 0;  ///< of the text
    router::TextCues cues{};
};
/// One as it is kept of `text`.
[[nodiscard]] StoredQuery stored_query(std::string_view text);

/// What one answer of a model took.
struct StoredCall {
    std::string model;
    std::optional<PicoUsd> cost;
    std::optional<std::int64_t> tokens_in;
    std::optional<std::int64_t> tokens_out;
    std::optional<double> latency_ms;
    std::optional<double> mean_logprob;
    double propensity = 1;  ///< with which this model was chosen for the query
    std::int64_t at_s = 0;  ///< Unix time
};

/// The same, and how good it was.
struct StoredOutcome : StoredCall {
    OutcomeSource source = OutcomeSource::kImported;
    double quality = 0;  ///< 0 … 1
};

/// A request that was answered, of which nobody has said yet how good the answer was.
struct StoredAnswer : StoredCall {
    RequestId id;
};
struct FoundAnswer {
    std::int64_t query = 0;
    StoredCall call;
};

/// What a caller said of an answer. What is not given stays as it was said before.
struct StoredFeedback {
    std::optional<double> quality;  ///< 0 … 1
    std::optional<std::string> comment;
    std::optional<std::string> correction;  ///< what the answer should have been
    std::int64_t at_s = 0;
};
/// One as it is listed.
struct ListedFeedback : StoredFeedback {
    RequestId id;
    std::string tenant;
    std::string task;
    std::string model;
};

}  // namespace leeway::lab
