#pragma once

#include "base/clock.hpp"
#include "base/executor.hpp"
#include "base/ids.hpp"
#include "base/money.hpp"
#include "base/result.hpp"
#include "base/task.hpp"
#include "json/splice.hpp"
#include "pipeline/dimensions.hpp"
#include "pipeline/model.hpp"
#include "pipeline/trial.hpp"
#include "prices/usage.hpp"
#include "wire/openai/request_view.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::pipeline {

using wire::openai::Endpoint;
using wire::openai::RequestView;

/// How a stage reads a request header without knowing the HTTP code.
class HeaderSource {
public:
    virtual ~HeaderSource() = default;
    /// nullopt: not sent. The view lives as long as the request.
    [[nodiscard]] virtual std::optional<std::string_view> header(std::string_view name) const = 0;
    /// A parameter of the address, as it was sent (its percent signs are not decoded). The same rules.
    [[nodiscard]] virtual std::optional<std::string_view> query(std::string_view name) const = 0;
};
/// Of calls that no caller began: there are none.
[[nodiscard]] const HeaderSource& no_headers() noexcept;

/// How a stage that waits is told to stop: the request's deadline passed or its client left.
class Interruption {
public:
    virtual ~Interruption() = default;
    [[nodiscard]] virtual bool interrupted() const noexcept = 0;
    /// What is left of the request's time.
    [[nodiscard]] virtual Duration remaining() const noexcept = 0;
    /// `callback(context)` is called once, on the worker, when the request is interrupted. Null ends
    /// the registration. One at a time.
    virtual void on_interrupt(void (*callback)(void*), void* context) = 0;
};

/// The form an answer has or is wanted in.
enum class AnswerForm : std::uint8_t { kJson, kEventStream };

/// What a stage remembers of one request between `on_request` and `on_outcome`.
class StageState {
public:
    virtual ~StageState() = default;
};

/// What a call that no caller waits for came to.
struct LaterAnswer {
    bool complete = false;  ///< a whole answer of one text, that ended by itself
    std::string text;
    std::optional<double> mean_logprob;  ///< of its tokens; nullopt: not told
    std::int64_t input_tokens = 0;
};

/// A call of a model that no caller asked for: a row of its own in the ledger that no caller pays. It is left out where
/// there is no room, no budget or no readiness for it, or the process ends.
struct OwnCall {
    const Model* model = nullptr;  ///< of the request's snapshot
    std::string body;  ///< a chat request in OpenAI's form for one buffered answer
    std::int64_t answer_tokens = 0;  ///< the most; 0: as for any request without a limit
    std::string_view tag;  ///< of its row; outlives the process' configuration
};

/// One that is made when the request is over.
struct LaterCall : OwnCall {
    /// On the worker's thread, once however it ends: what is to be asked next, if anything. Holds nothing of the
    /// request. Not called where the process ends.
    std::function<std::optional<LaterCall>(const LaterAnswer&)> then;
};

/// Asks models for a stage while its request waits: several at a time, if need be. All of them end when the request is
/// interrupted; meanwhile the stage must not register with `Interruption` itself.
class ModelAsker {
public:
    virtual ~ModelAsker() = default;
    /// The text of a whole answer, not beyond `limit`. Errors have a reason in one word: "not_allowed" (the caller's key
    /// may not use that model), "local_only", "holdout", "left_out" (as of OwnCall), "no_answer" (refused, late, cut).
    [[nodiscard]] virtual Task<Result<std::string>> ask_model(OwnCall call, Duration limit) = 0;
    /// Whether the request itself could go to `model`: the caller's key may use it, and it runs where the conversation
    /// that is continued is kept.
    [[nodiscard]] virtual bool may_answer(const Model& model) const = 0;
};

/// The vector of a text that was asked.
struct AskedVector {
    std::string text;
    std::shared_ptr<const std::vector<float>> vector;  ///< null: there is none
    std::shared_ptr<const std::string>
        fingerprint;  ///< of the model that made it; null where `vector` is
};

/// Everything about one request on its way. Worker-local; lives until its outcome is settled.
struct RequestContext {
    // Who asks. Set before the first stage.
    RequestId id;
    std::int64_t arrived_unix_us = 0;
    Endpoint endpoint = Endpoint::kChatCompletions;
    const HeaderSource* headers = nullptr;
    Executor* executor = nullptr;  ///< of the worker
    Interruption* interruption = nullptr;  ///< null before the body was read
    ModelAsker* asker = nullptr;  ///< null: no model can be asked
    bool loopback_only = true;  ///< the listener is reachable from this machine only

    // What is asked. Set when the body was read.
    std::string_view body;
    RequestView view;
    const Route* route = nullptr;  ///< null: none applies
    const Model* asked = nullptr;  ///< the model that the client named; null when it named a route
    const Model* model = nullptr;  ///< the model that shall answer; stages may retarget
    Dimensions dimensions;  ///< for whom and for what, as the caller tells
    /// Drawn to show what the answer costs without us: the route's stages are not run.
    bool held_out = false;
    /// Only its provider understands the request: `body` has all of it as one text.
    bool opaque = false;

    // What stages found out.
    std::string key_name;  ///< tenant; empty: no key needed
    std::shared_ptr<const void> pins;  ///< keeps alive what `key` and the like point into
    const void* key = nullptr;  ///< opaque to all but the auth stage
    std::string notes;  ///< "stage=reason" words for the ledger
    std::string cache_status;  ///< value of x-leeway-cache; empty: no header
    std::string semantic_route;  ///< value of x-leeway-semantic-route; empty: no header
    std::string route_arguments;  ///< value of x-leeway-route-arguments; empty: no header
    bool local_only = false;  ///< no model that runs elsewhere may see it
    Trial trial;  ///< what `model` is asked for; a stage sets both
    double chance = 1;  ///< with which `model` was chosen, where a stage drew it. > 0
    std::string_view
        tier_word;  ///< `service_tier` of the attempt under way that we add; empty: none
    /// A stage that must see the whole answer sets this to the most it takes, in bytes.
    std::size_t capture_bytes = 0;
    std::vector<LaterCall> later;
    AskedVector asked_vector;  ///< of what its user said last, where a stage needed it
    /// What the models cost that were asked through `asker`; nullopt: not known of one.
    std::optional<PicoUsd> asked_cost = PicoUsd(0);

    [[nodiscard]] AnswerForm wanted_form() const noexcept {
        return view.stream ? AnswerForm::kEventStream : AnswerForm::kJson;
    }

    /// Changes of the body, each named after its stage. The only way to change a request.
    void edit(std::string_view stage, json::Edit change);
    struct NamedEdit {
        std::string_view stage;
        json::Edit change;
    };
    [[nodiscard]] const std::vector<NamedEdit>& edits() const noexcept { return edits_; }
    void note(std::string_view stage, std::string_view reason);

    /// Keeps `state` for the stage that `owner` points to, until the request is over.
    void keep(const void* owner, std::unique_ptr<StageState> state);
    /// What was kept for `owner`; null: nothing.
    [[nodiscard]] StageState* kept(const void* owner) const noexcept;

private:
    std::vector<NamedEdit> edits_;
    std::vector<std::pair<const void*, std::unique_ptr<StageState>>> states_;
};

/// What an answer without an upstream comes from.
enum class AnswerOrigin : std::uint8_t {
    kExactCache,
    kSemanticCache,  ///< given before to a question in other words
    kGateway,  ///< no model ever gave it: fixed words of the configuration
};

/// An answer that a stage gives itself, without an upstream.
struct StageAnswer {
    /// Whole bytes in the form that the client wants.
    std::shared_ptr<const std::string> body;
    AnswerForm form = AnswerForm::kJson;
    prices::Usage usage;  ///< of the original answer
    prices::UsageState usage_state = prices::UsageState::kMissing;
    std::string finish_reason;
    AnswerOrigin origin = AnswerOrigin::kExactCache;
};

/// How the request ended, told to every stage that saw it, last stage first, before the client gets
/// the last byte.
struct Outcome {
    bool complete = false;  ///< a whole answer of status 200 from the upstream, not cut
    bool from_stage = false;  ///< a stage answered
    bool no_store = false;  ///< the upstream forbids to store it (`Cache-Control: no-store`)
    int status = 0;
    AnswerForm form = AnswerForm::kJson;
    /// All bytes of the answer as the upstream sent them; empty unless a stage asked
    /// through `capture_bytes` and the answer fitted.
    std::string_view captured;
    prices::Usage usage;
    prices::UsageState usage_state = prices::UsageState::kMissing;
    std::string_view finish_reason;
    std::string_view model_reported;
    /// Of all attempts together; nullopt: not known.
    std::optional<PicoUsd> cost;
};

}  // namespace leeway::pipeline
