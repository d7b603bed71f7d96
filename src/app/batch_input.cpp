#include "app/batch_input.hpp"

#include "app/worst_case.hpp"
#include "wire/openai/batch.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::app {
namespace {

tl::unexpected<Error> bad_line(std::int64_t number, Error error) {
    error.code = ErrorCode::kInvalidRequest;
    error.message = fmt::format("Line {} of the file: {}", number, error.message);
    error.param = "file";
    if (error.reason.empty()) error.reason = "invalid_batch_line";
    return fail(std::move(error));
}

}  // namespace

Result<BatchBound> read_batch_input(std::string_view file) {
    BatchBound out;
    Int128 input = 0;
    Int128 output = 0;
    std::int64_t number = 0;
    for (std::string_view rest = file; !rest.empty();) {
        const std::size_t end = rest.find('\n');
        const std::string_view line = rest.substr(0, end);
        rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
        ++number;
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
        auto ask = wire::openai::read_batch_ask(line);
        if (!ask) return bad_line(number, std::move(ask.error()));
        if (out.lines == 0) {
            out.endpoint = ask->endpoint;
            out.model = ask->model;
        } else if (ask->endpoint != out.endpoint || ask->model != out.model) {
            return bad_line(number,
                            Error{ErrorCode::kInvalidRequest,
                                  "All requests of a batch must be of one url and one model.",
                                  {},
                                  {},
                                  "mixed_batch"});
        }
        ++out.lines;
        input += input_bound(static_cast<std::int64_t>(line.size()), ask->messages, ask->media);
        output += Int128{std::max<std::int64_t>(ask->limit.value_or(kUsualAnswer), 0)} *
                  std::max<std::int64_t>(ask->answers, 1);
        if (out.unbounded == 0 && (!ask->limit || ask->open_input)) out.unbounded = number;
    }
    if (out.lines == 0) {
        return fail(Error{
            ErrorCode::kInvalidRequest, "The file has no requests.", {}, "file", "empty_batch"});
    }
    out.input_tokens = capped(input);
    out.output_tokens = capped(output);
    return out;
}

}  // namespace leeway::app
