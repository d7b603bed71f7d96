#include "app/batch_input.hpp"

#include "app/worst_case.hpp"
#include "wire/anthropic/batch.hpp"
#include "wire/openai/batch.hpp"
#include "wire/openai/multipart.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::app {
namespace {

/// Adds up the requests of one batch.
class BoundSum {
public:
    /// The next one, of so many bytes. Errors name no request.
    Result<void> add(wire::BatchAsk ask, std::size_t bytes, std::int64_t number) {
        if (bound_.lines == 0) {
            bound_.endpoint = std::move(ask.endpoint);
            bound_.model = std::move(ask.model);
        } else if (ask.endpoint != bound_.endpoint || ask.model != bound_.model) {
            return fail(Error{ErrorCode::kInvalidRequest,
                              "All requests of a batch must be of one url and one model.",
                              {},
                              {},
                              "mixed_batch"});
        }
        ++bound_.lines;
        input_ += input_bound(static_cast<std::int64_t>(bytes), ask.messages, ask.media);
        output_ += Int128{std::max<std::int64_t>(ask.limit.value_or(kUsualAnswer), 0)} *
                   std::max<std::int64_t>(ask.answers, 1);
        if (bound_.unbounded == 0 && (!ask.limit || ask.open_input)) bound_.unbounded = number;
        return {};
    }
    Result<BatchBound> finish(std::string message, std::string param) && {
        if (bound_.lines == 0) {
            return fail(Error{ErrorCode::kInvalidRequest,
                              std::move(message),
                              {},
                              std::move(param),
                              "empty_batch"});
        }
        bound_.input_tokens = capped(input_);
        bound_.output_tokens = capped(output_);
        return std::move(bound_);
    }

private:
    BatchBound bound_;
    Int128 input_ = 0;
    Int128 output_ = 0;
};

tl::unexpected<Error> bad_request(std::string_view where, std::string param, Error error) {
    error.code = ErrorCode::kInvalidRequest;
    error.message = fmt::format("{}: {}", where, error.message);
    error.param = std::move(param);
    if (error.reason.empty()) error.reason = "invalid_batch_line";
    return fail(std::move(error));
}

}  // namespace

Result<BatchBound> read_batch_input(std::string_view file) {
    BoundSum sum;
    std::int64_t number = 0;
    for (std::string_view rest = file; !rest.empty();) {
        const std::size_t end = rest.find('\n');
        const std::string_view line = rest.substr(0, end);
        rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
        ++number;
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
        auto ask = wire::openai::read_batch_ask(line);
        Result<void> added;
        if (!ask) {
            added = fail(std::move(ask.error()));
        } else {
            added = sum.add(std::move(*ask), line.size(), number);
        }
        if (!added)
            return bad_request(fmt::format("Line {} of the file", number), "file",
                               std::move(added.error()));
    }
    return std::move(sum).finish("The file has no requests.", "file");
}

Result<BatchBound> read_batch_upload(std::string_view content_type, std::string_view body) {
    auto form = wire::openai::read_form(content_type, body);
    if (!form) return fail(std::move(form.error()));
    std::string_view purpose;
    const wire::openai::FormPart* file = nullptr;
    for (const wire::openai::FormPart& part : *form) {
        if (part.name == "purpose") purpose = part.content;
        if (part.name == "file") file = &part;
    }
    if (file == nullptr || purpose.empty()) {
        return fail(Error{ErrorCode::kInvalidRequest,
                          "The form needs a 'file' and a 'purpose'.",
                          {},
                          file == nullptr ? "file" : "purpose",
                          "missing_required_parameter"});
    }
    if (purpose != "batch") return BatchBound();
    return read_batch_input(file->content);
}

Result<BatchBound> read_message_batch(std::string_view body) {
    auto requests = wire::anthropic::read_batch_requests(body);
    if (!requests) return fail(std::move(requests.error()));
    BoundSum sum;
    for (std::size_t i = 0; i < requests->size(); ++i) {
        const std::string_view params = (*requests)[i];
        auto ask = wire::anthropic::read_batch_ask(params);
        Result<void> added;
        if (!ask) {
            added = fail(std::move(ask.error()));
        } else {
            added = sum.add(std::move(*ask), params.size(), static_cast<std::int64_t>(i) + 1);
        }
        if (!added)
            return bad_request(fmt::format("Request {} of the batch", i + 1),
                               fmt::format("requests.{}.params", i), std::move(added.error()));
    }
    return std::move(sum).finish("The batch has no requests.", "requests");
}

}  // namespace leeway::app
