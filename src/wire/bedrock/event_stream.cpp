#include "wire/bedrock/event_stream.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

namespace leeway::wire::bedrock {
namespace {

constexpr std::size_t kPrelude = 12;  // length, length of the headers, checksum of both
constexpr std::size_t kChecksum = 4;
constexpr std::size_t kMostMessage = (std::size_t{16} << 20) + kPrelude + kChecksum;

constexpr std::array<std::uint32_t, 256> make_table() {
    constexpr std::uint32_t kPolynomial = 0xEDB88320U;
    std::array<std::uint32_t, 256> out{};
    for (std::uint32_t i = 0; i < out.size(); ++i) {
        std::uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit) value = (value >> 1U) ^ ((value & 1U) * kPolynomial);
        out[i] = value;
    }
    return out;
}
constexpr auto kTable = make_table();

std::uint32_t number(std::string_view bytes, std::size_t at, std::size_t size) noexcept {
    std::uint32_t out = 0;
    for (std::size_t i = 0; i < size; ++i)
        out = (out << 8U) | static_cast<std::uint8_t>(bytes[at + i]);
    return out;
}

tl::unexpected<Error> broken(std::string_view what, std::string reason) {
    return fail(Error{ErrorCode::kUpstreamInvalid,
                      "the upstream's event stream " + std::string(what),
                      {},
                      {},
                      std::move(reason)});
}
tl::unexpected<Error> malformed() { return broken("cannot be read", "event_stream_malformed"); }

/// Size of a header's value that is no text, by its type; npos: there is no such type.
constexpr std::size_t kText = 7;
constexpr std::size_t kBytes = 6;
std::size_t fixed_size(std::size_t type) noexcept {
    constexpr std::array<std::size_t, 10> kSizes{0, 0, 1, 2, 4, 8, 0, 0, 8, 16};
    return type < kSizes.size() ? kSizes[type] : std::string_view::npos;
}

struct Headers {
    std::string_view message_type;
    std::string_view event_type;
    std::string_view exception_type;
    std::string_view error_code;
    std::string_view error_message;
};

/// False: they cannot be read.
bool read_headers(std::string_view bytes, Headers& out) noexcept {
    while (!bytes.empty()) {
        const std::size_t name_size = static_cast<std::uint8_t>(bytes.front());
        if (bytes.size() < name_size + 2) return false;
        const std::string_view name = bytes.substr(1, name_size);
        const std::size_t type = static_cast<std::uint8_t>(bytes[name_size + 1]);
        bytes.remove_prefix(name_size + 2);
        std::size_t size = fixed_size(type);
        if (size == std::string_view::npos) return false;
        if (type == kText || type == kBytes) {
            if (bytes.size() < 2) return false;
            size = number(bytes, 0, 2);
            bytes.remove_prefix(2);
        }
        if (bytes.size() < size) return false;
        const std::string_view value = bytes.substr(0, size);
        bytes.remove_prefix(size);
        if (type != kText) continue;
        if (name == ":message-type") out.message_type = value;
        if (name == ":event-type") out.event_type = value;
        if (name == ":exception-type") out.exception_type = value;
        if (name == ":error-code") out.error_code = value;
        if (name == ":error-message") out.error_message = value;
    }
    return true;
}

/// The length of a message by its first kPrelude bytes.
Result<std::size_t> size_of(std::string_view prelude) {
    const std::size_t size = number(prelude, 0, 4);
    const std::size_t headers = number(prelude, 4, 4);
    if (number(prelude, 8, 4) != crc32(prelude.substr(0, 8)))
        return broken("has a wrong checksum", "event_stream_checksum");
    if (size > kMostMessage)
        return broken("has a message that is too long", "event_stream_too_long");
    if (size < kPrelude + kChecksum || headers > size - kPrelude - kChecksum) return malformed();
    return size;
}

}  // namespace

std::uint32_t crc32(std::string_view bytes) noexcept {
    std::uint32_t out = 0xFFFFFFFFU;
    for (const char c : bytes)
        out = kTable[(out ^ static_cast<std::uint8_t>(c)) & 0xFFU] ^ (out >> 8U);
    return ~out;
}

void EventStreamScanner::feed(std::string_view chunk) noexcept { chunk_ = chunk; }

/// Moves bytes of the chunk into `held_`, until that has `up_to` or the chunk is empty.
void EventStreamScanner::hold(std::size_t up_to) {
    const std::size_t some = std::min(chunk_.size(), up_to - std::min(up_to, held_.size()));
    held_.append(chunk_.substr(0, some));
    chunk_.remove_prefix(some);
}

/// The bytes of the next message; empty: more are needed.
Result<std::string_view> EventStreamScanner::message() {
    if (held_.empty() && chunk_.size() >= kPrelude) {
        const auto size = size_of(chunk_);
        if (!size) return fail(size.error());
        if (chunk_.size() >= *size) {
            const std::string_view whole = chunk_.substr(0, *size);
            chunk_.remove_prefix(*size);
            return whole;
        }
    }
    if (held_.size() < kPrelude) hold(kPrelude);
    if (held_.size() < kPrelude) return std::string_view();
    const auto size = size_of(held_);
    if (!size) return fail(size.error());
    hold(*size);
    if (held_.size() < *size) return std::string_view();
    release_ = true;
    return std::string_view(held_);
}

Result<bool> EventStreamScanner::next(openai::SseEvent& event) {
    if (std::exchange(release_, false)) held_.clear();
    if (broken_) return malformed();
    broken_ = true;  // unless all goes well
    const auto bytes = message();
    if (!bytes) return fail(bytes.error());
    if (bytes->empty()) {
        broken_ = false;
        return false;
    }
    const std::size_t end = bytes->size() - kChecksum;
    if (number(*bytes, end, 4) != crc32(bytes->substr(0, end)))
        return broken("has a wrong checksum", "event_stream_checksum");
    const std::size_t headers_size = number(*bytes, 4, 4);
    Headers headers;
    if (!read_headers(bytes->substr(kPrelude, headers_size), headers)) return malformed();
    event = {};
    event.raw = *bytes;
    event.data = bytes->substr(kPrelude + headers_size, end - kPrelude - headers_size);
    event.has_data = true;
    if (headers.message_type == "error") {
        event.type = "error";
        event.data = headers.error_message.empty() ? headers.error_code : headers.error_message;
    } else {
        event.type = headers.exception_type.empty() ? headers.event_type : headers.exception_type;
    }
    broken_ = false;
    return true;
}

bool EventStreamScanner::finish(openai::SseEvent& event) {
    if (std::exchange(release_, false)) held_.clear();
    event = {};
    event.raw = held_;
    event.whole = false;
    return !held_.empty();
}

}  // namespace leeway::wire::bedrock
