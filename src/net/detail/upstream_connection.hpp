#pragma once

#include "net/http_client.hpp"
#include "net/http_parser.hpp"
#include "net/read_buffer.hpp"

#include <array>
#include <coroutine>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace leeway::net {

/// A connection to an upstream with its protocol state.
class UpstreamConnection {
public:
    explicit UpstreamConnection(std::unique_ptr<Stream> stream);

    /// Writes a request.
    Task<Result<void>> send(const Origin& origin, const UpstreamRequest& request,
                            Deadline& deadline);
    /// Reads heads until a final one (1xx are skipped). kEnd before the first byte is reported as
    /// "closed".
    Task<Result<void>> read_head(bool head_request, Deadline& deadline);
    Task<Result<std::span<const std::string_view>>> read_body(Deadline& deadline);

    [[nodiscard]] bool complete() const noexcept { return complete_; }
    /// May be used for another request: the answer was read to its end and both sides keep it.
    [[nodiscard]] bool reusable() const noexcept;
    /// Bytes of the answer have come.
    [[nodiscard]] bool heard() const noexcept { return heard_; }

    /// Leaves a read standing; `hook` is called when the upstream closes or sends unasked.
    using ParkHook = void (*)(void* context, UpstreamConnection& connection);
    void park(ParkHook hook, void* context);
    void unpark() noexcept { park_hook_ = nullptr; }
    /// Cancels and, when the pending operations are done, destroys it.
    static void retire(std::unique_ptr<UpstreamConnection> connection) noexcept;

    ResponseHead head;

private:
    static void on_interrupt(void* self);
    static void on_retired(void* self, IoResult result);
    static void on_unawaited_read(void* self, IoResult result);
    Task<Result<void>> fill(Deadline& deadline);
    void note_read(IoResult result);
    Result<void> decode_chunks();

    std::unique_ptr<Stream> stream_;
    ReadBuffer buffer_;
    IoOp read_op_;
    IoOp write_op_;
    HeadScanner scanner_;
    ChunkDecoder chunks_;
    std::string out_;
    std::array<std::string_view, UpstreamCall::kMaxPieces> pieces_;
    std::size_t piece_count_ = 0;
    std::size_t yielded_ = 0;  // bytes of the buffer that the last pieces lie in
    std::uint64_t remaining_ = 0;  // of a body with a length
    ParkHook park_hook_ = nullptr;
    void* park_context_ = nullptr;
    bool complete_ = false;
    bool heard_ = false;
    bool ended_ = false;
    bool reset_ = false;
};

struct UpstreamPool::Impl {
    struct Waiter {
        std::coroutine_handle<> handle;
    };
    struct Entry {
        Impl* pool = nullptr;
        std::vector<std::unique_ptr<UpstreamConnection>> idle;  // the freshest at the end
        std::deque<Waiter*> waiting;
        std::uint32_t open = 0;  // leased and idle
    };

    Entry& entry(const Origin& origin);
    /// An idle connection, or null.
    std::unique_ptr<UpstreamConnection> take(Entry& entry) noexcept;
    void put(Entry& entry, std::unique_ptr<UpstreamConnection> connection);
    /// A leased connection is gone for good.
    void forget(Entry& entry) noexcept;
    /// Lets the first that waits for a slot try again.
    void wake_one(Entry& entry) noexcept;
    static void on_idle_event(void* entry, UpstreamConnection& connection);

    EventLoop* loop = nullptr;
    std::unordered_map<std::string, Entry> entries;  // nodes do not move
};

}  // namespace leeway::net
