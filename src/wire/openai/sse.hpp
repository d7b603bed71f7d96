#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace leeway::wire::openai {

struct SseLimits {
    // Models that draw or speak put a whole picture or a long sound into one event.
    std::size_t max_line = std::size_t{16} << 20;   ///< bytes, without the line end
    std::size_t max_event = std::size_t{16} << 20;  ///< bytes, with all line ends
};

/// One block of an event stream up to and with its blank line. Views into the chunk that was fed, or into
/// the scanner; valid until the next `next`, `feed` or `finish`, and no longer than the chunk.
struct SseEvent {
    std::string_view raw;  ///< all its bytes; the raws of a stream put together are the stream
    std::string_view data;  ///< joined `data` lines
    std::string_view type;  ///< the `event` field, mostly empty
    bool has_data = false;  ///< false: only comments or other fields
    bool whole = true;  ///< false: what was left when the stream ended
};

/// Cuts the bytes of a streamed answer into events. Owned by one thread.
///
///     scanner.feed(chunk);
///     while (true) {
///         auto more = scanner.next(event);     // Result<bool>: fails when a limit is passed
///         if (!more || !*more) break;
///     }
///
/// Call `next` until false before the next `feed`.
class EventScanner {
public:
    EventScanner() = default;
    EventScanner(const EventScanner&) = delete;
    EventScanner& operator=(const EventScanner&) = delete;
    virtual ~EventScanner() = default;

    /// The next bytes of the stream; they must stay until `next` has returned false.
    virtual void feed(std::string_view chunk) noexcept = 0;
    /// The next event. False: more bytes are needed. Fails with `kUpstreamInvalid` and then always fails.
    [[nodiscard]] virtual Result<bool> next(SseEvent& event) = 0;
    /// At the end of the stream: what came after the last whole event, false when that is nothing.
    [[nodiscard]] virtual bool finish(SseEvent& event) = 0;
};

/// The scanner of text/event-stream, whatever the chunks are: LF, CR LF and CR, a byte order mark, comments
/// and several data lines. An event that lies whole in a chunk is not copied; idle it holds the bytes of the
/// unfinished event only. Failures have the reasons "sse_line_too_long" and "sse_event_too_long".
class SseScanner final : public EventScanner {
public:
    SseScanner() = default;
    explicit SseScanner(SseLimits limits) noexcept : limits_(limits) {}

    void feed(std::string_view chunk) noexcept override;
    [[nodiscard]] Result<bool> next(SseEvent& event) override;
    [[nodiscard]] bool finish(SseEvent& event) override;
    /// How many bytes of the chunk lie behind the event that `next` gave.
    [[nodiscard]] std::size_t behind() const noexcept { return chunk_.size() - start_; }
    /// Bytes of the unfinished event that are kept.
    [[nodiscard]] std::size_t held() const noexcept { return release_ ? 0 : held_.size(); }

private:
    void complete(SseEvent& event);
    void hold();
    void fields(SseEvent& event);
    void release();

    SseLimits limits_;
    std::string_view chunk_;
    std::size_t start_ = 0;  // of the current event in chunk_
    std::size_t scan_ = 0;  // everything in chunk_ before this was looked at
    std::string held_;  // the part of the current event that came in earlier chunks
    std::string joined_;  // data of an event with several data lines
    std::size_t line_ = 0;  // bytes of the current line so far
    std::size_t lines_ = 0;  // lines of the current event that are not blank
    bool after_cr_ = false;  // a LF that follows belongs to the line end before it
    bool release_ = false;  // held_ was given out
    bool first_ = true;  // a byte order mark may stand here
    bool broken_ = false;
};

}  // namespace leeway::wire::openai
