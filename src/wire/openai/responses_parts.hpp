#pragma once

#include "json/node.hpp"
#include "json/write.hpp"
#include "wire/canonical/answer.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace leeway::wire::openai {

/// What a finished item of `output` says.
void read_output_item(const json::Node& item, std::vector<Part>& out);
/// Why a response ended, from its `status` and `incomplete_details`.
[[nodiscard]] StopReason response_stop(const json::Node& response, bool has_call) noexcept;
/// Whether an answer with these `items` that ended so is "completed", not "incomplete".
[[nodiscard]] bool ends_whole(StopReason stop, const std::vector<Part>& items) noexcept;
/// The `usage` object of Responses.
void write_response_usage(json::Writer& json, const usage::UsageReading& reading);
/// An item of `output` for `part`; `id` is the item's own.
void write_output_item(json::Writer& json, const Part& part, std::string_view id,
                       std::string_view status);
/// Id of the item for part `number` of response `response_id`, by the kind's usual prefix.
[[nodiscard]] std::string item_id(Part::Kind kind, std::string_view response_id,
                                  std::size_t number);

/// A response object, with `items` as its whole `output`.
struct ResponseObject {
    std::string_view id;
    std::string_view model;
    std::int64_t created = 0;
    std::string_view status;  ///< "in_progress", "completed", "incomplete", "failed"
    StopReason stop = StopReason::kUnset;
    const std::vector<Part>* items = nullptr;
    const usage::UsageReading* usage = nullptr;
    const Error* error = nullptr;
    std::string_view previous;  ///< `previous_response_id`; empty: null
    bool stored = false;
};
void write_response(json::Writer& json, const ResponseObject& response);

}  // namespace leeway::wire::openai
