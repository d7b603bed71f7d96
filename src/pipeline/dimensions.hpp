#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace leeway::wire::openai {
struct RequestView;
}

namespace leeway::pipeline {

class HeaderSource;

/// For whom and for what a request was made, as the caller tells. Free text of callers: valid UTF-8
/// without control characters, of bounded length; empty: not told. Never sent upstream by us.
struct Dimensions {
    std::string user;  ///< x-leeway-user, else the body's `user`, else metadata.user or .user_id
    std::string session;  ///< x-leeway-session, else metadata.session or .session_id
    std::string agent;  ///< x-leeway-agent, else metadata.agent
    /// x-leeway-tag, else metadata.tags: words such as "beta" or "team=search", sorted, each once,
    /// separated by commas.
    std::string tags;

    static constexpr std::size_t kMostBytes = 128;  ///< of user, session and agent
    static constexpr std::size_t kMostTagBytes = 60;
    static constexpr std::size_t kMostTags = 8;
};

/// Reads them from the headers and from the body that `view` describes. What is too long is cut.
/// Uses the thread's JSON indexer when there is `metadata`.
[[nodiscard]] Dimensions read_dimensions(const HeaderSource& headers,
                                         const wire::openai::RequestView& view,
                                         std::string_view body);

/// `text` as it may stand in a dimension: trimmed, without control characters and with '?' for bytes
/// that are no UTF-8, at most `limit` bytes.
[[nodiscard]] std::string clean_label(std::string_view text, std::size_t limit);
/// A comma-separated list of words as `Dimensions::tags` has it.
[[nodiscard]] std::string clean_tags(std::string_view text);

}  // namespace leeway::pipeline
