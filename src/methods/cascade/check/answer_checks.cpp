#include "methods/cascade/check/answer_checks.hpp"

#include "json/node.hpp"
#include "methods/cascade/check/arithmetic.hpp"
#include "methods/cascade/check/json_schema.hpp"
#include "methods/cascade/check/marks.hpp"

#include <re2/re2.h>

#include <string>

namespace leeway::cascade::check {
namespace {

/// Whether the answer is none that its format allows. What a format demands that is not known here is no fault.
bool breaks_format(std::string_view answer, std::string_view response_format) {
    if (response_format.empty()) return false;
    const auto format = json::parse_node(response_format);
    if (!format) return false;
    const std::string_view type = format->text_of("type");
    if (type != "json_object" && type != "json_schema") return false;
    // Nothing may stand around it: a caller's parser reads all.
    const auto value = json::parse_node(answer);
    if (!value) return true;
    const json::Node* const named = format->find("json_schema");
    const json::Node* const schema = named == nullptr ? nullptr : named->find("schema");
    if (type == "json_object" || schema == nullptr) return !value->is_object();
    return check_schema(*value, *schema).validity == Validity::kInvalid;
}

}  // namespace

Result<std::shared_ptr<const re2::RE2>> answer_pattern(std::string_view text) {
    auto out = std::make_shared<const re2::RE2>(re2::StringPiece(text.data(), text.size()),
                                                re2::RE2::Quiet);
    if (!out->ok())
        return fail(ErrorCode::kConfig,
                    "'" + std::string(text) + "' is no regular expression: " + out->error(),
                    "RE2 syntax: https://github.com/google/re2/wiki/Syntax");
    return out;
}

std::string_view fault_in(std::string_view answer, std::string_view response_format,
                          const AnswerChecks& checks) {
    if (checks.schema && breaks_format(answer, response_format)) return "schema";
    if (checks.pattern && !re2::RE2::PartialMatch({answer.data(), answer.size()}, *checks.pattern))
        return "pattern";
    if (checks.sums && check_sums(answer).wrong > 0) return "sums";
    if (!checks.wording) return {};
    const Marks marks = marks_of(answer);
    if (marks.refuses) return "refusal";
    return marks.cut || marks.empty ? "cut" : "";
}

}  // namespace leeway::cascade::check
