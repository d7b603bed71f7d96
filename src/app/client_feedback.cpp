#include "app/client_feedback.hpp"

#include "app/outcome_recorder.hpp"
#include "base/clock.hpp"
#include "json/node.hpp"
#include "json/number.hpp"
#include "json/write.hpp"
#include "wire/canonical/codec.hpp"

#include <fmt/format.h>

#include <utility>

namespace leeway::app {
namespace {

constexpr std::size_t kMostBody = 1024UL * 1024;
constexpr std::size_t kMostComment = 16UL * 1024;
constexpr std::size_t kMostCorrection = 256UL * 1024;

Error invalid(std::string_view param, std::string message, std::string reason = "invalid_value") {
    return Error{
        ErrorCode::kInvalidRequest, std::move(message), {}, std::string(param), std::move(reason)};
}

Result<double> read_value(const json::Node& node) {
    if (node.is_bool()) return node.is_true() ? 1.0 : 0.0;
    if (!node.is_number())
        return fail(invalid("value", "'value' must be true, false or a number from 0 to 1.",
                            "invalid_type"));
    const auto number = json::to_double(node.text);
    if (!number || !(*number >= 0 && *number <= 1))
        return fail(invalid("value", "'value' must be true, false or a number from 0 to 1."));
    return *number;
}

Result<std::string> read_text(std::string_view name, const json::Node& node, std::size_t most) {
    if (!node.is_string())
        return fail(invalid(name, fmt::format("'{}' must be a string.", name), "invalid_type"));
    if (node.text.size() > most)
        return fail(invalid(name, fmt::format("'{}' has more than {} bytes.", name, most)));
    return node.text;
}

Result<void> read_member(const std::string& name, const json::Node& node, FeedbackBody& out) {
    if (name != "id" && node.is_null()) return {};
    if (name == "value") {
        const auto value = read_value(node);
        if (!value) return fail(value.error());
        out.feedback.quality = *value;
        return {};
    }
    constexpr std::size_t kMostId = 256;
    const std::size_t most = name == "id"        ? kMostId
                             : name == "comment" ? kMostComment
                                                 : kMostCorrection;
    if (name != "id" && name != "comment" && name != "correction")
        return fail(
            invalid(name, fmt::format("Unknown parameter: '{}'.", name), "unknown_parameter"));
    auto text = read_text(name, node, most);
    if (!text) return fail(std::move(text.error()));
    if (name == "id") {
        out.id = std::move(*text);
    } else {
        (name == "comment" ? out.feedback.comment : out.feedback.correction) = std::move(*text);
    }
    return {};
}

/// The same for all that a caller cannot name.
Error no_such_answer(bool off) {
    return Error{
        ErrorCode::kNotFound, "No answer with this id.",
        off ? "no route of this gateway has `outcomes: on`"
            : "it must be the x-leeway-id of an answer that a model gave to this key, on a "
              "route that keeps outcomes, not too long ago",
        "id", "answer_not_found"};
}

}  // namespace

Result<FeedbackBody> read_feedback(std::string_view body) {
    if (body.size() > kMostBody) {
        return fail(ErrorCode::kPayloadTooLarge,
                    fmt::format("Feedback has at most {} bytes.", kMostBody));
    }
    const auto node = json::parse_node(body);
    if (!node) return fail(node.error());
    if (!node->is_object())
        return fail(invalid({}, "The body must be a JSON object.", "invalid_type"));
    FeedbackBody out;
    for (const json::Node::Member& member : node->members) {
        if (auto read = read_member(member.key, member.value, out); !read)
            return fail(std::move(read.error()));
    }
    if (out.id.empty()) {
        return fail(invalid("id", "'id' is needed: the x-leeway-id of the answer.",
                            "missing_required_parameter"));
    }
    const lab::StoredFeedback& said = out.feedback;
    if (!said.quality && !said.comment && !said.correction) {
        return fail(invalid("value", "One of 'value', 'comment' and 'correction' is needed.",
                            "missing_required_parameter"));
    }
    return out;
}

FeedbackRequest::FeedbackRequest(WorkerState& worker, net::Exchange& exchange)
    : worker_(worker),
      exchange_(exchange),
      caller_(worker, exchange, pipeline::Endpoint::kChatCompletions),
      snapshot_(worker.snapshot) {}

Task<void> FeedbackRequest::run() {
    const bool let_in = co_await caller_.authenticate();
    if (!let_in) co_return;
    request_id_ = caller_.context().id.text();
    const auto body = co_await exchange_.read_body();
    if (!body) {
        co_await refuse(body.error());
        co_return;
    }
    const auto answer = co_await take(*body);
    if (!answer) {
        co_await refuse(answer.error());
        co_return;
    }
    co_await respond(200, *answer);
}

/// The body of the answer.
Task<Result<std::string>> FeedbackRequest::take(std::string_view body) {
    auto read = read_feedback(body);
    if (!read) co_return fail(std::move(read.error()));
    lab::StoredFeedback& feedback = read->feedback;
    const bool has_text = feedback.comment || feedback.correction;
    if (has_text && !snapshot_->keeps_feedback_texts()) {
        co_return fail(Error{ErrorCode::kInvalidRequest, "This gateway keeps no texts of feedback.",
                             "send `value` alone; the operator says `outcomes: {texts: on}`",
                             feedback.comment ? "comment" : "correction", "texts_not_kept"});
    }
    OutcomeRecorder* const recorder = snapshot_->outcomes();
    const auto id = RequestId::parse(read->id);
    if (recorder == nullptr || !id) co_return fail(no_such_answer(recorder == nullptr));
    std::string out;
    json::Writer json(out);
    json.object().key("object").string("feedback").key("id").string(read->id);
    json.key("taken").array();
    if (feedback.quality) json.string("value");
    if (feedback.comment) json.string("comment");
    if (feedback.correction) json.string("correction");
    json.close_array().close_object();
    feedback.at_s = unix_now_s();
    auto waiting =
        recorder->tell(worker_.loop, *id, caller_.context().key_name, std::move(feedback));
    auto taken = co_await waiting.receive();
    if (!taken) co_return fail(std::move(taken.error()));
    if (!*taken) co_return fail(no_such_answer(false));
    co_return out;
}

Task<void> FeedbackRequest::respond(int status, std::string_view body) {
    std::vector<net::Field> fields{{"content-type", "application/json"},
                                   {"x-leeway-id", request_id_}};
    caller_.add_limit_fields(fields);
    co_await exchange_.respond(status, fields, body);
}

Task<void> FeedbackRequest::refuse(Error error) {
    const std::string body = wire::codec_of(wire::Dialect::kOpenAiChat).write_error(error);
    co_await respond(http_status(error.code), body);
}

}  // namespace leeway::app
