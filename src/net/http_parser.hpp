#pragma once

#include "base/result.hpp"
#include "net/http_message.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace leeway::net {

/// HTTP/1.1 parsing after RFC 9112, strict where leniency lets two parsers disagree about where a
/// message ends (request smuggling): bare LF, obsolete folding, space before the colon, two lengths,
/// length together with chunked, any transfer coding but "chunked", and signs in a length are all
/// refused. Synchronous, no allocation but for the field list, no state between messages.

struct HeadLimits {
    std::size_t bytes = 32 * 1024;
    std::size_t fields = 100;
};

/// Whether `text` has only what a field value may have (RFC 9110 section 5.5): no control characters
/// but tabs, so nothing that could end the line and forge another.
[[nodiscard]] bool is_field_value(std::string_view text) noexcept;

/// Finds the end of a head that arrives in pieces, looking at each byte once.
class HeadScanner {
public:
    /// `buffer` is all that has arrived of this head. Returns the size of the head including its
    /// empty line, 0 when more is needed, or an error (bare LF, too large).
    [[nodiscard]] Result<std::size_t> scan(std::string_view buffer, const HeadLimits& limits);
    void reset() noexcept { line_start_ = scanned_ = 0; }

private:
    std::size_t line_start_ = 0;
    std::size_t scanned_ = 0;
};

/// Parses a complete head (as `HeadScanner` measured it). Views point into `head`.
[[nodiscard]] Result<void> parse_request_head(std::string_view head, const HeadLimits& limits,
                                              RequestHead& out);
/// The same for a response. `head_request`: the answer to a HEAD has no body.
[[nodiscard]] Result<void> parse_response_head(std::string_view head, const HeadLimits& limits,
                                               bool head_request, ResponseHead& out);

/// Takes the chunked coding off a body, in place: what it yields are views into its input.
class ChunkDecoder {
public:
    struct Step {
        std::size_t consumed = 0;  ///< bytes of the input that are done with
        std::string_view data;  ///< body bytes among them; may be empty
    };
    /// Decodes up to the end of one run of data. Call again with the rest while `consumed` > 0.
    [[nodiscard]] Result<Step> step(std::string_view input);
    /// The last chunk and its trailers have been read.
    [[nodiscard]] bool done() const noexcept { return state_ == State::kDone; }
    void reset() noexcept { *this = ChunkDecoder(); }

private:
    enum class State : std::uint8_t {
        kSize,
        kPadding,
        kExtension,
        kSizeLf,
        kData,
        kDataCr,
        kDataLf,
        kTrailerStart,
        kTrailer,
        kTrailerLf,
        kEndLf,
        kDone
    };
    State state_ = State::kSize;
    std::uint64_t size_ = 0;
    std::uint32_t digits_ = 0;
    std::uint32_t overhead_ = 0;  // bytes of extensions and trailers, bounded
};

}  // namespace leeway::net
