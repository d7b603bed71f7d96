#pragma once

#include "models/host/engine.hpp"
#include "net/event_loop.hpp"

#include <coroutine>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace leeway::models {

/// Where the answers of one request wait on their way from the engine's thread to the coroutine that
/// sends them. What comes while the coroutine is busy is put together, so a slow client gets few large
/// chunks, and what waits is bounded: beyond `limit` bytes the request is stopped.
///
/// `sink` and what the sinks do: any thread. The rest: the loop's thread. The loop must outlive the
/// engine.
class ChatMailbox : public std::enable_shared_from_this<ChatMailbox> {
public:
    /// What came for one choice since the last look.
    struct Piece {
        std::string text;
        std::vector<TokenInfo> tokens;
        std::optional<ChatEnd> end;

        [[nodiscard]] bool empty() const noexcept { return text.empty() && tokens.empty() && !end; }
    };

    ChatMailbox(net::EventLoop& loop, std::uint32_t choices, std::size_t limit);

    [[nodiscard]] std::shared_ptr<ChatSink> sink(std::uint32_t choice);
    /// How to stop the jobs; called when too much waits and by `interrupt`. It must not keep the
    /// engine alive.
    void set_stop(std::function<void()> stop) { stop_ = std::move(stop); }

    /// What came, by choice (`pieces` is overwritten). False: nothing did.
    [[nodiscard]] bool take(std::vector<Piece>& pieces);
    /// More waited than the limit; the rest of the answer was dropped.
    [[nodiscard]] bool overflowed() const;
    /// The interrupt of a Deadline: stops the jobs and wakes the coroutine.
    static void interrupt(void* mailbox);

    /// co_await mailbox.arrival(): until something came, or an interruption.
    class Arrival {
    public:
        explicit Arrival(ChatMailbox& mailbox) noexcept : mailbox_(mailbox) {}
        [[nodiscard]] bool await_ready() const {
            return mailbox_.interrupted_ || mailbox_.has_some();
        }
        void await_suspend(std::coroutine_handle<> handle) noexcept { mailbox_.waiter_ = handle; }
        void await_resume() const noexcept {}

    private:
        ChatMailbox& mailbox_;
    };
    [[nodiscard]] Arrival arrival() noexcept { return Arrival(*this); }

private:
    class Sink;

    void add(std::uint32_t choice, const ChatDelta& delta);
    void finish(std::uint32_t choice, const ChatEnd& end);
    void announce(std::unique_lock<std::mutex> lock);
    void look();
    [[nodiscard]] bool has_some() const;

    net::EventLoop& loop_;
    const std::size_t limit_;
    mutable std::mutex mutex_;
    std::vector<Piece> pieces_;  // guarded by mutex_, as the next four
    std::size_t bytes_ = 0;
    bool some_ = false;
    bool overflowed_ = false;
    bool announced_ = false;  // a look is posted

    std::function<void()> stop_;
    bool interrupted_ = false;
    std::coroutine_handle<> waiter_;
};

}  // namespace leeway::models
