#include "providers/sigv4.hpp"

#include "base/hash.hpp"
#include "base/strings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <vector>

namespace leeway::providers {
namespace {

std::string_view bytes_of(const Sha256& hash) noexcept {
    return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

std::string sorted_query(std::string_view query) {
    std::vector<std::string> pairs;
    while (!query.empty()) {
        const std::size_t end = std::min(query.find('&'), query.size());
        std::string pair(query.substr(0, end));
        if (pair.find('=') == std::string::npos) pair += '=';
        pairs.push_back(std::move(pair));
        query.remove_prefix(std::min(end + 1, query.size()));
    }
    std::sort(pairs.begin(), pairs.end());
    std::string out;
    for (const std::string& pair : pairs) {
        if (!out.empty()) out += '&';
        out += pair;
    }
    return out;
}

/// Without blanks at its ends, several inside as one.
std::string canonical_value(std::string_view value) {
    std::string out;
    for (const char c : trim(value)) {
        if (c != ' ' || !out.ends_with(' ')) out += c;
    }
    return out;
}

}  // namespace

std::string uri_encode(std::string_view text, std::string_view kept) {
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
        if (plain || kept.find(c) != std::string_view::npos) {
            out += c;
        } else {
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return out;
}

std::string aws_time(std::int64_t unix_s) {
    using namespace std::chrono;
    const sys_seconds time{seconds{unix_s}};
    const sys_days day = floor<days>(time);
    const year_month_day date{day};
    const hh_mm_ss clock{time - day};
    return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", int{date.year()}, unsigned{date.month()},
                       unsigned{date.day()}, clock.hours().count(), clock.minutes().count(),
                       clock.seconds().count());
}

std::string aws_authorization(const AwsCredentials& credentials, const SigningInput& input) {
    std::vector<net::Field> headers(input.headers.begin(), input.headers.end());
    std::sort(headers.begin(), headers.end(),
              [](const net::Field& a, const net::Field& b) { return a.name < b.name; });
    std::string names;
    std::string request = fmt::format("{}\n{}\n{}\n", input.method, uri_encode(input.path, "/"),
                                      sorted_query(input.query));
    for (const net::Field& header : headers) {
        if (!names.empty()) names += ';';
        names += header.name;
        request += fmt::format("{}:{}\n", header.name, canonical_value(header.value));
    }
    request += fmt::format("\n{}\n{}", names, to_hex(sha256(input.body)));

    const std::string time = aws_time(input.unix_s);
    const std::string day = time.substr(0, 8);
    const std::string scope =
        fmt::format("{}/{}/{}/aws4_request", day, credentials.region, input.service);
    const std::string text =
        fmt::format("AWS4-HMAC-SHA256\n{}\n{}\n{}", time, scope, to_hex(sha256(request)));
    Sha256 key = hmac_sha256("AWS4" + credentials.secret_key.expose(), day);
    key = hmac_sha256(bytes_of(key), credentials.region);
    key = hmac_sha256(bytes_of(key), input.service);
    key = hmac_sha256(bytes_of(key), "aws4_request");
    return fmt::format("AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}",
                       credentials.access_key, scope, names,
                       to_hex(hmac_sha256(bytes_of(key), text)));
}

}  // namespace leeway::providers
