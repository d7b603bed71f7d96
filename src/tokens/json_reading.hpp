#pragma once

#include "json/cursor.hpp"
#include "json/number.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace leeway::tokens::detail {

/// Reads values of an object or array whose form is known; wrong types make the cursor fail.
struct Reading {
    json::Cursor& cursor;
    std::string scratch{};

    std::string text() {
        std::string_view raw;
        if (!cursor.string(raw)) return {};
        return std::string(json::decoded(raw, cursor.escaped(), scratch));
    }
    std::uint32_t whole_number() {
        std::string_view spelled;
        if (!cursor.number(spelled)) return 0;
        const auto value = json::to_int64(spelled);
        if (!value || *value < 0 || *value > 0x7FFFFFFF) {
            cursor.fail("a whole number below 2^31 was expected");
            return 0;
        }
        return static_cast<std::uint32_t>(*value);
    }
    /// false also for what is neither true nor false
    bool flag() {
        bool value = false;
        if (cursor.kind() == 't' || cursor.kind() == 'f') {
            cursor.boolean(value);
        } else {
            cursor.skip();
        }
        return value;
    }
    template <class Each>
    void members(const Each& each) {
        if (cursor.kind() != '{') {
            cursor.skip();
            return;
        }
        if (!cursor.open_object()) return;
        std::string_view raw;
        while (cursor.next_member(raw)) {
            const std::string key(json::decoded(raw, cursor.escaped(), scratch));
            each(std::string_view(key));
        }
    }
    template <class Each>
    void elements(const Each& each) {
        if (cursor.kind() != '[') {
            cursor.skip();
            return;
        }
        if (!cursor.open_array()) return;
        while (cursor.next_element()) each();
    }
};

}  // namespace leeway::tokens::detail
