#pragma once

#include "wire/openai/sse.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace leeway::wire::bedrock {

/// The scanner of application/vnd.amazon.eventstream: messages with a length, headers, a payload and two CRC-32, one
/// over the lengths and one over all (AWS, "Event stream encoding"). Of a message an event gets
///   data  the payload
///   type  `:event-type`; of an exception its `:exception-type`; "error" for an error that has no type, whose data is
///         then its `:error-message`
/// Whatever the chunks are; a message that lies whole in a chunk is not copied. Failures have the reasons
/// "event_stream_checksum", "event_stream_malformed" and "event_stream_too_long".
class EventStreamScanner final : public openai::EventScanner {
public:
    EventStreamScanner() = default;

    void feed(std::string_view chunk) noexcept override;
    [[nodiscard]] Result<bool> next(openai::SseEvent& event) override;
    [[nodiscard]] bool finish(openai::SseEvent& event) override;

private:
    [[nodiscard]] Result<std::string_view> message();
    void hold(std::size_t up_to);

    std::string_view chunk_;
    std::string held_;  // the part of a message that came in earlier chunks
    bool release_ = false;  // held_ was given out
    bool broken_ = false;
};

/// CRC-32 (IEEE 802.3, reflected, as zlib has it).
[[nodiscard]] std::uint32_t crc32(std::string_view bytes) noexcept;

}  // namespace leeway::wire::bedrock
