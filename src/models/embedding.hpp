#pragma once

#include "base/clock.hpp"
#include "base/executor.hpp"
#include "base/result.hpp"
#include "base/task.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace leeway::models {

/// What vectors come from. Those of two fingerprints must never be compared, nor lie in one index.
struct EmbeddingModel {
    std::string name;  ///< as the configuration calls it
    /// Of all that makes a vector what it is: the weights (or the provider and its model), the length, the
    /// normalisation, what is put before a text.
    std::string fingerprint;
    std::uint32_t dimension = 0;
};

/// Vectors of unit length, a row per text.
struct VectorTable {
    std::uint32_t dimension = 0;
    std::vector<float> values;  ///< rows × dimension

    [[nodiscard]] std::size_t rows() const noexcept {
        return dimension == 0 ? 0 : values.size() / dimension;
    }
    [[nodiscard]] std::span<const float> row(std::size_t index) const noexcept {
        return std::span(values).subspan(index * dimension, dimension);
    }
};

/// Embeds many texts at once and waits for them: for commands, not for the data plane. Texts beyond the model's
/// limit are cut to it; an empty one has a vector of zeros. One thread at a time.
class TextEmbedder {
public:
    virtual ~TextEmbedder() = default;
    [[nodiscard]] virtual const EmbeddingModel& model() const noexcept = 0;
    /// `progress` is told now and then how many are done; it may be empty.
    [[nodiscard]] virtual Result<VectorTable> embed(
        std::span<const std::string> texts,
        const std::function<void(std::size_t)>& progress = {}) = 0;
};

/// One text's vector on the data plane; shared with the memo and with other requests.
struct Embedded {
    std::shared_ptr<const std::vector<float>> vector;  ///< never null, unit length
    std::shared_ptr<const EmbeddingModel> model;  ///< never null
    bool known = false;  ///< it had been computed before, or another request was about to
};

/// Of the model that made it; lives as long as anybody holds it.
[[nodiscard]] inline std::shared_ptr<const std::string> fingerprint_of(const Embedded& embedded) {
    return {embedded.model, &embedded.model->fingerprint};
}

/// Embeds texts of requests: one computation per distinct text however many stages and requests want it at once or
/// soon after. Thread-safe.
class Embedder {
public:
    virtual ~Embedder() = default;
    /// For a coroutine on `executor`'s thread, which it goes on at; not beyond `limit`. A text beyond the model's
    /// limit is cut. Errors: kUpstreamTimeout (too late), kUnavailable (no host, too many wait), kInvalidRequest (no
    /// text).
    [[nodiscard]] virtual Task<Result<Embedded>> embed(std::string text, Executor& executor,
                                                       Duration limit) = 0;
    /// The same for texts of a tenant: what is known in one scope is neither known nor any sooner there in another, since
    /// how long it takes would tell whether somebody else had asked. Stages name the request's key, all of them alike.
    // NOLINTNEXTLINE(performance-unnecessary-value-param): of a coroutine, so by value
    [[nodiscard]] virtual Task<Result<Embedded>> embed_within(std::string /*scope*/,
                                                              std::string text, Executor& executor,
                                                              Duration limit) {
        return embed(std::move(text), executor, limit);
    }
    /// Whether texts stay on this machine.
    [[nodiscard]] virtual bool is_local() const { return true; }
};

}  // namespace leeway::models
