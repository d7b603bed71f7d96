#pragma once

#include "guard/budget/spec.hpp"
#include "guard/limits/token_bucket.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace leeway::limits {

/// One entry of `limits:`, or the limits of a key. 0: that is not limited.
struct LimitSpec {
    std::string name;  ///< unique
    budget::ScopeKind scope = budget::ScopeKind::kGlobal;
    std::string match;  ///< the value that it is for; empty: every value has this limit for itself
    std::int64_t requests_per_minute = 0;
    std::int64_t tokens_per_minute = 0;
    std::int64_t parallel = 0;  ///< requests at a time
};

enum class Measure : std::uint8_t { kRequests, kTokens, kParallel };

/// Why a request has to wait.
struct LimitRefusal {
    std::string limit;
    budget::Scope scope;
    Measure measure = Measure::kRequests;
    std::int64_t most = 0;
    std::int64_t left = 0;
    std::int64_t wanted = 0;
    Duration wait{};  ///< Duration::max(): it would never fit; a second where nobody can know
};

/// How the tightest of the limits stands, for the headers.
struct LimitView {
    struct One {
        std::int64_t most = 0;  ///< 0: nothing limits this
        std::int64_t left = 0;
        Duration full_in{};
    };
    One requests;
    One tokens;
    [[nodiscard]] bool any() const noexcept { return requests.most > 0 || tokens.most > 0; }
};

class LimitBook;

/// What a request took. Gives its places among the parallel ones back, at the latest when it is destroyed.
/// The book must outlive it.
class LimitTicket {
public:
    LimitTicket() = default;
    ~LimitTicket() { release(); }
    LimitTicket(const LimitTicket&) = delete;
    LimitTicket& operator=(const LimitTicket&) = delete;

    /// So many tokens it was in the end; what was taken too much or too little is set right.
    void settle(std::int64_t tokens, TimePoint now) noexcept;
    /// Ends the request: another may take its place.
    void release() noexcept;

private:
    friend class LimitBook;
    struct Held {
        void* account = nullptr;
        std::int64_t tokens = -1;  ///< −1: none were asked for
        bool parallel = false;
    };
    LimitBook* book_ = nullptr;
    std::vector<Held> held_;
};

/// All rate limits of one process. Lives as long as it, so a reload forgets nothing. Thread-safe: one lock, held for
/// a few look-ups; where nothing is limited, one read.
class LimitBook {
public:
    /// Takes these limits. One that keeps its name, scope and match keeps what was used of it.
    void configure(std::vector<LimitSpec> specs);
    [[nodiscard]] bool empty() const noexcept { return empty_.load(std::memory_order_relaxed); }

    /// What is asked for: one request with a place among the parallel ones, or tokens, or both.
    struct Demand {
        bool request = false;
        std::int64_t tokens = -1;  ///< −1: not asked for
    };
    /// Takes it from all limits that apply to one of the scopes, or from none and says which has to be waited for
    /// the longest. `view`: what it holds already is kept where that is tighter.
    [[nodiscard]] std::optional<LimitRefusal> admit(std::span<const budget::Scope> scopes,
                                                    const Demand& demand, TimePoint now,
                                                    LimitTicket& ticket, LimitView& view);

private:
    friend class LimitTicket;
    struct Account {
        std::size_t limit = 0;
        std::string value;
        TokenBucket requests;
        TokenBucket tokens;
        std::int64_t running = 0;
        std::uint64_t holds = 0;  // tickets that point here
    };
    struct TextHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept {
            return std::hash<std::string_view>()(text);
        }
    };
    using Accounts =
        std::unordered_map<std::string, std::unique_ptr<Account>, TextHash, std::equal_to<>>;
    struct Limit {
        LimitSpec spec;
        Accounts accounts;
    };
    using Places =
        std::unordered_map<std::string, std::vector<std::size_t>, TextHash, std::equal_to<>>;

    void find(std::span<const budget::Scope> scopes, TimePoint now);
    [[nodiscard]] Account& account(std::size_t limit, std::string_view value, TimePoint now);
    static void look(const LimitSpec& spec, Account& account, TimePoint now, LimitView& view);

    std::mutex mutex_;
    std::atomic<bool> empty_{true};
    std::vector<std::unique_ptr<Limit>> limits_;
    std::vector<std::unique_ptr<Limit>> retired_;  // tickets still point there
    // Which limits are for a value, and which for all values of a kind.
    std::array<Places, budget::kScopeNames.size()> by_value_;
    std::array<std::vector<std::size_t>, budget::kScopeNames.size()> for_all_;
    std::vector<Account*> touched_;  // of the call at hand
};

}  // namespace leeway::limits
