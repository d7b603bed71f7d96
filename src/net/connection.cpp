#include "net/detail/connection.hpp"

#include "base/strings.hpp"
#include "net/detail/number_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

namespace leeway::net {
namespace {

// A standing read gets what the present request left free, so there is room for two usual requests.
constexpr std::size_t kBufferBytes = 16 * 1024;
// Room that stays free behind a request, so that a read can stand while it is handled.
constexpr std::size_t kStandingRoom = 512;
constexpr auto kLingerTime = std::chrono::seconds(2);
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::string_view kCrLf = "\r\n";
constexpr std::string_view kLastChunk = "0\r\n\r\n";
// A declared length is only a claim: memory grows with what arrives.
constexpr std::size_t kFirstBodyBytes = 64 * 1024;
constexpr std::size_t kBelievedBytes = 1024 * 1024;

}  // namespace

Connection::Connection(ServerState& server, std::unique_ptr<Stream> stream)
    : server_(server),
      stream_(std::move(stream)),
      buffer_(kBufferBytes),
      timer_(server.loop.timers(), &Connection::on_timer, this) {
    read_op_.set_hook(&Connection::on_standing_read, this);
    place_ = server_.connections.insert(server_.connections.end(), this);
    server_.count.fetch_add(1, std::memory_order_relaxed);
}

Connection::~Connection() {
    server_.connections.erase(place_);
    server_.count.fetch_sub(1, std::memory_order_relaxed);
}

void Connection::on_timer(void* self) {
    auto& connection = *static_cast<Connection*>(self);
    connection.timed_out_ = true;
    connection.stream_->cancel();
}

void Connection::on_standing_read(void* self, IoResult result) {
    auto& connection = *static_cast<Connection*>(self);
    // Also behind bytes that came too early a hang-up must be seen.
    const bool stand_on = result.status == IoStatus::kOk && connection.watched_ != nullptr;
    connection.note_read(result);
    if (stand_on) connection.start_read();  // `note_read` has interrupted nothing, so we are alive
}

void Connection::start_read() {
    if (read_op_.pending() || gone_ || buffer_.tail().empty()) return;
    stream_->start_read(read_op_, buffer_.tail());
}

void Connection::note_read(IoResult result) {
    if (result.status == IoStatus::kOk) {
        buffer_.added(result.bytes);
        pipelined_ = pipelined_ || (busy_ && body_state_ != Body::kUnread);
        return;
    }
    if (result.status == IoStatus::kCanceled) return;
    gone_ = true;
    broken_ = broken_ || result.status == IoStatus::kReset;
    if (watched_ != nullptr) watched_->interrupt(Deadline::Reason::kClientGone);
}

// Waits for more bytes. False: none will come (end, reset, time-out, drain).
Task<bool> Connection::read_more() {
    const std::size_t before = buffer_.size();
    start_read();
    if (read_op_.pending()) {
        const IoResult result = co_await read_op_;
        note_read(result);
    }
    co_return buffer_.size() > before;
}

Task<void> Connection::run(bool full) {
    if (full) {
        Error busy{ErrorCode::kUnavailable,
                   "the gateway has too many connections",
                   "try again in a moment",
                   {},
                   "busy"};
        co_await refuse(std::move(busy));
    }
    while (!full && !broken_) {
        busy_ = timed_out_ = answered_ = bodyless_ = false;
        auto head_size = co_await read_head();
        if (!head_size) {
            co_await refuse(std::move(head_size.error()));
            break;
        }
        if (*head_size == 0) break;  // closed between requests
        const bool go_on = co_await serve_one(*head_size);
        if (!go_on) break;
    }
    co_await close_gently();
    if (failure_) std::rethrow_exception(failure_);
}

Task<Result<std::size_t>> Connection::read_head() {
    scanner_.reset();
    bool begun = false;
    timer_.arm(monotonic_now() + server_.options.idle_timeout);
    for (;;) {
        while (!begun && buffer_.view().starts_with(kCrLf)) buffer_.consume(2);  // RFC 9112 2.2
        const bool maybe_empty_line = buffer_.size() == 1 && buffer_.view().front() == '\r';
        if (!begun && !buffer_.empty() && !maybe_empty_line) {
            begun = true;
            arrival_ = monotonic_now();
        }
        if (begun) {
            auto size = scanner_.scan(buffer_.view(), server_.options.head);
            if (!size) co_return fail(std::move(size.error()));
            if (*size > 0) {
                timer_.cancel();
                co_return *size;
            }
        }
        if (!begun && server_.draining) co_return std::size_t{0};
        if (begun) timer_.arm(arrival_ + server_.options.header_timeout);
        if (!read_op_.pending()) buffer_.reserve(kStandingRoom);
        const bool more = co_await read_more();
        if (more) continue;
        timer_.cancel();
        if (!begun || (gone_ && broken_)) co_return std::size_t{0};
        co_return fail(read_error("the header"));
    }
}

Error Connection::read_error(std::string_view what) const {
    if (interrupted_) {
        return Error{ErrorCode::kUnavailable,
                     "the gateway is shutting down",
                     "send the request again",
                     {},
                     "shutting_down"};
    }
    if (timed_out_) {
        return Error{ErrorCode::kRequestTimeout,
                     fmt::format("{} of the request did not arrive in time", what),
                     "send the request without pauses",
                     {},
                     "request_timeout"};
    }
    if (broken_)
        return Error{
            ErrorCode::kClientGone, "the client broke the connection", {}, {}, "client_gone"};
    return Error{ErrorCode::kInvalidRequest,
                 fmt::format("the connection was closed before {} was complete", what),
                 {},
                 {},
                 "incomplete_request"};
}

// False: the connection must end.
Task<bool> Connection::serve_one(std::size_t head_size) {
    busy_ = true;
    streaming_ = pipelined_ = false;
    if (!read_op_.pending()) buffer_.reserve(kStandingRoom);
    auto parsed =
        parse_request_head(buffer_.view().substr(0, head_size), server_.options.head, head_);
    if (!parsed) {
        co_await refuse(std::move(parsed.error()));
        co_return false;
    }
    request_bytes_ = head_size;
    keep_alive_ = head_.keep_alive;
    body_state_ = head_.framing == Framing::kNone ? Body::kNone : Body::kUnread;
    pipelined_ = body_state_ == Body::kNone && buffer_.size() > head_size;

    bodyless_ = head_.method == "HEAD";

    try {
        co_await server_.handler.handle(*this);
    } catch (...) {
        // The connection must still end in order: a read may be standing in it.
        failure_ = std::current_exception();
    }

    watched_ = nullptr;
    large_.reset();
    if (body_.capacity() > 256 * 1024) std::string().swap(body_);
    body_part_.give_back();
    if (streaming_) break_off();
    if (!answered_ && !broken_) {
        co_await refuse(
            Error{ErrorCode::kInternal, "the request was not answered", {}, {}, "internal_error"});
        co_return false;
    }
    // An unread body would be taken for the next request.
    if (body_state_ == Body::kUnread || !keep_alive_ || gone_ || failure_) co_return false;
    buffer_.consume(request_bytes_);
    co_return true;
}

Task<Result<std::string_view>> Connection::read_body() {
    if (body_state_ == Body::kNone) co_return std::string_view();
    if (head_.framing == Framing::kLength && head_.content_length > server_.options.body_bytes) {
        co_return fail(Error{ErrorCode::kPayloadTooLarge,
                             fmt::format("the request body has {} bytes, more than the limit of {}",
                                         head_.content_length, server_.options.body_bytes),
                             "send less, or raise `server.limits.body_bytes`",
                             {},
                             "request_too_large"});
    }
    const bool all_here = head_.framing == Framing::kLength &&
                          buffer_.size() >= request_bytes_ + head_.content_length;
    if (head_.expects_continue && buffer_.size() == request_bytes_) {
        const std::array<std::string_view, 1> pieces{kContinue};
        const bool sent = co_await write(pieces);
        if (!sent) co_return fail(read_error("the body"));
    }
    if (!all_here) timer_.arm(monotonic_now() + server_.options.body_timeout);
    if (!all_here && read_op_.pending()) {
        // Left standing by the request before; what it brings lands in the buffer.
        const bool more = co_await read_more();
        if (!more) {
            timer_.cancel();
            co_return fail(read_error("the body"));
        }
    }
    // Await into a name: `?:` around co_await is miscompiled by g++ 12.
    if (head_.framing == Framing::kLength) {
        auto body = co_await read_sized_body();
        timer_.cancel();
        co_return body;
    }
    auto body = co_await read_chunked_body();
    timer_.cancel();
    co_return body;
}

// Before a body takes so much memory. Small ones are not counted: connections are, and their requests are many.
Result<void> Connection::hold_body(std::size_t bytes) {
    if (bytes <= kFirstBodyBytes || body_part_.grow(server_.options.body_room.get(), bytes))
        return {};
    return fail(Error{ErrorCode::kUnavailable,
                      "the gateway holds as many large requests as its memory allows",
                      "try again in a moment, or raise `server.limits.body_memory`",
                      {},
                      "busy"});
}

Task<Result<std::string_view>> Connection::read_sized_body() {
    const auto length = static_cast<std::size_t>(head_.content_length);
    const std::size_t here = std::min(buffer_.size() - request_bytes_, length);
    const std::size_t wanted = request_bytes_ + length;
    // Small bodies stay in the buffer; it must not move, since the head's views point into it.
    if (length - here + kStandingRoom <= buffer_.tail().size()) {
        while (buffer_.size() < wanted) {
            const bool more = co_await read_more();
            if (!more) co_return fail(read_error("the body"));
        }
        const std::string_view body = buffer_.view().substr(request_bytes_, length);
        request_bytes_ = wanted;
        body_state_ = Body::kRead;
        pipelined_ = buffer_.size() > wanted;
        co_return body;
    }
    const std::size_t first = std::min(length, std::max(here * 2, kFirstBodyBytes));
    if (auto held = hold_body(first); !held) co_return fail(std::move(held.error()));
    large_ = std::make_unique<ReadBuffer>(first);
    std::memcpy(large_->tail().data(), buffer_.view().data() + request_bytes_, here);
    large_->added(here);
    request_bytes_ += here;
    while (large_->size() < length) {
        if (gone_) co_return fail(read_error("the body"));
        const std::size_t missing = length - large_->size();
        // A length that is only claimed costs little; once there is much, all is made room for at once: moving it again
        // and again would hold up other requests.
        const std::size_t more = large_->size() < kBelievedBytes ? large_->size() : missing;
        if (large_->tail().empty()) {
            if (auto held = hold_body(std::min(length, large_->size() + more)); !held)
                co_return fail(std::move(held.error()));
            large_->reserve(std::min(missing, more));
        }
        const std::span<char> room = large_->tail();
        stream_->start_read(read_op_, room.first(std::min(room.size(), missing)));
        const IoResult result = co_await read_op_;
        if (result.status != IoStatus::kOk) {
            gone_ = result.status != IoStatus::kCanceled;
            broken_ = result.status == IoStatus::kReset;
            co_return fail(read_error("the body"));
        }
        large_->added(result.bytes);
    }
    body_state_ = Body::kRead;
    co_return large_->view();
}

Task<Result<std::string_view>> Connection::read_chunked_body() {
    ChunkDecoder decoder;
    body_.clear();
    // Its own buffer: the head's views must not move.
    ReadBuffer chunks(kBufferBytes);
    const std::string_view early = buffer_.view().substr(request_bytes_);
    chunks.reserve(early.size() + kStandingRoom);
    std::copy(early.begin(), early.end(), chunks.tail().begin());
    chunks.added(early.size());
    const std::size_t early_size = early.size();
    for (;;) {
        while (!decoder.done() && !chunks.empty()) {
            auto step = decoder.step(chunks.view());
            if (!step) co_return fail(std::move(step.error()));
            if (body_.size() + step->data.size() > server_.options.body_bytes) {
                co_return fail(Error{ErrorCode::kPayloadTooLarge,
                                     fmt::format("the request body has more than {} bytes",
                                                 server_.options.body_bytes),
                                     "send less, or raise `server.limits.body_bytes`",
                                     {},
                                     "request_too_large"});
            }
            if (body_.size() + step->data.size() > body_.capacity()) {
                if (auto held = hold_body((body_.size() + step->data.size()) * 2); !held)
                    co_return fail(std::move(held.error()));
            }
            body_.append(step->data);
            chunks.consume(step->consumed);
        }
        if (decoder.done()) break;
        if (gone_) co_return fail(read_error("the body"));
        chunks.reserve(kStandingRoom);
        stream_->start_read(read_op_, chunks.tail());
        const IoResult result = co_await read_op_;
        if (result.status != IoStatus::kOk) {
            gone_ = result.status != IoStatus::kCanceled;
            broken_ = result.status == IoStatus::kReset;
            co_return fail(read_error("the body"));
        }
        chunks.added(result.bytes);
    }
    request_bytes_ += early_size;
    body_state_ = Body::kRead;
    if (!chunks.empty()) {
        // Bytes behind a chunked body that came with it: the next request, pipelined. We answer this
        // one and close, since they are not in the buffer.
        pipelined_ = true;
        keep_alive_ = false;
    }
    body_.reserve(body_.size() + ReadBuffer::kPadding);
    co_return std::string_view(body_);
}

void Connection::watch(Deadline& deadline) {
    watched_ = &deadline;
    start_read();
    if (gone_) deadline.interrupt(Deadline::Reason::kClientGone);
}

void Connection::write_head(int status, std::span<const Field> fields, std::string_view framing) {
    // Pipelining is refused: whoever sends ahead gets this answer and a closed connection.
    keep_alive_ =
        keep_alive_ && !pipelined_ && !server_.draining && body_state_ != Body::kUnread && !gone_;
    out_head_.clear();
    std::array<char, 12> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), status).ptr;
    out_head_.append("HTTP/1.1 ").append(digits.data(), end).append(" ");
    out_head_.append(reason_phrase(status)).append(kCrLf);
    for (const Field& field : fields) {
        if (!is_field_value(field.name) || !is_field_value(field.value)) continue;
        out_head_.append(field.name).append(": ").append(field.value).append(kCrLf);
    }
    out_head_.append(framing);
    if (!keep_alive_) {
        out_head_.append("connection: close\r\n");
    } else if (head_.http_1_0) {
        out_head_.append("connection: keep-alive\r\n");
    }
    out_head_.append(kCrLf);
    answered_ = true;
}

Task<bool> Connection::write(std::span<const std::string_view> pieces) {
    if (broken_) co_return false;
    stream_->start_write(write_op_, pieces);
    if (write_op_.pending()) {
        timer_.arm(monotonic_now() + server_.options.write_timeout);
        co_await write_op_;
        timer_.cancel();
    }
    if (write_op_.result().status != IoStatus::kOk) {
        broken_ = true;
        keep_alive_ = false;
    }
    co_return !broken_;
}

Task<bool> Connection::respond(int status, std::span<const Field> fields, std::string_view body) {
    if (answered_) co_return false;
    write_head(status, fields, content_length_line(body.size()).view());
    const std::string_view sent_body = bodyless_ ? std::string_view() : body;
    const std::array<std::string_view, 2> pieces{out_head_, sent_body};
    const bool ok = co_await write(pieces);
    co_return ok;
}

Task<bool> Connection::begin_stream(int status, std::span<const Field> fields) {
    if (answered_) co_return false;
    if (head_.http_1_0) keep_alive_ = false;  // the end is the end of the connection
    write_head(
        status, fields,
        head_.http_1_0 ? std::string_view() : std::string_view("transfer-encoding: chunked\r\n"));
    streaming_ = true;
    const std::array<std::string_view, 1> pieces{out_head_};
    const bool ok = co_await write(pieces);
    co_return ok;
}

Task<bool> Connection::send(std::span<const std::string_view> pieces) {
    std::array<std::string_view, 16> parts;
    std::size_t total = 0;
    std::size_t count = head_.http_1_0 ? 0 : 1;
    for (const std::string_view piece : pieces.first(std::min<std::size_t>(pieces.size(), 12))) {
        if (piece.empty()) continue;
        parts[count++] = piece;
        total += piece.size();
    }
    if (total == 0 || bodyless_ || !streaming_) co_return !broken_;
    const NumberLine size_line = chunk_size_line(total);
    if (!head_.http_1_0) {
        parts[0] = size_line.view();
        parts[count++] = kCrLf;
    }
    const bool ok = co_await write(std::span<const std::string_view>(parts.data(), count));
    co_return ok;
}

Task<bool> Connection::end_stream() {
    if (!std::exchange(streaming_, false) || head_.http_1_0 || bodyless_) co_return !broken_;
    const std::array<std::string_view, 1> pieces{kLastChunk};
    const bool ok = co_await write(pieces);
    co_return ok;
}

void Connection::break_off() noexcept {
    answered_ = true;
    streaming_ = keep_alive_ = false;
    broken_ = true;
    hard_close_ = head_.http_1_0;  // its answers end with the connection
}

// An error of the server itself; the connection ends afterwards.
Task<void> Connection::refuse(Error error) {
    if (broken_ || answered_) co_return;
    keep_alive_ = false;
    const std::string body = server_.handler.render_error(error, {});
    const std::array<Field, 2> fields{Field{"content-type", "application/json"},
                                      Field{"retry-after", "1"}};
    const std::size_t count = error.code == ErrorCode::kUnavailable ? 2 : 1;
    head_.http_1_0 = false;
    const std::span<const Field> used(fields.data(), count);
    co_await respond(http_status(error.code), used, body);
    body_state_ = Body::kUnread;  // whatever else the client has sent
}

// Closing at once while unread bytes wait would reset the connection and could destroy the answer on
// its way; so: finish sending, read on for a moment, then close.
Task<void> Connection::close_gently() {
    const bool unread = body_state_ == Body::kUnread || pipelined_;
    if (!broken_ && unread) {
        stream_->shutdown_write();
        timed_out_ = false;
        timer_.arm(monotonic_now() + kLingerTime);
        while (!gone_ && !timed_out_ && answered_) {
            if (!read_op_.pending()) {
                buffer_.consume(buffer_.size());
                buffer_.reserve(kStandingRoom);
            }
            const bool more = co_await read_more();
            if (!more) break;
        }
        timer_.cancel();
    }
    if (hard_close_) {
        stream_->abort();
    } else {
        stream_->close();
    }
    if (read_op_.pending()) co_await read_op_;
    if (write_op_.pending()) co_await write_op_;
}

void Connection::drain() noexcept {
    if (!busy_ && buffer_.empty()) stream_->cancel();
}

void Connection::interrupt() noexcept {
    interrupted_ = true;
    // The client does not read: only breaking off ends that. Completes later, so we are alive below.
    if (watched_ == nullptr || write_op_.pending()) stream_->cancel();
    if (watched_ != nullptr) watched_->interrupt(Deadline::Reason::kShutdown);
}

}  // namespace leeway::net
