#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace leeway::cascade {

/// What the log-probabilities of an answer's tokens come to, in nats.
struct LogprobSummary {
    double mean = 0;
    double least = 0;
    double first = 0;
    std::size_t tokens = 0;  ///< > 0
};

/// Of a choice's `logprobs` as OpenAI's chat API gives them. Tokens without a finite number are left out. nullopt: there
/// are none, or it is no such object.
[[nodiscard]] std::optional<LogprobSummary> summarise_logprobs(std::string_view json);

/// The mean over an answer that comes in pieces.
class LogprobSum {
public:
    /// A choice's `logprobs`, as above.
    void add(std::string_view json);
    /// A completion of OpenAI's chat API, or one event of its stream, for one choice. What has none adds nothing.
    void add_answer(std::string_view json);
    /// nullopt: none came.
    [[nodiscard]] std::optional<double> mean() const noexcept;
    [[nodiscard]] std::size_t tokens() const noexcept { return tokens_; }

private:
    double sum_ = 0;
    std::size_t tokens_ = 0;
};

}  // namespace leeway::cascade
