#include "tokens/function_text.hpp"

#include "tokens/json_reading.hpp"

#include <algorithm>
#include <utility>

namespace leeway::tokens {
namespace {

using detail::Reading;

/// The JSON text of the value at the cursor, which is passed.
std::string raw_value(json::Cursor& cursor) {
    const std::size_t begin = cursor.offset();
    if (!cursor.skip()) return {};
    return std::string(cursor.text().substr(begin, cursor.value_end() - begin));
}

std::string text_or_skip(Reading& in) {
    if (in.cursor.kind() == '"') return in.text();
    in.cursor.skip();
    return {};
}

FunctionType read_type(Reading& in) {
    FunctionType out;
    in.members([&](std::string_view key) {
        if (key == "type") {
            out.type = text_or_skip(in);
        } else if (key == "description") {
            out.description = text_or_skip(in);
        } else if (key == "enum") {
            in.elements([&] { out.choices.push_back(raw_value(in.cursor)); });
        } else if (key == "items" && in.cursor.kind() == '{') {
            out.items.push_back(read_type(in));
        } else if (key == "properties") {
            in.members([&](std::string_view name) {
                std::string kept(name);
                FunctionType type = read_type(in);
                type.name = std::move(kept);
                out.properties.push_back(std::move(type));
            });
        } else if (key == "required") {
            in.elements([&] { out.required.push_back(text_or_skip(in)); });
        } else {
            in.cursor.skip();
        }
    });
    return out;
}

void write_type(std::string& out, const FunctionType& type, std::size_t indent);

void write_properties(std::string& out, const FunctionType& object, std::size_t indent) {
    bool first = true;
    const auto line = [&] {
        if (!first) out += '\n';
        first = false;
        out.append(indent, ' ');
    };
    for (const FunctionType& type : object.properties) {
        // Descriptions of inner fields are not shown.
        if (!type.description.empty() && indent < 2) {
            line();
            out += "// " + type.description;
        }
        line();
        const bool required = std::find(object.required.begin(), object.required.end(),
                                        type.name) != object.required.end();
        out += type.name;
        out += required ? ": " : "?: ";
        write_type(out, type, indent);
        out += ',';
    }
}

void write_type(std::string& out, const FunctionType& type, std::size_t indent) {
    const auto choices = [&](std::string_view otherwise) {
        if (type.choices.empty()) out += otherwise;
        for (std::size_t i = 0; i < type.choices.size(); ++i) {
            if (i > 0) out += " | ";
            out += type.choices[i];
        }
    };
    if (type.type == "string") {
        choices("string");
    } else if (type.type == "integer" || type.type == "number") {
        choices("number");
    } else if (type.type == "boolean" || type.type == "null") {
        out += type.type;
    } else if (type.type == "array") {
        if (type.items.empty()) {
            out += "any";
        } else {
            write_type(out, type.items.front(), indent);
        }
        out += "[]";
    } else if (type.type == "object") {
        out += "{\n";
        write_properties(out, type, indent + 2);
        out += '\n';
        out.append(indent, ' ');
        out += '}';
    } else {
        out += "any";
    }
}

}  // namespace

FunctionDefinition read_function(json::Cursor& cursor) {
    Reading in{cursor};
    FunctionDefinition out;
    in.members([&](std::string_view key) {
        if (key == "name") {
            out.name = text_or_skip(in);
        } else if (key == "description") {
            out.description = text_or_skip(in);
        } else if (key == "parameters") {
            out.parameters = read_type(in);
        } else {
            cursor.skip();
        }
    });
    return out;
}

std::string functions_as_text(const std::vector<FunctionDefinition>& functions) {
    std::string out = "namespace functions {\n\n";
    for (const FunctionDefinition& function : functions) {
        if (!function.description.empty()) out += "// " + function.description + '\n';
        out += "type " + function.name;
        if (function.parameters.properties.empty()) {
            out += " = () => any;\n\n";
            continue;
        }
        out += " = (_: {\n";
        write_properties(out, function.parameters, 0);
        out += "\n}) => any;\n\n";
    }
    return out + "} // namespace functions";
}

}  // namespace leeway::tokens
