#include "wire/gemini/array_stream.hpp"

#include <utility>

namespace leeway::wire::gemini {
namespace {

constexpr std::string_view kData = "data: ";
constexpr std::size_t kMostBytes = openai::SseLimits{}.max_event;

tl::unexpected<Error> fault(std::string message, std::string reason) {
    return fail(Error{ErrorCode::kUpstreamInvalid, std::move(message), {}, {}, std::move(reason)});
}

bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

}  // namespace

/// True: an element is whole.
Result<bool> ArrayScanner::take(char c) {
    if (depth_ == 0) {
        if (is_space(c)) return false;
        const bool opens = c == '[' && !std::exchange(opened_, true);
        const bool closes = c == ']' && opened_ && !std::exchange(closed_, true);
        if (opens || closes || (c == ',' && opened_ && !closed_)) return false;
        if (c != '{' || closed_)
            return fault("The provider's stream is no array of objects.", "json_stream_malformed");
        if (!std::exchange(opened_, true)) closed_ = true;  // one answer alone
        element_ = kData;
    }
    if (element_.size() >= kMostBytes)
        return fault("The provider's stream has an element of more than 16 MiB.",
                     "json_stream_too_long");
    // In a string they would be faults; elsewhere they only lay the text out.
    if (c != '\n' && c != '\r') element_ += c;
    if (in_string_) {
        if (!std::exchange(escaped_, false)) {
            escaped_ = c == '\\';
            in_string_ = c != '"';
        }
        return false;
    }
    if (c == '"') in_string_ = true;
    if (c == '{' || c == '[') ++depth_;
    if (c == '}' || c == ']') --depth_;
    return depth_ == 0;
}

Result<bool> ArrayScanner::next(openai::SseEvent& event) {
    if (std::exchange(given_, false)) element_ = {};
    while (!chunk_.empty() && !broken_) {
        const char c = chunk_.front();
        chunk_.remove_prefix(1);
        auto whole = take(c);
        broken_ = !whole;
        if (!whole) return whole;
        if (!*whole) continue;
        element_ += "\n\n";
        event = {};
        event.raw = element_;
        event.data = event.raw.substr(kData.size(), element_.size() - kData.size() - 2);
        event.has_data = true;
        given_ = true;
        return true;
    }
    if (broken_) return fault("The provider's stream is broken.", "json_stream_malformed");
    return false;
}

bool ArrayScanner::finish(openai::SseEvent& event) {
    event = {};
    event.whole = false;
    return depth_ > 0 || (opened_ && !closed_);
}

openai::EventScanner& ContentScanner::chosen() noexcept {
    if (is_array_) return array_;
    return events_;
}

void ContentScanner::feed(std::string_view chunk) noexcept {
    if (!known_) {
        while (!chunk.empty() && is_space(chunk.front())) chunk.remove_prefix(1);
        known_ = !chunk.empty();
        is_array_ = known_ && (chunk.front() == '[' || chunk.front() == '{');
    }
    chosen().feed(chunk);
}

Result<bool> ContentScanner::next(openai::SseEvent& event) { return chosen().next(event); }

bool ContentScanner::finish(openai::SseEvent& event) { return chosen().finish(event); }

void ArrayWriter::add(std::string_view events, std::string& out) {
    openai::SseScanner scanner;
    scanner.feed(events);
    openai::SseEvent event;
    for (;;) {
        const auto more = scanner.next(event);
        if (!more || !*more) return;
        if (!event.has_data) continue;
        out += std::exchange(begun_, true) ? ",\r\n" : "[";
        out += event.data;
    }
}

void ArrayWriter::close(std::string& out) { out += std::exchange(begun_, true) ? "\n]\n" : "[]\n"; }

}  // namespace leeway::wire::gemini
