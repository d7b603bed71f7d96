#pragma once

#include "base/clock.hpp"

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::sim {

/// What a provider did with one call that reached it whole: the truth that the gateway's rows are held against.
struct Call {
    enum class Truth : std::uint8_t {
        kRefused,  ///< nothing was generated, nothing is billed
        kWhole,  ///< all of the answer was sent as the protocol asks
        kBroken,  ///< the answer never came to its end: who tells it as whole lies
        kOdd,  ///< whole, but not as the protocol asks: it may be refused, and may be passed on whole
    };
    std::uint32_t number = 0;
    std::uint32_t request = 0;
    std::uint32_t group = 0;  ///< of requests with the same body
    std::string provider, model;
    Truth truth = Truth::kWhole;
    std::uint32_t words = 0;  ///< of the whole answer
    std::int64_t cost =
        -1;  ///< in 1e-12 USD, as the usage that was told says; −1: it was not told as it should be
    bool silent = false;  ///< no byte of an answer left: the gateway may send it again at once
    std::string what;  ///< the fault, for messages
};

/// One request of a client and what came of it.
struct Asked {
    std::uint32_t number = 0;
    std::uint32_t group = 0;
    std::uint32_t life = 0;  ///< of the gateway that took it
    bool well_formed = true;
    TimePoint begin{};
    bool over = false;
    bool gone = false;  ///< the client left by itself
    bool success = false;  ///< it was told that the answer is whole
    int status = 0;
};

/// What is known of the world: calls, requests, and what the gateway told of them.
class Oracle {
public:
    /// The word number `index` of what `call` generates. No other call ever says it.
    [[nodiscard]] static std::string word(const Call& call, std::uint32_t index);
    /// Holds what a client has seen of an answer's text against the calls. Empty: it is right. `whole`: the client was told
    /// that this is all of it.
    [[nodiscard]] std::string judge(const Asked& asked, std::string_view seen, bool whole) const;
    /// Holds the ledger's database in `state` against all that happened.
    void judge_ledger(const std::string& state);

    std::deque<Call> calls;  // they do not move
    std::deque<Asked> asked;
    std::vector<std::uint32_t> kills;  ///< of lives that were killed
    TimePoint power_cut{};  ///< the last one: rows of requests that began before it may be lost
};

}  // namespace leeway::sim
