#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::net {

/// A header field as views into the buffer it was parsed from, or into what its maker keeps alive.
struct Field {
    std::string_view name;
    std::string_view value;
};

/// Fields in order of arrival. Names compare without case.
class Fields {
public:
    void clear() noexcept { fields_.clear(); }
    void add(std::string_view name, std::string_view value) { fields_.push_back({name, value}); }
    /// The first field of that name; nullopt when there is none.
    [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return fields_.size(); }
    [[nodiscard]] auto begin() const noexcept { return fields_.begin(); }
    [[nodiscard]] auto end() const noexcept { return fields_.end(); }

private:
    std::vector<Field> fields_;
};

/// How the end of a message's body is known (RFC 9112 section 6).
enum class Framing : std::uint8_t { kNone, kLength, kChunked, kUntilClose };

struct RequestHead {
    std::string_view method;
    std::string_view target;  ///< origin form: path and query
    std::string_view path;    ///< target without the query
    std::string_view query;   ///< without '?'
    Fields fields;
    Framing framing = Framing::kNone;
    std::uint64_t content_length = 0;  ///< for kLength
    bool keep_alive = true;
    bool expects_continue = false;
    bool http_1_0 = false;  ///< understands no chunked coding
};

struct ResponseHead {
    int status = 0;
    Fields fields;
    Framing framing = Framing::kNone;
    std::uint64_t content_length = 0;  ///< for kLength
    bool keep_alive = true;
};

}  // namespace leeway::net
