#include "wire/openai/sse.hpp"

#include <utility>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <fmt/format.h>

namespace leeway::wire::openai {

namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
// An idle stream keeps no more than this of the memory that a large event needed.
constexpr std::size_t kKeptCapacity = 16 * 1024;

/// Offset of the first CR or LF at or behind `from`, or the size.
std::size_t find_line_end(std::string_view text, std::size_t from) noexcept {
#if defined(__SSE2__)
    const __m128i lf = _mm_set1_epi8('\n');
    const __m128i cr = _mm_set1_epi8('\r');
    for (; from + 16 <= text.size(); from += 16) {
        const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + from));
        const int mask =
            _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(block, lf), _mm_cmpeq_epi8(block, cr)));
        if (mask != 0)
            return from + static_cast<std::size_t>(__builtin_ctz(static_cast<unsigned>(mask)));
    }
#endif
    while (from < text.size() && text[from] != '\n' && text[from] != '\r') ++from;
    return from;
}

std::string_view without_line_ends(std::string_view text) noexcept {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
    return text;
}

/// The value behind a field's colon: one leading space does not count.
std::string_view field_value(std::string_view text) noexcept {
    if (text.starts_with(' ')) text.remove_prefix(1);
    return text;
}

tl::unexpected<Error> too_long(std::string_view what, std::size_t limit, std::string reason) {
    Error error;
    error.code = ErrorCode::kUpstreamInvalid;
    error.message =
        fmt::format("The provider's event stream has {} of more than {} bytes.", what, limit);
    error.reason = std::move(reason);
    return fail(std::move(error));
}

}  // namespace

void SseScanner::feed(std::string_view chunk) noexcept {
    chunk_ = chunk;
    start_ = 0;
    scan_ = 0;
}

void SseScanner::release() {
    if (!release_) return;
    release_ = false;
    held_.clear();
    if (held_.capacity() > kKeptCapacity) held_.shrink_to_fit();
}

void SseScanner::hold() {
    held_.append(chunk_.substr(start_));
    chunk_ = {};
    start_ = 0;
    scan_ = 0;
}

Result<bool> SseScanner::next(SseEvent& event) {
    release();
    while (scan_ < chunk_.size() && !broken_) {
        if (after_cr_) {
            after_cr_ = false;
            if (chunk_[scan_] == '\n') {
                ++scan_;
                continue;
            }
        }
        const std::size_t line_end = find_line_end(chunk_, scan_);
        line_ += line_end - scan_;
        scan_ = line_end;
        if (line_ > limits_.max_line || held_.size() + (scan_ - start_) > limits_.max_event) {
            broken_ = true;
            break;
        }
        if (scan_ == chunk_.size()) break;
        const bool cr = chunk_[scan_] == '\r';
        ++scan_;
        if (cr && scan_ == chunk_.size()) after_cr_ = true;
        if (cr && scan_ < chunk_.size() && chunk_[scan_] == '\n') ++scan_;
        if (line_ != 0) {
            line_ = 0;
            ++lines_;
        } else if (lines_ != 0) {
            complete(event);
            return true;
        }
    }
    if (broken_) {
        if (line_ > limits_.max_line) {
            return too_long("a line", limits_.max_line, "sse_line_too_long");
        }
        return too_long("an event", limits_.max_event, "sse_event_too_long");
    }
    hold();
    return false;
}

void SseScanner::complete(SseEvent& event) {
    const std::string_view part = chunk_.substr(start_, scan_ - start_);
    event = SseEvent{};
    if (held_.empty()) {
        event.raw = part;
    } else {
        held_.append(part);
        event.raw = held_;
        release_ = true;
    }
    start_ = scan_;
    fields(event);
    lines_ = 0;
    first_ = false;
}

bool SseScanner::finish(SseEvent& event) {
    release();
    hold();
    if (held_.empty()) return false;
    event = SseEvent{};
    event.raw = held_;
    event.whole = false;
    release_ = true;
    lines_ = 0;
    line_ = 0;
    fields(event);
    return true;
}

void SseScanner::fields(SseEvent& event) {
    std::string_view rest = event.raw;
    if (first_ && rest.starts_with(kByteOrderMark)) rest.remove_prefix(kByteOrderMark.size());
    constexpr std::string_view kData = "data:";
    if (lines_ == 1 && rest.starts_with(kData)) {
        event.data = field_value(without_line_ends(rest.substr(kData.size())));
        event.has_data = true;
        return;
    }
    std::size_t data_lines = 0;
    while (!rest.empty()) {
        const std::size_t end = find_line_end(rest, 0);
        const std::string_view line = rest.substr(0, end);
        rest.remove_prefix(end < rest.size() ? end + 1
                                             : end);  // CR LF: a blank line more, harmless
        const std::size_t colon = line.find(':');
        const std::string_view name = line.substr(0, colon);
        const std::string_view value = colon == std::string_view::npos
                                           ? std::string_view()
                                           : field_value(line.substr(colon + 1));
        if (name == "event") event.type = value;
        if (name != "data") continue;
        if (++data_lines == 1) {
            event.data = value;
            continue;
        }
        if (data_lines == 2) joined_ = event.data;
        joined_.push_back('\n');
        joined_.append(value);
    }
    event.has_data = data_lines != 0;
    if (data_lines > 1) event.data = joined_;
}

}  // namespace leeway::wire::openai
