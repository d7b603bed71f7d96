#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace leeway::json {

/// Appends `text` as a JSON string with its quotes. Invalid UTF-8 becomes U+FFFD, one per bad byte;
/// everything else above U+001F that needs no escape stays as it is.
void append_string(std::string& out, std::string_view text);
void append_int(std::string& out, std::int64_t value);
/// The shortest text that reads back as `value`; not a number and infinities become null.
void append_double(std::string& out, double value);
[[nodiscard]] std::string quoted(std::string_view text);

/// Appends one JSON text to a string, placing commas and colons. The caller closes what it opens and
/// calls `key` before each value inside an object.
///
///     Writer(out).object().key("id").string(id).key("n").integer(2).close_object();
class Writer {
public:
    explicit Writer(std::string& out) noexcept : out_(out) {}

    Writer& object() { return open('{'); }
    Writer& close_object() { return close('}'); }
    Writer& array() { return open('['); }
    Writer& close_array() { return close(']'); }
    Writer& key(std::string_view name);
    Writer& string(std::string_view text);
    Writer& integer(std::int64_t value);
    Writer& number(double value);
    Writer& boolean(bool value) { return raw(value ? "true" : "false"); }
    Writer& null() { return raw("null"); }
    /// A value that is JSON text already.
    Writer& raw(std::string_view json);

private:
    Writer& open(char bracket);
    Writer& close(char bracket);
    void separate();

    std::string& out_;
    bool first_ = true;  // nothing stands before the next value in its container
};

}  // namespace leeway::json
