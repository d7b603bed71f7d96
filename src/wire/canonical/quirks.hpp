#pragma once

#include <array>
#include <string_view>

namespace leeway::wire {

/// How a server that speaks OpenAI's chat dialect differs from others that do. The defaults suit a server of which
/// nothing is known: what most take, and nothing that most refuse.
struct ChatQuirks {
    bool max_completion_tokens = false;  ///< the name of the limit; false: `max_tokens`
    bool developer_role = false;  ///< false: what developers say goes as "system"
    bool top_k = false;
    bool reasoning_content = true;  ///< takes the thoughts of earlier turns back
    bool cache_control = false;  ///< takes Anthropic's markers on parts of messages
    bool stream_options = true;  ///< tells usage in a stream when asked; false: tells it unasked
    bool random_seed = false;  ///< the name of the seed; false: `seed`
    bool service_tier = false;  ///< can be asked for another class of service

    friend bool operator==(const ChatQuirks&, const ChatQuirks&) = default;
};

/// OpenAI's own server.
inline constexpr ChatQuirks kOpenAiQuirks{.max_completion_tokens = true,
                                          .developer_role = true,
                                          .reasoning_content = false,
                                          .service_tier = true};

struct ChatQuirk {
    std::string_view name;  ///< in the configuration and in lists
    bool ChatQuirks::* flag;
};
inline constexpr std::array<ChatQuirk, 8> kChatQuirks{
    {{"max_completion_tokens", &ChatQuirks::max_completion_tokens},
     {"developer_role", &ChatQuirks::developer_role},
     {"top_k", &ChatQuirks::top_k},
     {"reasoning_content", &ChatQuirks::reasoning_content},
     {"cache_control", &ChatQuirks::cache_control},
     {"stream_options", &ChatQuirks::stream_options},
     {"random_seed", &ChatQuirks::random_seed},
     {"service_tier", &ChatQuirks::service_tier}}};

}  // namespace leeway::wire
