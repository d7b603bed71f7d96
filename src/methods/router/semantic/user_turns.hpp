#pragma once

#include <string>
#include <string_view>

namespace leeway::router {

/// What the caller's person said last, and the time before. Parts of a message that are text are joined by newlines;
/// media count for nothing.
struct UserTurns {
    std::string last;  ///< empty: nothing was said
    std::string before;
};

/// From the bytes of a chat request's `messages`, which were checked before. Only the two messages are copied.
[[nodiscard]] UserTurns user_turns(std::string_view messages);

}  // namespace leeway::router
