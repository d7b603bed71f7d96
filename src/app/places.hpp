#pragma once

#include "wire/canonical/dialect.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace leeway::app {

/// What is served at a path of the client API.
struct Place {
    enum class Kind : std::uint8_t {
        kChat,
        kCompletions,
        kEmbeddings,
        kRerank,
        kCountTokens,
        kFeedback,  ///< what a caller says of an answer
        kModels,  ///< the list
        kModel,   ///< one entry of it
        kResponse,  ///< one that is kept
        kResponseInput,  ///< what it was made from
        kResponseCancel,
        kFiles,   ///< the caller's files, and a new one
        kFile,
        kFileContent,
        kBatches,  ///< the caller's batches, and a new one
        kBatch,
        kBatchCancel,
        kBatchResults,  ///< of a batch without files
    };
    Kind kind = Kind::kChat;
    wire::Dialect dialect = wire::Dialect::kOpenAiChat;
    bool stream = false;  ///< the path itself asks for a stream
    /// The path; "{model}" stands for a name, which may hold slashes, and "{id}" for one that holds none.
    std::string_view pattern;
    std::string_view name;  ///< of the operation, unique: "createChatCompletion"
    std::string_view title;
};

/// All places, in the order in which they are tried. One list for the dispatch and for the documents.
[[nodiscard]] std::span<const Place> places() noexcept;

struct FoundPlace {
    const Place* place = nullptr;
    std::string_view model;  ///< from the path, or the id; empty where the pattern names none
};
/// nullopt: nothing is served at `path`. A list may be asked for with a slash behind it.
[[nodiscard]] std::optional<FoundPlace> find_place(std::string_view path) noexcept;

/// What a request to this place may be, as the header `allow` has it.
inline constexpr std::string_view kReading = "GET, HEAD";
inline constexpr std::string_view kPosting = "POST";
inline constexpr std::string_view kReadingAndPosting = "GET, HEAD, POST";
inline constexpr std::string_view kReadingAndDeleting = "GET, HEAD, DELETE";
[[nodiscard]] constexpr std::string_view methods_of(const Place& place) noexcept {
    using enum Place::Kind;
    switch (place.kind) {
        case kModels:
        case kModel:
        case kFileContent:
        case kResponseInput:
        case kBatchResults: return kReading;
        case kBatch:
            return place.dialect == wire::Dialect::kAnthropic ? kReadingAndDeleting : kReading;
        case kFiles:
        case kBatches: return kReadingAndPosting;
        case kResponse:
        case kFile: return kReadingAndDeleting;
        case kChat:
        case kCompletions:
        case kEmbeddings:
        case kRerank:
        case kCountTokens:
        case kFeedback:
        case kResponseCancel:
        case kBatchCancel: break;
    }
    return kPosting;
}
/// Whether `method` is one of `methods`.
[[nodiscard]] bool allows(std::string_view methods, std::string_view method) noexcept;

}  // namespace leeway::app
