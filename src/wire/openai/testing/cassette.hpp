#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace leeway::wire::openai::testing {

/// One recorded exchange.
struct Exchange {
    std::string request;
    std::string response;
};

/// The bodies of a recorded YAML cassette that are written as block scalars (`body: |-`), request and
/// response in turn. Just enough of YAML for these files; other styles of body come out empty.
inline std::vector<Exchange> exchanges(std::string_view yaml) {
    std::vector<Exchange> out;
    std::string* body = nullptr;
    std::size_t indent = 0;
    while (!yaml.empty()) {
        const std::size_t end = yaml.find('\n');
        const std::string_view line = yaml.substr(0, end);
        yaml.remove_prefix(end == std::string_view::npos ? yaml.size() : end + 1);
        const std::size_t first = line.find_first_not_of(' ');
        if (body != nullptr) {
            if (first == std::string_view::npos) {
                *body += '\n';
                continue;
            }
            if (indent == 0) indent = first;
            if (first >= indent) {
                body->append(line.substr(indent)).push_back('\n');
                continue;
            }
            body = nullptr;
        }
        if (first == std::string_view::npos) continue;
        const std::string_view text = line.substr(first);
        if (text.starts_with("request:")) out.emplace_back();
        if (!text.starts_with("body:") || out.empty()) continue;
        Exchange& last = out.back();
        if (text.starts_with("body: |")) {
            body = last.request.empty() ? &last.request : &last.response;
            indent = 0;
        } else if (last.request.empty()) {
            last.request = "-";  // another style: only its place counts
        }
    }
    return out;
}

}  // namespace leeway::wire::openai::testing
