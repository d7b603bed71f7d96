#pragma once

#include "base/clock.hpp"
#include "net/io_op.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::sim {

/// A life of the gateway's process. Sockets and timers of a dead one stay as they are and are never heard of again,
/// as after a kill.
struct Process {
    bool alive = true;
};
using ProcessPtr = std::shared_ptr<Process>;

/// One side of a connection. The gateway's side is read and written by operations, as sockets are; the world's side
/// (clients, providers) by callbacks.
class End : public std::enable_shared_from_this<End> {
public:
    enum class Over : std::uint8_t { kEnd, kReset };

    // The world's side.
    std::function<void(std::string_view)> on_bytes;
    std::function<void(Over)> on_over;
    void send(std::string_view bytes);
    /// The other side sees the end of what is sent; this one still reads.
    void finish();
    void close();
    void reset();
    /// Bytes arrive and are not taken until it is false again.
    void pause_reading(bool paused);
    [[nodiscard]] bool closed() const noexcept { return closed_; }
    [[nodiscard]] bool broken() const noexcept { return reset_came_; }

    // The gateway's side: see net::Stream.
    void start_read(net::IoOp& op, std::span<char> into);
    void start_write(net::IoOp& op, std::span<const std::string_view> pieces);
    void cancel();

private:
    friend class Network;
    [[nodiscard]] bool dead() const noexcept { return process_ && !process_->alive; }
    void push(std::string bytes, Duration delay);
    void arrive(std::string bytes);
    void arrive_over(Over over);
    void tell_over(Over over);
    void try_read();
    void take(std::size_t bytes);
    void taken(std::size_t bytes);
    void complete(net::IoOp*& op, net::IoResult result);

    ProcessPtr process_;  // null: the world's
    std::shared_ptr<End> other_;
    std::string inbox_;
    bool end_came_ = false, reset_came_ = false, told_over_ = false;
    bool paused_ = false, closed_ = false, finished_ = false;
    net::IoOp* read_ = nullptr;
    std::span<char> into_;
    net::IoOp* write_ = nullptr;
    std::size_t write_size_ = 0;
    std::size_t unread_ = 0;  // sent and not taken by the other side
    std::size_t window_ = 64 * 1024;
    bool slow_ = false, pieces_ = false, one_by_one_ = false, short_reads_ = false;
    TimePoint busy_until_{};  // bytes keep their order
};
using EndPtr = std::shared_ptr<End>;

/// Who listens where, and all connections of the gateway. One for each world.
class Network {
public:
    using Accept = std::function<void(EndPtr)>;
    Network();
    ~Network();
    Network(const Network&) = delete;
    Network& operator=(const Network&) = delete;
    static Network& get();

    /// Several may listen at one address; each connection goes to one of them.
    /// `process`: whose the accepted ends are; null: the world's.
    void listen(const std::string& address, const void* who, ProcessPtr process, Accept accept);
    void stop_listening(const void* who);
    /// Calls `done` with the connection or with null, when it is known. `process`: whose the near end is.
    void connect(const std::string& address, const ProcessPtr& process,
                 std::function<void(EndPtr)> done);
    /// What a kill does to its connections and listeners.
    void died(const ProcessPtr& process);
    /// Connections that a living gateway has not closed.
    [[nodiscard]] std::size_t open_ends(const ProcessPtr& process) const;

private:
    struct Place {
        const void* who;
        ProcessPtr process;
        Accept accept;
    };
    EndPtr make_pair_of(const ProcessPtr& near, const ProcessPtr& other, EndPtr& far);
    std::map<std::string, std::vector<Place>> places_;
    std::vector<std::weak_ptr<End>> ends_;  // of gateways
};

/// Whose loops, listeners and connections are made from now on.
void begin_process(ProcessPtr process);

}  // namespace leeway::sim
