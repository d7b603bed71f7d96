#include "net/detail/upstream_connection.hpp"

#include "net/detail/number_line.hpp"

#include <algorithm>

namespace leeway::net {
namespace {

constexpr std::size_t kBufferBytes = 16 * 1024;
constexpr std::size_t kReadRoom = 4 * 1024;
constexpr HeadLimits kHeadLimits{.bytes = 64 * 1024, .fields = 200};

Error broken(std::string message, std::string reason) {
    return Error{ErrorCode::kUpstreamInvalid, std::move(message), {}, {}, std::move(reason)};
}

/// Refuses early what cannot become HTTP, instead of waiting for a line that never ends.
bool may_be_http(std::string_view seen) {
    constexpr std::string_view kStart = "HTTP/1.";
    return seen.substr(0, kStart.size()) == kStart.substr(0, std::min(seen.size(), kStart.size()));
}

}  // namespace

UpstreamConnection::UpstreamConnection(std::unique_ptr<Stream> stream)
    : stream_(std::move(stream)), buffer_(kBufferBytes) {
    read_op_.set_hook(&UpstreamConnection::on_unawaited_read, this);
}

void UpstreamConnection::on_interrupt(void* self) {
    static_cast<UpstreamConnection*>(self)->stream_->cancel();
}

void UpstreamConnection::note_read(IoResult result) {
    if (result.status == IoStatus::kOk) {
        buffer_.added(result.bytes);
        heard_ = true;
        return;
    }
    ended_ = true;
    reset_ = result.status != IoStatus::kEnd;
}

Task<Result<void>> UpstreamConnection::send(const Origin& origin, const UpstreamRequest& request,
                                            Deadline& deadline) {
    complete_ = heard_ = false;
    chunks_.reset();
    scanner_.reset();
    piece_count_ = yielded_ = 0;
    if (deadline.interrupted()) co_return fail(deadline.error());
    std::size_t length = 0;
    for (const std::string_view piece : request.body) length += piece.size();
    out_.clear();
    out_.append(request.method).append(" ").append(request.target).append(" HTTP/1.1\r\nhost: ");
    out_.append(origin.url.host_header).append("\r\n");
    for (const Field& field : request.fields) {
        if (!is_field_value(field.name) || !is_field_value(field.value)) {
            co_return fail(Error{ErrorCode::kInternal,
                                 "the header '" + std::string(field.name) +
                                     "' for the upstream has a control character in it",
                                 "check the provider's key and headers in the configuration",
                                 {},
                                 "bad_upstream_header"});
        }
        out_.append(field.name).append(": ").append(field.value).append("\r\n");
    }
    if (length > 0 || request.method == "POST") {
        out_.append(content_length_line(length).view());
    }
    out_.append("\r\n");
    std::array<std::string_view, UpstreamCall::kMaxPieces + 1> pieces;
    std::size_t count = 0;
    pieces[count++] = out_;
    for (const std::string_view piece : request.body) {
        if (count == pieces.size())
            co_return fail(ErrorCode::kInternal, "a request body in too many pieces");
        pieces[count++] = piece;
    }
    const Deadline::Guard guard(deadline, &UpstreamConnection::on_interrupt, this);
    stream_->start_write(write_op_, {pieces.data(), count});
    const IoResult result = co_await write_op_;
    if (deadline.interrupted()) co_return fail(deadline.error());
    if (result.status != IoStatus::kOk) {
        co_return fail(broken("the upstream closed the connection while the request was sent",
                              "upstream_closed"));
    }
    co_return Result<void>();
}

// Waits for more bytes in the buffer.
Task<Result<void>> UpstreamConnection::fill(Deadline& deadline) {
    if (deadline.interrupted()) co_return fail(deadline.error());
    const std::size_t before = buffer_.size();
    if (!ended_) {
        if (!read_op_.pending()) {
            buffer_.reserve(kReadRoom);
            stream_->start_read(read_op_, buffer_.tail());
        }
        const Deadline::Guard guard(deadline, &UpstreamConnection::on_interrupt, this);
        const IoResult result = co_await read_op_;
        note_read(result);
    }
    if (deadline.interrupted()) co_return fail(deadline.error());
    if (buffer_.size() == before) {
        co_return fail(broken(reset_ ? "the upstream broke the connection"
                                     : "the upstream closed the connection early",
                              "upstream_closed"));
    }
    co_return Result<void>();
}

Task<Result<void>> UpstreamConnection::read_head(bool head_request, Deadline& deadline) {
    for (;;) {
        if (!may_be_http(buffer_.view()))
            co_return fail(broken("the upstream's answer is not HTTP/1.1", "upstream_not_http"));
        auto size = scanner_.scan(buffer_.view(), kHeadLimits);
        if (!size)
            co_return fail(broken("the upstream's answer is not HTTP: " + size.error().message,
                                  "upstream_not_http"));
        if (*size == 0) {
            auto filled = co_await fill(deadline);
            if (!filled) co_return fail(std::move(filled.error()));
            continue;
        }
        auto parsed =
            parse_response_head(buffer_.view().substr(0, *size), kHeadLimits, head_request, head);
        if (!parsed)
            co_return fail(broken("the upstream's answer is not HTTP: " + parsed.error().message,
                                  "upstream_not_http"));
        if (head.status == 101)
            co_return fail(broken("the upstream switched protocols unasked", "upstream_not_http"));
        if (head.status < 200) {
            buffer_.consume(*size);
            continue;
        }
        yielded_ = *size;  // the head's views live until the first body read
        remaining_ = head.content_length;
        complete_ = head.framing == Framing::kNone;
        co_return Result<void>();
    }
}

Result<void> UpstreamConnection::decode_chunks() {
    std::string_view rest = buffer_.view();
    while (piece_count_ < pieces_.size() && !chunks_.done()) {
        auto step = chunks_.step(rest);
        if (!step)
            return fail(broken("the upstream's answer is not HTTP: " + step.error().message,
                               "upstream_bad_framing"));
        if (step->consumed == 0) break;
        rest.remove_prefix(step->consumed);
        yielded_ += step->consumed;
        if (!step->data.empty()) pieces_[piece_count_++] = step->data;
    }
    complete_ = chunks_.done();
    return {};
}

Task<Result<std::span<const std::string_view>>> UpstreamConnection::read_body(Deadline& deadline) {
    for (;;) {
        buffer_.consume(yielded_);
        yielded_ = piece_count_ = 0;
        if (complete_) co_return std::span<const std::string_view>();
        if (head.framing == Framing::kChunked) {
            if (auto decoded = decode_chunks(); !decoded)
                co_return fail(std::move(decoded.error()));
        } else if (!buffer_.empty()) {
            std::string_view data = buffer_.view();
            if (head.framing == Framing::kLength) {
                data = data.substr(
                    0, static_cast<std::size_t>(std::min<std::uint64_t>(data.size(), remaining_)));
                remaining_ -= data.size();
                complete_ = remaining_ == 0;
            }
            yielded_ = data.size();
            pieces_[piece_count_++] = data;
        }
        if (piece_count_ > 0)
            co_return std::span<const std::string_view>(pieces_.data(), piece_count_);
        if (complete_) continue;
        buffer_.consume(yielded_);
        yielded_ = 0;
        auto filled = co_await fill(deadline);
        if (filled) continue;
        const bool ends_by_close =
            head.framing == Framing::kUntilClose && !reset_ && !deadline.interrupted();
        if (!ends_by_close) co_return fail(std::move(filled.error()));
        complete_ = true;
    }
}

bool UpstreamConnection::reusable() const noexcept {
    return complete_ && !ended_ && head.keep_alive && buffer_.size() == yielded_;
}

void UpstreamConnection::park(ParkHook hook, void* context) {
    buffer_.consume(yielded_);
    yielded_ = 0;
    park_hook_ = hook;
    park_context_ = context;
    if (read_op_.pending()) return;
    buffer_.reserve(kReadRoom);
    stream_->start_read(read_op_, buffer_.tail());
}

// A read that was left standing ended while nobody waited for it: the connection is idle, or its
// request is still being written.
void UpstreamConnection::on_unawaited_read(void* self, IoResult result) {
    auto& connection = *static_cast<UpstreamConnection*>(self);
    connection.note_read(result);
    if (connection.park_hook_ == nullptr) return;
    connection.ended_ = true;  // unasked bytes are as bad as an end
    connection.park_hook_(connection.park_context_, connection);
}

void UpstreamConnection::on_retired(void* self, IoResult) {
    auto* connection = static_cast<UpstreamConnection*>(self);
    if (!connection->read_op_.pending() && !connection->write_op_.pending()) delete connection;
}

void UpstreamConnection::retire(std::unique_ptr<UpstreamConnection> connection) noexcept {
    connection->stream_->close();
    if (!connection->read_op_.pending() && !connection->write_op_.pending()) return;
    UpstreamConnection* self = connection.release();  // deletes itself when its operations are done
    self->read_op_.set_hook(&UpstreamConnection::on_retired, self);
    self->write_op_.set_hook(&UpstreamConnection::on_retired, self);
}

}  // namespace leeway::net
