#pragma once

#include "base/result.hpp"
#include "json/cursor.hpp"
#include "json/node.hpp"
#include "json/tokens.hpp"
#include "wire/usage/extractor.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace leeway::wire {

/// A request for the vectors of some texts, in no dialect.
struct EmbedRequest {
    std::string model;
    std::vector<std::string> texts;  ///< at least one
    bool list = false;  ///< they were given as a list, also where it has one element
    std::optional<std::int64_t> dimensions;
    bool base64 = false;  ///< the numbers are wanted as OpenAI packs them
    std::string
        task;  ///< what the vectors are for, as Google has it: "RETRIEVAL_QUERY"; empty: not said
    std::string_view task_field = "task_type";  ///< the caller's name of it
    std::string title;  ///< of the document
    /// Names of fields that no other dialect understands: a translation must tell that they were left out.
    std::vector<std::string> unknown;
    std::string extra;  ///< these fields with their values, as JSON text; empty: none
};

/// The vectors, in no dialect.
struct EmbedAnswer {
    std::string id;
    std::string model;
    /// One for each text, in order: an array of numbers as JSON text, as the provider spelled them.
    std::vector<std::string> vectors;
    usage::UsageReading usage;
};

/// Reads the array of numbers at the cursor as it is spelled. False: it is none; the cursor may have failed.
[[nodiscard]] bool read_vector(json::Cursor& cursor, std::string& out);
/// Appends the numbers of such an array.
void append_numbers(std::string_view vector, std::vector<float>& out);
/// The numbers of such an array as OpenAI packs them: 32-bit floats, little-endian, in base64.
[[nodiscard]] std::string packed_vector(std::string_view vector);
/// `answer` with `wanted` vectors (0: any number of them), else `kUpstreamInvalid`.
[[nodiscard]] Result<EmbedAnswer> with_vectors(EmbedAnswer answer, std::size_t wanted);

/// Reads a provider's answer, which may be anything: what it tells of usage, then what `read` finds in it (with a cursor before the
/// body), then as `with_vectors`. Vectors of a body that is broken do not count.
template <class Read>
[[nodiscard]] Result<EmbedAnswer> read_vectors(std::string_view body, usage::Flavour flavour,
                                               std::size_t wanted, const Read& read) {
    EmbedAnswer answer;
    std::string shadow;
    const auto tokens = json::thread_indexer().index_lenient(body, shadow);
    if (!tokens) return with_vectors(std::move(answer), wanted);
    usage::Extractor usage(flavour);
    json::Cursor counts(*tokens);
    usage.read_document(counts);
    answer.usage = usage.result();
    json::Cursor cursor(*tokens);
    read(cursor, answer);
    if (cursor.failed()) answer.vectors.clear();
    return with_vectors(std::move(answer), wanted);
}

/// Notes a field that no other dialect understands.
void keep_unknown(EmbedRequest& request, const json::Node::Member& member);

/// Cohere's word for a task of Google's, "search_query"; empty: it has none.
[[nodiscard]] std::string_view input_type_of_task(std::string_view task) noexcept;
/// Google's word for an input type of Cohere's; empty: it has none.
[[nodiscard]] std::string_view task_of_input_type(std::string_view input_type) noexcept;

}  // namespace leeway::wire
