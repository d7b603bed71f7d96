#include "wire/openai/multipart.hpp"

#include "base/strings.hpp"

#include <algorithm>

namespace leeway::wire::openai {
namespace {

constexpr std::string_view kLineEnd = "\r\n";
// A form of ours has a handful of fields.
constexpr std::size_t kMostParts = 32;

tl::unexpected<Error> bad_form(std::string message) {
    return fail(Error{ErrorCode::kInvalidRequest,
                      std::move(message),
                      "send the file as multipart/form-data, as the SDKs do",
                      {},
                      "invalid_form"});
}

/// The value of `name=` in a header's parameters, without its quotes; empty: there is none.
std::string_view parameter(std::string_view value, std::string_view name) {
    for (std::size_t at = value.find(';'); at != std::string_view::npos;) {
        std::string_view rest = value.substr(at + 1);
        while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
        const std::size_t equals = rest.find('=');
        if (equals == std::string_view::npos) return {};
        const bool ours = equals_ignore_case(rest.substr(0, equals), name);
        rest.remove_prefix(equals + 1);
        std::string_view text;
        if (rest.starts_with('"')) {
            const std::size_t end = rest.find('"', 1);
            if (end == std::string_view::npos) return {};
            text = rest.substr(1, end - 1);
            rest.remove_prefix(end + 1);
        } else {
            text = rest.substr(0, rest.find(';'));
        }
        if (ours) return text;
        const std::size_t next = rest.find(';');
        at = next == std::string_view::npos
                 ? next
                 : static_cast<std::size_t>(rest.data() - value.data()) + next;
    }
    return {};
}

/// Reads the header lines of a part, up to and with the empty one. False: there is no end of them.
bool read_head(std::string_view& rest, FormPart& part) {
    for (;;) {
        const std::size_t end = rest.find(kLineEnd);
        if (end == std::string_view::npos) return false;
        const std::string_view line = rest.substr(0, end);
        rest.remove_prefix(end + kLineEnd.size());
        if (line.empty()) return true;
        constexpr std::string_view kDisposition = "content-disposition:";
        if (line.size() < kDisposition.size() ||
            !equals_ignore_case(line.substr(0, kDisposition.size()), kDisposition))
            continue;
        part.name = parameter(line, "name");
        part.filename = parameter(line, "filename");
    }
}

}  // namespace

Result<std::vector<FormPart>> read_form(std::string_view content_type, std::string_view body) {
    constexpr std::string_view kForm = "multipart/form-data";
    const std::string_view boundary =
        content_type.size() > kForm.size() &&
                equals_ignore_case(content_type.substr(0, kForm.size()), kForm)
            ? parameter(content_type, "boundary")
            : std::string_view();
    if (boundary.empty()) return bad_form("The content type must be multipart/form-data.");
    const std::string first = "--" + std::string(boundary);
    const std::string next = "\r\n" + first;
    std::string_view rest = body;
    if (!rest.starts_with(first)) return bad_form("The body does not begin with its boundary.");
    rest.remove_prefix(first.size());
    std::vector<FormPart> out;
    while (!rest.starts_with("--")) {
        if (!rest.starts_with(kLineEnd) || out.size() == kMostParts)
            return bad_form("The body is no form.");
        rest.remove_prefix(kLineEnd.size());
        FormPart part;
        if (!read_head(rest, part) || part.name.empty())
            return bad_form("A part of the form has no name.");
        const std::size_t end = rest.find(next);
        if (end == std::string_view::npos) return bad_form("A part of the form has no end.");
        part.content = rest.substr(0, end);
        rest.remove_prefix(end + next.size());
        // Two readers might take different ones.
        if (std::any_of(out.begin(), out.end(),
                        [&](const FormPart& one) { return one.name == part.name; }))
            return bad_form("The form has two parts '" + part.name + "'.");
        out.push_back(std::move(part));
    }
    return out;
}

}  // namespace leeway::wire::openai
