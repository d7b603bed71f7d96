#include "net/http_parser.hpp"

#include "base/strings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace leeway::net {
namespace {

constexpr std::uint32_t kMaxChunkOverhead = 16 * 1024;

constexpr std::array<bool, 256> make_token_table() {
    std::array<bool, 256> table{};
    for (int c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = true;
    for (int c = 'a'; c <= 'z'; ++c) table[static_cast<std::size_t>(c)] = true;
    for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<std::size_t>(c)] = true;
    for (const char c : std::string_view("!#$%&'*+-.^_`|~"))
        table[static_cast<unsigned char>(c)] = true;
    return table;
}
constexpr auto kToken = make_token_table();

bool is_token(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return kToken[static_cast<unsigned char>(c)];
    });
}

/// Host and port as RFC 3986 writes them; may be empty.
bool is_host(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (kToken[static_cast<unsigned char>(c)] && c != '#' && c != '^' && c != '`' &&
                c != '|') ||
               c == ':' || c == '[' || c == ']';
    });
}

/// What field values, trailers and chunk extensions must not have.
bool is_control(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7f;
}

tl::unexpected<Error> bad(std::string message) {
    return fail(Error{ErrorCode::kInvalidRequest,
                      "malformed HTTP: " + std::move(message),
                      {},
                      {},
                      "malformed_http"});
}

/// Cuts the next CRLF-terminated line off `rest`; `HeadScanner` has made sure there is one.
std::string_view next_line(std::string_view& rest) {
    const std::size_t end = rest.find("\r\n");
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 2);
    return line;
}

/// What the framing fields of a message say, before the rules of requests and responses apply.
struct FramingFields {
    std::optional<std::uint64_t> length;
    bool chunked = false;
    bool close = false;
    bool keep_alive = false;
};

Result<void> note_framing(const Field& field, FramingFields& out) {
    switch (field.name.size()) {
        case 10:
            if (equals_ignore_case(field.name, "connection")) {
                out.close = out.close || list_has(field.value, "close");
                out.keep_alive = out.keep_alive || list_has(field.value, "keep-alive");
            }
            break;
        case 14:
            if (equals_ignore_case(field.name, "content-length")) {
                if (out.length) return bad("more than one Content-Length");
                const auto value = parse_u64(field.value);
                if (!value || field.value.size() > 18)
                    return bad("Content-Length is not a plain number");
                out.length = value;
            }
            break;
        case 17:
            if (equals_ignore_case(field.name, "transfer-encoding")) {
                if (out.chunked) return bad("more than one Transfer-Encoding");
                if (!equals_ignore_case(field.value, "chunked")) {
                    return bad("the only Transfer-Encoding that is understood is 'chunked'");
                }
                out.chunked = true;
            }
            break;
        default: break;
    }
    return {};
}

Result<FramingFields> parse_fields(std::string_view rest, const HeadLimits& limits, Fields& out) {
    FramingFields framing;
    for (;;) {
        const std::string_view line = next_line(rest);
        if (line.empty()) return framing;
        if (out.size() >= limits.fields) {
            return fail(Error{ErrorCode::kHeaderTooLarge,
                              fmt::format("more than {} header fields", limits.fields),
                              {},
                              {},
                              "header_too_large"});
        }
        const auto colon = line.find(':');
        if (colon == std::string_view::npos) return bad("a header line without a colon");
        Field field{line.substr(0, colon), trim(line.substr(colon + 1))};
        // This also refuses a folded line (it starts with a space) and a space before the colon.
        if (!is_token(field.name))
            return bad("a header name with characters that names do not have");
        if (!is_field_value(field.value)) return bad("a header value with control characters");
        if (auto noted = note_framing(field, framing); !noted)
            return fail(std::move(noted.error()));
        out.add(field.name, field.value);
    }
}

/// "HTTP/1.1" → 1, "HTTP/1.0" → 0, anything else → -1.
int minor_version(std::string_view text) {
    if (text == "HTTP/1.1") return 1;
    if (text == "HTTP/1.0") return 0;
    return -1;
}

}  // namespace

bool is_field_value(std::string_view text) noexcept {
#if defined(__SSE2__)
    const __m128i last_control = _mm_set1_epi8(0x1f);
    const __m128i tab = _mm_set1_epi8('\t');
    const __m128i del = _mm_set1_epi8(0x7f);
    for (std::size_t at = 0; text.size() >= 16 && at < text.size(); at += 16) {
        // The last sixteen bytes may overlap those before.
        const char* from = text.data() + std::min(at, text.size() - 16);
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
        // Unsigned "≤ 0x1f": the minimum of both is the byte itself.
        const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes);
        const __m128i bad_low = _mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), low);
        if (_mm_movemask_epi8(_mm_or_si128(bad_low, _mm_cmpeq_epi8(bytes, del))) != 0) return false;
    }
    if (text.size() >= 16) return true;
#endif
    return std::none_of(text.begin(), text.end(), is_control);
}

std::optional<std::string_view> Fields::find(std::string_view name) const noexcept {
    for (const Field& field : fields_) {
        if (equals_ignore_case(field.name, name)) return field.value;
    }
    return std::nullopt;
}

Result<std::size_t> HeadScanner::scan(std::string_view buffer, const HeadLimits& limits) {
    while (scanned_ < buffer.size()) {
        const void* found = std::memchr(buffer.data() + scanned_, '\n', buffer.size() - scanned_);
        if (found == nullptr) {
            scanned_ = buffer.size();
            break;
        }
        const auto lf = static_cast<std::size_t>(static_cast<const char*>(found) - buffer.data());
        if (lf >= limits.bytes) {
            scanned_ = lf + 1;
            break;
        }
        if (lf == 0 || buffer[lf - 1] != '\r') return bad("a line that ends in LF without CR");
        scanned_ = lf + 1;
        const bool empty_line = lf - 1 == line_start_;
        line_start_ = scanned_;
        if (empty_line) {
            const std::size_t size = scanned_;
            reset();
            return size;
        }
    }
    if (scanned_ > limits.bytes) {
        return fail(Error{ErrorCode::kHeaderTooLarge,
                          fmt::format("the header is larger than {} bytes", limits.bytes),
                          {},
                          {},
                          "header_too_large"});
    }
    return std::size_t{0};
}

Result<void> parse_request_head(std::string_view head, const HeadLimits& limits, RequestHead& out) {
    std::string_view rest = head;
    const std::string_view line = next_line(rest);
    const auto first = line.find(' ');
    const auto last = line.rfind(' ');
    if (first == std::string_view::npos || first == last)
        return bad("the request line is not 'METHOD target HTTP/1.1'");
    out.method = line.substr(0, first);
    out.target = line.substr(first + 1, last - first - 1);
    const int minor = minor_version(line.substr(last + 1));
    if (!is_token(out.method)) return bad("the method is not a token");
    if (minor < 0) return bad("only HTTP/1.1 and HTTP/1.0 are understood");
    for (const char c : out.target) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte <= ' ' || byte >= 0x7f || c == '#')
            return bad("the request target has characters that it must not have");
    }
    if (out.target.starts_with("http://")) {  // absolute form: what is behind the authority counts
        const auto end = std::min(out.target.find_first_of("/?@", 7), out.target.size());
        if (end == 7 || (end < out.target.size() && out.target[end] != '/'))
            return bad("the request target is not a plain URL");
        out.target = end == out.target.size() ? std::string_view("/") : out.target.substr(end);
    }
    if (!out.target.starts_with('/') && out.target != "*")
        return bad("the request target does not start with '/'");
    const auto question = out.target.find('?');
    out.path = out.target.substr(0, question);
    out.query =
        question == std::string_view::npos ? std::string_view() : out.target.substr(question + 1);

    out.fields.clear();
    auto framing = parse_fields(rest, limits, out.fields);
    if (!framing) return fail(std::move(framing.error()));
    if (framing->chunked && framing->length)
        return bad("Content-Length together with Transfer-Encoding");
    if (framing->chunked && minor == 0) return bad("Transfer-Encoding in HTTP/1.0");
    std::size_t hosts = 0;
    for (const Field& field : out.fields) {
        if (!equals_ignore_case(field.name, "host")) continue;
        ++hosts;
        if (!is_host(field.value)) return bad("Host is not a host");
    }
    if (hosts > 1 || (hosts == 0 && minor == 1)) return bad("exactly one Host is needed");

    out.framing = Framing::kNone;
    out.content_length = 0;
    if (framing->chunked) out.framing = Framing::kChunked;
    if (framing->length) {
        out.framing = *framing->length > 0 ? Framing::kLength : Framing::kNone;
        out.content_length = *framing->length;
    }
    out.keep_alive = minor == 1 ? !framing->close : framing->keep_alive && !framing->close;
    out.http_1_0 = minor == 0;
    const auto expect = out.fields.find("expect");
    out.expects_continue = minor == 1 && expect && equals_ignore_case(*expect, "100-continue");
    return {};
}

Result<void> parse_response_head(std::string_view head, const HeadLimits& limits, bool head_request,
                                 ResponseHead& out) {
    std::string_view rest = head;
    const std::string_view line = next_line(rest);
    const int minor = minor_version(line.substr(0, 8));
    const auto status = line.size() >= 12 ? parse_u64(line.substr(9, 3)) : std::nullopt;
    if (minor < 0 || !status || *status < 100 || line[8] != ' ' ||
        (line.size() > 12 && line[12] != ' ')) {
        return bad("the upstream's status line is not 'HTTP/1.1 STATUS reason'");
    }
    out.status = static_cast<int>(*status);
    out.fields.clear();
    auto framing = parse_fields(rest, limits, out.fields);
    if (!framing) return fail(std::move(framing.error()));
    if (framing->chunked && framing->length)
        return bad("Content-Length together with Transfer-Encoding");
    out.content_length = 0;
    if (head_request || out.status < 200 || out.status == 204 || out.status == 304) {
        out.framing = Framing::kNone;
    } else if (framing->chunked) {
        out.framing = Framing::kChunked;
    } else if (framing->length) {
        out.framing = *framing->length > 0 ? Framing::kLength : Framing::kNone;
        out.content_length = *framing->length;
    } else {
        out.framing = Framing::kUntilClose;
    }
    out.keep_alive = (minor == 1 ? !framing->close : framing->keep_alive && !framing->close) &&
                     out.framing != Framing::kUntilClose;
    return {};
}

Result<ChunkDecoder::Step> ChunkDecoder::step(std::string_view input) {
    std::size_t i = 0;
    for (; i < input.size(); ++i) {
        const char c = input[i];
        switch (state_) {
            case State::kSize: {
                const int digit = c >= '0' && c <= '9'   ? c - '0'
                                  : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                         : -1;
                if (digit >= 0) {
                    if (++digits_ > 15) return bad("a chunk size with more than 15 digits");
                    size_ = size_ * 16 + static_cast<unsigned>(digit);
                    break;
                }
                if (digits_ == 0) return bad("a chunk without a size");
                if (c == '\r')
                    state_ = State::kSizeLf;
                else if (c == ';')
                    state_ = State::kExtension;
                else if (c == ' ' || c == '\t')
                    state_ = State::kPadding;
                else
                    return bad("a chunk size that is not hexadecimal");
                break;
            }
            case State::kPadding:
            case State::kExtension:
                if (++overhead_ > kMaxChunkOverhead)
                    return bad("chunk extensions or trailers that are too long");
                if (c == '\r')
                    state_ = State::kSizeLf;
                else if (is_control(c))
                    return bad("a chunk extension with control characters");
                else if (c == ';')
                    state_ = State::kExtension;
                else if (state_ == State::kPadding && c != ' ' && c != '\t')
                    return bad("a chunk size that is not hexadecimal");
                break;
            case State::kSizeLf:
                if (c != '\n') return bad("a chunk size line that does not end in CRLF");
                digits_ = 0;
                state_ = size_ == 0 ? State::kTrailerStart : State::kData;
                break;
            case State::kData: {
                const std::size_t take = std::min<std::uint64_t>(size_, input.size() - i);
                size_ -= take;
                if (size_ == 0) state_ = State::kDataCr;
                return Step{i + take, input.substr(i, take)};
            }
            case State::kDataCr:
                if (c != '\r') return bad("chunk data longer than its size");
                state_ = State::kDataLf;
                break;
            case State::kDataLf:
                if (c != '\n') return bad("chunk data longer than its size");
                state_ = State::kSize;
                break;
            case State::kTrailerStart:
                if (c == '\r') {
                    state_ = State::kEndLf;
                    break;
                }
                state_ = State::kTrailer;
                [[fallthrough]];
            case State::kTrailer:
                if (++overhead_ > kMaxChunkOverhead)
                    return bad("chunk extensions or trailers that are too long");
                if (c == '\r')
                    state_ = State::kTrailerLf;
                else if (is_control(c))
                    return bad("a trailer with control characters");
                break;
            case State::kTrailerLf:
                if (c != '\n') return bad("a trailer that does not end in CRLF");
                state_ = State::kTrailerStart;
                break;
            case State::kEndLf:
                if (c != '\n') return bad("a chunked body that does not end in CRLF");
                state_ = State::kDone;
                return Step{i + 1, {}};
            case State::kDone: return Step{i, {}};
        }
    }
    return Step{i, {}};
}

}  // namespace leeway::net
