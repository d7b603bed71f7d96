#include "models/host/request_fields.hpp"

#include "json/number.hpp"
#include "json/tokens.hpp"

#include <fmt/format.h>

#include <utility>

namespace leeway::models {

using json::Node;

namespace {

template <class T>
Error beyond(const char* name, const char* kind, bool above, T limit, std::string_view got) {
    return invalid_field(
        name, fmt::format("{}_{}_value", kind, above ? "above_max" : "below_min"),
        fmt::format("Invalid '{}': {} {} value. Expected a value {} {}, but got {} "
                    "instead.",
                    name, kind, above ? "above maximum" : "below minimum",
                    above ? "<=" : ">=", limit, got.substr(0, 40)));
}

}  // namespace

Result<Node> read_tree(std::string_view body) {
    const auto tokens = json::thread_indexer().index(body);
    if (!tokens) return fail(tokens.error());
    json::Cursor cursor(*tokens);
    Node node;
    if (!json::read_node(cursor, node) || !cursor.end()) return fail(cursor.error());
    return node;
}

Error invalid_field(std::string param, std::string reason, std::string message) {
    return Error{
        ErrorCode::kInvalidRequest, std::move(message), {}, std::move(param), std::move(reason)};
}

Error unsupported_field(std::string param, std::string_view what) {
    std::string message = fmt::format("Unsupported parameter: '{}': {}.", param, what);
    return invalid_field(std::move(param), "unsupported_parameter", std::move(message));
}

Error wrong_type(std::string param, std::string_view expected) {
    std::string message = fmt::format("Invalid type for '{}': expected {}.", param, expected);
    return invalid_field(std::move(param), "invalid_type", std::move(message));
}

const Node* given(const Node& object, std::string_view name) {
    const Node* found = object.find(name);
    return found == nullptr || found->is_null() ? nullptr : found;
}

Result<std::optional<double>> read_decimal(const Node& object, const char* name,
                                           DecimalRange range) {
    const Node* field = given(object, name);
    if (field == nullptr) return std::nullopt;
    const auto value =
        field->kind == Node::Kind::kRaw ? json::to_double(field->text) : std::nullopt;
    if (!value) return fail(wrong_type(name, "a decimal"));
    if (*value < range.least) return fail(beyond(name, "decimal", false, range.least, field->text));
    if (*value > range.most) return fail(beyond(name, "decimal", true, range.most, field->text));
    return value;
}

Result<std::optional<std::int64_t>> read_integer(const Node& object, const char* name,
                                                 IntegerRange range) {
    const Node* field = given(object, name);
    if (field == nullptr) return std::nullopt;
    const auto value = field->integer();
    if (!value) return fail(wrong_type(name, "an integer"));
    if (*value < range.least) return fail(beyond(name, "integer", false, range.least, field->text));
    if (*value > range.most) return fail(beyond(name, "integer", true, range.most, field->text));
    return value;
}

Result<bool> read_flag(const Node& object, const char* name) {
    const Node* field = given(object, name);
    if (field == nullptr) return false;
    const bool is_flag =
        field->kind == Node::Kind::kRaw && (field->text == "true" || field->text == "false");
    if (!is_flag) return fail(wrong_type(name, "a boolean"));
    return field->text == "true";
}

}  // namespace leeway::models
