#include "base/strings.hpp"
#include "json/write.hpp"
#include "lab/estimate/json_tree.hpp"
#include "lab/estimate/scenario.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace leeway::lab {
namespace {

using Row = std::map<std::string, std::string, std::less<>>;

tl::unexpected<Error> refused(std::string message, std::string hint = {}) {
    return fail(ErrorCode::kInvalidRequest, std::move(message), std::move(hint));
}

/// A piece of the template: constant text, or the name of a column.
struct Piece {
    std::string text;
    bool placeholder = false;
};

Result<std::vector<Piece>> cut(std::string_view text) {
    std::vector<Piece> out;
    while (!text.empty()) {
        const std::size_t open = text.find("{{");
        if (open > 0) out.push_back({std::string(text.substr(0, open)), false});
        if (open == std::string_view::npos) break;
        const std::size_t close = text.find("}}", open);
        if (close == std::string_view::npos) {
            return refused("the template has a '{{' that nothing closes", "write {{name}}");
        }
        const std::string_view name = trim(text.substr(open + 2, close - open - 2));
        if (name.empty()) return refused("the template has a placeholder without a name");
        out.push_back({std::string(name), true});
        text.remove_prefix(close + 2);
    }
    return out;
}

/// One record of CSV (RFC 4180) off the front of `rest`; false: there is none left. Quoted fields may
/// hold commas, line ends and doubled quotes.
Result<bool> next_record(std::string_view& rest, std::vector<std::string>& fields) {
    fields.clear();
    if (rest.empty()) return false;
    std::string field;
    bool quoted = false;
    std::size_t i = 0;
    for (; i < rest.size(); ++i) {
        const char c = rest[i];
        if (quoted) {
            if (c != '"') {
                field += c;
            } else if (i + 1 < rest.size() && rest[i + 1] == '"') {
                field += '"';
                ++i;
            } else {
                quoted = false;
            }
        } else if (c == '"' && field.empty()) {
            quoted = true;
        } else if (c == ',') {
            fields.push_back(std::move(field));
            field.clear();
        } else if (c == '\n') {
            break;
        } else if (c != '\r') {
            field += c;
        }
    }
    if (quoted) return refused("a quoted field of the rows is not closed");
    fields.push_back(std::move(field));
    rest.remove_prefix(std::min(i + 1, rest.size()));
    return true;
}

Result<std::vector<Row>> read_csv(std::string_view text) {
    std::vector<std::string> head;
    std::vector<std::string> fields;
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    auto more = next_record(text, head);
    if (!more) return fail(more.error());
    std::vector<Row> out;
    while (true) {
        more = next_record(text, fields);
        if (!more) return fail(more.error());
        if (!*more) return out;
        if (fields.size() == 1 && fields.front().empty()) continue;
        if (fields.size() != head.size()) {
            return refused(fmt::format("row {} has {} fields, the head line {}", out.size() + 1,
                                       fields.size(), head.size()));
        }
        Row& row = out.emplace_back();
        for (std::size_t i = 0; i < head.size(); ++i) row[std::string(trim(head[i]))] = fields[i];
    }
}

Result<std::vector<Row>> read_json_lines(std::string_view text) {
    std::vector<Row> out;
    std::size_t number = 0;
    while (!text.empty()) {
        ++number;
        const std::size_t end = text.find('\n');
        const std::string_view line = trim(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.empty() || line == "\r") continue;
        const auto object = read_json(line);
        if (!object) return refused(fmt::format("line {}: {}", number, object.error().message));
        if (!object->is(JsonTree::Kind::kObject)) {
            return refused(fmt::format("line {} is not a JSON object", number));
        }
        Row& row = out.emplace_back();
        for (const JsonTree& value : object->members) {
            const bool spelled = value.is(JsonTree::Kind::kString);
            row[value.name] = spelled ? value.text : std::string(value.raw);
        }
    }
    return out;
}

Result<std::shared_ptr<const Prompt>> fill(const std::vector<Piece>& pieces, const Row& row,
                                           std::size_t number) {
    auto prompt = std::make_shared<Prompt>();
    std::string whole;
    bool constant = true;
    for (const Piece& piece : pieces) {
        if (!piece.placeholder) {
            whole += piece.text;
            prompt->texts[index_of(Part::kSystem)] += piece.text;
            if (constant) prompt->constant_prefix += piece.text;
            continue;
        }
        constant = false;
        const auto value = row.find(piece.text);
        if (value == row.end()) {
            return refused(fmt::format("row {} has no column '{}'", number, piece.text),
                           "the placeholders of the template name columns of the rows");
        }
        whole += value->second;
        prompt->texts[index_of(Part::kUser)] += value->second;
    }
    json::Writer writer(prompt->chat);
    writer.object().key("messages").array().object().key("role").string("user");
    writer.key("content").string(whole).close_object().close_array().close_object();
    return prompt;
}

}  // namespace

Result<Scenario> read_template(std::string_view text, std::string_view rows, bool rows_are_csv) {
    const auto pieces = cut(text);
    if (!pieces) return fail(pieces.error());
    const auto read = rows_are_csv ? read_csv(rows) : read_json_lines(rows);
    if (!read) return fail(read.error());
    if (read->empty()) return refused("there are no rows");
    Scenario out;
    out.source = "template";
    Call call;
    for (std::size_t i = 0; i < read->size(); ++i) {
        auto prompt = fill(*pieces, (*read)[i], i + 1);
        if (!prompt) return fail(prompt.error());
        call.prompts.push_back(std::move(*prompt));
    }
    out.assumptions.push_back(fmt::format(
        "{} rows, each as likely as the others; the filled template is one user message",
        read->size()));
    out.flows.push_back({"template", 0, {std::move(call)}});
    return out;
}

}  // namespace leeway::lab
