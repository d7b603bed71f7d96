#pragma once

// Recorded exchanges of the public test data as JSON texts. Only for tests.

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::support {

/// A plain YAML scalar as JSON has it; quoted ones are always strings.
inline void append_scalar(std::string& out, const YAML::Node& node) {
    const std::string& text = node.Scalar();
    const bool plain = node.Tag() == "?";
    const bool word = text == "true" || text == "false" || text == "null";
    char* end = nullptr;
    std::strtod(text.c_str(), &end);
    const bool number =
        !text.empty() && *end == '\0' && text.find_first_of("xXnN") == std::string::npos;
    if (plain && (word || number)) {
        out += text;
        return;
    }
    out += '"';
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            out += ' ';
        } else {
            out += c;
        }
    }
    out += '"';
}

inline void append_json(std::string& out, const YAML::Node& node) {
    switch (node.Type()) {
        case YAML::NodeType::Map: {
            out += '{';
            bool first = true;
            for (const auto& member : node) {
                if (!first) out += ',';
                first = false;
                out += '"' + member.first.Scalar() + "\":";
                append_json(out, member.second);
            }
            out += '}';
            return;
        }
        case YAML::NodeType::Sequence: {
            out += '[';
            bool first = true;
            for (const auto& element : node) {
                if (!first) out += ',';
                first = false;
                append_json(out, element);
            }
            out += ']';
            return;
        }
        case YAML::NodeType::Scalar: append_scalar(out, node); return;
        default: out += "null";
    }
}

/// One recorded answer: a JSON document, or the data of each event of a stream.
struct Recorded {
    std::string url;
    int status = 0;
    bool stream = false;
    std::vector<std::string> documents;
};

/// All exchanges of a cassette of VCR, in order.
inline std::vector<Recorded> recorded(const std::filesystem::path& file) {
    std::vector<Recorded> out;
    std::ifstream in(file, std::ios::binary);
    std::string yaml((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    // yaml-cpp 0.7 loses its way in tagged block scalars of lists (headers; nothing we read).
    const std::string_view tagged = "- !!binary |";
    for (std::size_t at = yaml.find(tagged); at != std::string::npos; at = yaml.find(tagged, at)) {
        yaml.replace(at, tagged.size(), "- |");
    }
    const YAML::Node cassette = YAML::Load(yaml);
    for (const YAML::Node& exchange : cassette["interactions"]) {
        Recorded& to = out.emplace_back();
        to.url = exchange["request"]["uri"].as<std::string>();
        const YAML::Node response = exchange["response"];
        to.status = response["status"]["code"].as<int>();
        if (response["parsed_body"]) {
            append_json(to.documents.emplace_back(), response["parsed_body"]);
            continue;
        }
        const YAML::Node body = response["body"]["string"];
        if (!body || body.Tag() == "tag:yaml.org,2002:binary") continue;
        std::string_view text = body.Scalar();
        while (!text.empty()) {
            const std::size_t end = text.find('\n');
            std::string_view line = text.substr(0, end);
            text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
            if (!line.starts_with("data:")) continue;
            line.remove_prefix(5);
            line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
            if (!line.starts_with('{')) continue;
            to.stream = true;
            to.documents.emplace_back(line);
        }
    }
    return out;
}

/// The cassettes of a .tar.gz, unpacked into `folder`; empty when that failed.
inline std::vector<std::filesystem::path> unpack(const std::filesystem::path& archive,
                                                 const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> out;
    const std::string command = "tar -xzf '" + archive.string() + "' -C '" + folder.string() + "'";
    if (std::system(command.c_str()) != 0) return out;  // NOLINT(cert-env33-c): a test's own words
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        if (entry.path().extension() == ".yaml") out.push_back(entry.path());
    }
    std::sort(out.begin(), out.end());
    return out;
}

}  // namespace leeway::support
