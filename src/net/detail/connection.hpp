#pragma once

#include "net/http_server.hpp"
#include "net/read_buffer.hpp"
#include "net/stream.hpp"

#include <exception>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace leeway::net {

/// What the connections of a server share.
struct ServerState {
    ServerState(ServerOptions o, Handler& h, EventLoop& l)
        : options(std::move(o)), handler(h), loop(l) {}
    ServerOptions options;
    Handler& handler;
    EventLoop& loop;
    bool draining = false;
    std::atomic<std::size_t> count{0};
    std::list<class Connection*> connections;
};

/// One accepted connection: reads requests one after the other and lets the handler answer them.
/// A read is left standing while the handler works, so a hang-up is seen at once and the next
/// request costs no extra system call.
class Connection final : public Exchange {
public:
    Connection(ServerState& server, std::unique_ptr<Stream> stream);
    ~Connection() override;

    /// Serves until the connection ends. Owns itself through its caller's frame. `full`: only says that
    /// there are too many connections. An exception of the handler arrives here at the end.
    Task<void> run(bool full);
    /// Closes it if it is idle, else lets it finish its request.
    void drain() noexcept;
    /// Ends it: interrupts what its request waits for, or cancels its reads.
    void interrupt() noexcept;

    const RequestHead& head() const noexcept override { return head_; }
    TimePoint arrival() const noexcept override { return arrival_; }
    Task<Result<std::string_view>> read_body() override;
    void watch(Deadline& deadline) override;
    void unwatch() noexcept override { watched_ = nullptr; }
    Task<bool> respond(int status, std::span<const Field> fields, std::string_view body) override;
    Task<bool> begin_stream(int status, std::span<const Field> fields) override;
    Task<bool> send(std::span<const std::string_view> pieces) override;
    Task<bool> end_stream() override;
    void break_off() noexcept override;
    bool answered() const noexcept override { return answered_; }

private:
    enum class Body : std::uint8_t { kNone, kUnread, kRead };

    static void on_timer(void* self);
    static void on_standing_read(void* self, IoResult result);

    Task<bool> read_more();
    void start_read();
    void note_read(IoResult result);
    Task<Result<std::size_t>> read_head();
    Task<bool> serve_one(std::size_t head_size);
    Result<void> hold_body(std::size_t bytes);
    Task<Result<std::string_view>> read_sized_body();
    Task<Result<std::string_view>> read_chunked_body();
    Task<void> refuse(Error error);
    Task<void> close_gently();
    Task<bool> write(std::span<const std::string_view> pieces);
    void write_head(int status, std::span<const Field> fields, std::string_view framing);
    Error read_error(std::string_view what) const;

    ServerState& server_;
    std::unique_ptr<Stream> stream_;
    ReadBuffer buffer_;
    IoOp read_op_;
    IoOp write_op_;
    Timer timer_;
    HeadScanner scanner_;
    RequestHead head_;
    std::unique_ptr<ReadBuffer> large_;  // a body that did not fit behind the head
    std::string body_;  // a body that came in chunks
    ByteRoom::Part body_part_;  // of the room for large bodies
    std::string out_head_;  // the answer's head, reused
    TimePoint arrival_{};
    Deadline* watched_ = nullptr;
    std::size_t request_bytes_ = 0;  // of the buffer that belong to the present request
    Body body_state_ = Body::kNone;
    bool busy_ = false;  // a request is being handled
    bool timed_out_ = false;
    bool interrupted_ = false;  // the server shuts down and the grace time is over
    bool gone_ = false;  // the client finished sending, or the connection broke
    bool broken_ = false;  // nothing more can be written
    bool keep_alive_ = true;
    bool pipelined_ = false;  // bytes came before the answer
    bool answered_ = false;
    bool streaming_ = false;
    bool bodyless_ = false;  // the answer to a HEAD
    bool hard_close_ = false;  // the client would take a plain close for the end of the answer
    std::exception_ptr failure_;
    std::list<Connection*>::iterator place_;
};

}  // namespace leeway::net
