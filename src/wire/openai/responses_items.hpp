#pragma once

#include "base/result.hpp"
#include "json/node.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::wire::openai {

/// One item of a conversation, as lists of Responses tell it.
struct ConversationItem {
    std::string id;
    std::string body;  ///< JSON, with the id
};

/// What a request of Responses names of what was kept before.
struct Recall {
    std::string previous;  ///< `previous_response_id`; empty: none
    std::vector<std::string> references;  ///< ids of the `item_reference`s of its input

    [[nodiscard]] bool empty() const noexcept { return previous.empty() && references.empty(); }
};
/// Whether `read_recall` may find something: a look at the bytes, without reading them as JSON. Never false where it
/// would.
[[nodiscard]] bool may_recall(std::string_view body) noexcept;
/// Errors are for the caller: an id that is no text, or `previous_response_id` twice, where readers would differ.
[[nodiscard]] Result<Recall> read_recall(const json::Node& body);

/// Bodies of items by their ids.
using ItemsById = std::map<std::string, std::string, std::less<>>;
/// Writes what we keep into the request's `input`: `earlier`, which are bodies of items, oldest first, before its own
/// items, and in place of those its references that are in `known`; other references stay. What is written has no id,
/// as ours mean nothing to a provider, and thoughts are left out unless they are encrypted: no provider takes others.
[[nodiscard]] Result<void> write_out(json::Node& body, const std::vector<std::string>& earlier,
                                     const ItemsById& known);

/// The items of a request's `input`, each with a type, an id and its content in parts; references that are in `known`
/// are those items. `scope`: makes the ids of items that have none differ from all others.
[[nodiscard]] std::vector<ConversationItem> input_items(const json::Node& input,
                                                        const ItemsById& known,
                                                        std::string_view scope);

/// A whole answer as it is kept.
struct WholeResponse {
    std::string id;
    std::string head;  ///< the response, with an empty `output`
    std::vector<ConversationItem> output;
};
/// Of the JSON that its caller gets or, `stream`, of the end of its events. nullopt: it did not end whole.
[[nodiscard]] std::optional<WholeResponse> read_whole(std::string_view told, bool stream);
/// What `read_whole` has read, together again.
[[nodiscard]] std::string with_output(std::string_view head,
                                      const std::vector<std::string>& output);
/// Turns `store: true`, where an answer of ours that is read by `read_whole` says it last, into false.
void say_not_stored(std::string& told);

/// The answer to a DELETE.
[[nodiscard]] std::string render_deleted(std::string_view id);

}  // namespace leeway::wire::openai
