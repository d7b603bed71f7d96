#pragma once

#include "prices/usage.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace leeway::agent_cache {

/// One complete answer of a provider, as it is kept and replayed. Never changed once it is shared.
struct CachedAnswer {
    std::string body;
    bool streamed = false;  ///< `body` is a whole SSE byte stream, else one JSON document
    std::string model_reported;
    std::string finish_reason;
    prices::Usage usage;
    prices::UsageState usage_state = prices::UsageState::kMissing;
    std::int64_t created_unix_ms = 0;
    std::int64_t expires_unix_ms = 0;  ///< from this moment on it is a miss
    std::uint64_t tenant = 0;  ///< what `ExactStore::invalidate_tenant` goes by; 0: nobody's
};

using AnswerPtr = std::shared_ptr<const CachedAnswer>;

}  // namespace leeway::agent_cache
