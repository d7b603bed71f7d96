#pragma once

#include <string_view>

namespace leeway::router {

/// The messages of a request as a conversation. Views into what it was made from.
struct Conversation {
    std::string_view all;  ///< the messages, without the brackets of their array
    /// What was asked when a model answered last: the messages before that answer. Empty: none has.
    std::string_view before;

    [[nodiscard]] bool continues() const noexcept { return !before.empty(); }
};

/// From the bytes of a chat request's `messages`, which were checked before. A client that sends a conversation on repeats
/// its messages, so `before` of a request is `all` of the one that it follows.
[[nodiscard]] Conversation conversation_of(std::string_view messages);

}  // namespace leeway::router
