#pragma once

#include <strings.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace bench {

/// Reads one HTTP/1.1 message at a time from bytes that arrive in any pieces. Knows Content-Length
/// and chunked bodies; a response without either is refused, so that a cut answer never counts.
class MessageReader {
public:
    enum class Status { kMore, kDone, kBad };
    enum class Kind { kRequest, kResponse };

    explicit MessageReader(Kind kind) : kind_(kind) {}

    /// Forgets the message; keeps the buffers.
    void reset() {
        state_ = State::kHead;
        head_.clear();
        body.clear();
        line_.clear();
        left_ = 0;
        has_length_ = chunked_ = close_ = false;
    }

    /// Takes what belongs to this message from the front of `in`.
    Status feed(std::string_view& in) {
        while (state_ != State::kDone) {
            if (in.empty()) return Status::kMore;
            switch (state_) {
                case State::kHead:
                    if (!take_head(in)) return Status::kMore;
                    if (!read_head()) return Status::kBad;
                    break;
                case State::kBody:
                    take_body(in);
                    if (left_ == 0) state_ = chunked_ ? State::kChunkEnd : State::kDone;
                    break;
                case State::kChunkSize:
                    if (!take_line(in)) return line_.size() > 64 ? Status::kBad : Status::kMore;
                    if (!read_chunk_size()) return Status::kBad;
                    break;
                case State::kChunkEnd:
                    if (!take_line(in)) return line_.size() > 1 ? Status::kBad : Status::kMore;
                    if (!line_.empty()) return Status::kBad;
                    state_ = State::kChunkSize;
                    break;
                case State::kTrailer: {
                    if (!take_line(in)) return Status::kMore;
                    if (line_.empty()) state_ = State::kDone;
                    line_.clear();
                    break;
                }
                case State::kDone: break;
            }
        }
        return Status::kDone;
    }

    [[nodiscard]] bool started() const { return !head_.empty(); }
    [[nodiscard]] bool head_complete() const { return state_ != State::kHead; }
    [[nodiscard]] bool done() const { return state_ == State::kDone; }
    /// Request line or status line with the header lines. Valid until reset().
    [[nodiscard]] const std::string& head() const { return head_; }
    /// Of a response; 0 before the head is complete.
    [[nodiscard]] int status() const {
        return head_complete() && head_.size() > 12 ? std::atoi(head_.c_str() + 9) : 0;
    }
    /// The peer will close the connection after this message.
    [[nodiscard]] bool closes() const { return close_; }

    /// Decoded body so far. A reader of streams may take from its front between feeds.
    std::string body;

private:
    enum class State { kHead, kBody, kChunkSize, kChunkEnd, kTrailer, kDone };

    bool take_head(std::string_view& in) {
        const std::size_t before = head_.size();
        head_.append(in);
        const std::size_t end = head_.find("\r\n\r\n", before < 3 ? 0 : before - 3);
        if (end == std::string::npos) {
            in = {};
            return false;
        }
        in.remove_prefix(end + 4 - before);
        head_.resize(end + 4);
        return true;
    }

    bool read_head() {
        std::size_t at = head_.find("\r\n") + 2;
        while (at + 2 < head_.size()) {
            const std::size_t end = head_.find("\r\n", at);
            read_header(std::string_view(head_).substr(at, end - at));
            at = end + 2;
        }
        if (chunked_ == has_length_ && (chunked_ || kind_ == Kind::kResponse)) return false;
        state_ = chunked_ ? State::kChunkSize : left_ > 0 ? State::kBody : State::kDone;
        return true;
    }

    void read_header(std::string_view header) {
        const std::size_t colon = header.find(':');
        if (colon == std::string_view::npos) return;
        const std::string_view name = header.substr(0, colon);
        std::string_view value = header.substr(colon + 1);
        while (value.starts_with(' ')) value.remove_prefix(1);
        if (same(name, "content-length")) {
            has_length_ = true;
            left_ = std::strtoull(value.data(), nullptr, 10);
            body.reserve(std::min<std::uint64_t>(left_, 1 << 20));
        } else if (same(name, "transfer-encoding")) {
            chunked_ = same(value, "chunked");
        } else if (same(name, "connection")) {
            close_ = same(value, "close");
        }
    }

    static bool same(std::string_view a, std::string_view b) {
        return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
    }

    void take_body(std::string_view& in) {
        const std::size_t n = std::min<std::uint64_t>(left_, in.size());
        body.append(in.substr(0, n));
        in.remove_prefix(n);
        left_ -= n;
    }

    /// True when a whole line (without its end) is in line_.
    bool take_line(std::string_view& in) {
        const std::size_t end = in.find('\n');
        line_.append(in.substr(0, end));
        in.remove_prefix(end == std::string_view::npos ? in.size() : end + 1);
        if (end == std::string_view::npos) return false;
        if (line_.ends_with('\r')) line_.pop_back();
        return true;
    }

    bool read_chunk_size() {
        char* end = nullptr;
        left_ = std::strtoull(line_.c_str(), &end, 16);
        if (end == line_.c_str() || (*end != '\0' && *end != ';')) return false;
        line_.clear();
        state_ = left_ > 0 ? State::kBody : State::kTrailer;
        return true;
    }

    Kind kind_;
    State state_ = State::kHead;
    std::string head_;
    std::string line_;
    std::uint64_t left_ = 0;
    bool has_length_ = false;
    bool chunked_ = false;
    bool close_ = false;
};

}  // namespace bench
