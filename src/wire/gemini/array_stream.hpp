#pragma once

#include "wire/openai/sse.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace leeway::wire::gemini {

/// The scanner of streamGenerateContent as it comes without `alt=sse`: one JSON array (application/json) whose elements
/// are the events, or one answer alone, of a server that does not stream. An event's `data` is its element, without line
/// ends, and its `raw` is what the event would have been in text/event-stream. Whatever the chunks are. What is not an
/// object there is a failure, with reason "json_stream_malformed"; an element of more than 16 MiB one with
/// "json_stream_too_long". Elements are not judged.
class ArrayScanner final : public openai::EventScanner {
public:
    void feed(std::string_view chunk) noexcept override { chunk_ = chunk; }
    [[nodiscard]] Result<bool> next(openai::SseEvent& event) override;
    /// Also true, with an event without data, where the array was not closed.
    [[nodiscard]] bool finish(openai::SseEvent& event) override;

private:
    [[nodiscard]] Result<bool> take(char c);

    std::string_view chunk_;
    std::string element_;  // "data: " and what has come of it
    std::size_t depth_ = 0;  // of brackets in the element
    bool in_string_ = false;
    bool escaped_ = false;
    bool opened_ = false;
    bool closed_ = false;
    bool broken_ = false;
    bool given_ = false;  // element_ was given out
};

/// The scanner for either form of stream, by the first byte.
class ContentScanner final : public openai::EventScanner {
public:
    void feed(std::string_view chunk) noexcept override;
    [[nodiscard]] Result<bool> next(openai::SseEvent& event) override;
    [[nodiscard]] bool finish(openai::SseEvent& event) override;

private:
    [[nodiscard]] openai::EventScanner& chosen() noexcept;

    openai::SseScanner events_;
    ArrayScanner array_;
    bool known_ = false;
    bool is_array_ = false;
};

/// Writes a stream as one such array, from the events that ContentCodec writes. A stream that fails or is cut is never
/// a whole array: only `close` ends it.
class ArrayWriter {
public:
    /// Appends whole events of text/event-stream as elements.
    void add(std::string_view events, std::string& out);
    void close(std::string& out);

private:
    bool begun_ = false;
};

}  // namespace leeway::wire::gemini
