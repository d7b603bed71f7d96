#pragma once

#include "base/result.hpp"
#include "lab/estimate/lengths.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::lab {

/// Parts of what is sent and answered, as a person thinks of a request.
enum class Part : std::uint8_t {
    kSystem = 0,     ///< instructions, and the constant text of a template
    kTools = 1,      ///< definitions of functions
    kShared = 2,     ///< context that several roles get, each a copy
    kHistory = 3,    ///< earlier turns
    kRetrieved = 4,  ///< chunks, documents, results of tools
    kUser = 5,       ///< the last question, and what a row fills into a template
    kImages = 6,
    kFrame = 7,  ///< what the provider adds around messages, and what no part can claim
    kInput = 8,  ///< of recorded calls, whose parts nobody kept
    kOutput = 9,
    kReasoning = 10,
};
inline constexpr std::array<std::string_view, 11> kPartNames{
    "system", "tools", "shared", "history", "retrieved", "user",
    "images", "frame", "input",  "output",  "reasoning"};
inline constexpr std::size_t kPartCount = kPartNames.size();
inline constexpr std::size_t kInputParts = 9;
[[nodiscard]] constexpr std::size_t index_of(Part part) noexcept {
    return static_cast<std::size_t>(part);
}
using PartTokens = std::array<std::int64_t, kPartCount>;

/// What is sent in one call, before any model's tokenizer has seen it.
struct Prompt {
    /// A request in OpenAI's chat form; empty: only `tokens` is known.
    std::string chat;
    /// Text of each part, to tell how the count divides. Only with `chat`; tools and images are counted
    /// from it.
    std::array<std::string, kInputParts> texts;
    /// Tokens by part, where there is no text: of o200k_base, or as `counted_by` counts.
    PartTokens tokens{};
    std::string counted_by;  ///< model whose provider counted `tokens`; empty: none did
    std::int64_t cached =
        0;  ///< of `tokens`, read from the provider's cache when this was recorded
    /// Text that begins every request of its kind, as a prompt cache can use it, beside the tools.
    std::string constant_prefix;
    /// System, tools and shared context, where they are tokens only, begin every request of their kind.
    bool constant_parts = false;
};

/// One kind of call to a model.
struct Call {
    std::string role;  ///< of an agent; empty: the only call
    std::string model;  ///< that makes it when no other is asked for; empty: that of the scenario
    std::vector<std::shared_ptr<const Prompt>> prompts;  ///< each as likely as the others
    std::int64_t times_least = 1;  ///< calls per request, evenly between these
    std::int64_t times_most = 1;
    std::int64_t history_per_call =
        0;  ///< tokens by which each call of a request is longer than the last
    std::string prior = "chat";  ///< where lengths come from when nothing better is known
    std::optional<Lengths> output;  ///< as told; nullopt: from recorded answers, else the prior
    std::optional<Lengths>
        reasoning;  ///< as told, on top; nullopt: a share of recorded answers, else unknown
    std::int64_t reasoning_permille = 0;  ///< of an `output` that was recorded
    std::optional<std::int64_t> max_tokens;
};

/// Requests that look alike.
struct Flow {
    std::string name;
    std::int64_t requests_per_month = 0;
    std::vector<Call> calls;
};

/// What is to be estimated.
struct Scenario {
    std::string source;  ///< "request", "template", "workload" or "recorded"
    std::string model;  ///< that the file names; empty: none
    std::vector<Flow> flows;
    std::vector<std::string> assumptions;
    std::vector<std::string> unknown;  ///< what no figure covers
};

/// How a request file is spelled.
enum class Dialect : std::uint8_t { kOpenAiChat = 0, kResponses = 1, kAnthropic = 2, kGemini = 3 };
inline constexpr std::array<std::string_view, 4> kDialectNames{"openai", "responses", "anthropic",
                                                               "gemini"};

/// A request of any dialect as one flow with one call. `dialect` nullopt: told by its shape. Fails with
/// `kInvalidRequest` on what is no request.
[[nodiscard]] Result<Scenario> read_request(std::string_view body, std::optional<Dialect> dialect);

/// A prompt with {{name}} placeholders as one flow whose prompts are the rows: CSV with a head line, or
/// JSON lines of objects. A placeholder without a column, rows that do not fit, and no rows at all are
/// errors that say where.
[[nodiscard]] Result<Scenario> read_template(std::string_view text, std::string_view rows,
                                             bool rows_are_csv);

}  // namespace leeway::lab
