#pragma once

#include "base/ids.hpp"
#include "base/money.hpp"
#include "base/posted_value.hpp"
#include "base/result.hpp"
#include "prices/usage.hpp"

#include <array>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace leeway::app {

/// What a batch answered to one request.
struct LineReply {
    int status = 0;
    std::string body;  ///< in the provider's dialect
    prices::Usage usage;
    prices::UsageState usage_state = prices::UsageState::kMissing;
    std::optional<PicoUsd> cost;
    std::optional<PicoUsd> baseline;
};

/// The callers who wait for lines of batches that their requests were gathered into. Thread-safe.
class BatchWaiters {
public:
    using Reply = Result<LineReply>;

    /// The reply to the request `id` will come to `executor`, which must live until `stop`.
    [[nodiscard]] PostedValue<Reply> wait(const RequestId& id, Executor& executor);
    /// Nobody waits for it any more.
    void forget(const RequestId& id);
    /// Where nobody waits for `id` nothing is done.
    void tell(const RequestId& id, Reply reply);
    /// Nothing is sent any more.
    void stop();

private:
    std::mutex mutex_;
    std::map<std::array<std::uint8_t, 16>, PostedValue<Reply>::Sender> senders_;
    bool stopped_ = false;
};

}  // namespace leeway::app
