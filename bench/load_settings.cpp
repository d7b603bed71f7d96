#include "load_settings.hpp"

#include "net.hpp"

#include <cstdlib>

namespace bench {
namespace {

std::vector<std::size_t> read_sizes(const std::string& text) {
    std::vector<std::size_t> sizes;
    for (std::size_t at = 0; at < text.size();) {
        char* end = nullptr;
        sizes.push_back(std::strtoull(text.c_str() + at, &end, 10));
        at = static_cast<std::size_t>(end - text.c_str()) + 1;
    }
    return sizes;
}

}  // namespace

Settings read_settings(int argc, char** argv) {
    constexpr const char* kFlags[] = {"--same",          "--stream",   "--embeddings",
                                      "--include-usage", "--messages", "--json"};
    constexpr const char* kValues[] = {
        "--connect",      "--path",    "--model",           "--marker",     "--header",
        "--requests",     "--seconds", "--connections",     "--body-bytes", "--rate",
        "--ramp-ms",      "--events",  "--timeout-seconds", "--max-tokens", "--idle-streams",
        "--hold-seconds", "--text"};
    const Options o(argc, argv, kFlags, kValues);
    Settings s;
    s.connect = o.text("--connect", "127.0.0.1:9901");
    s.embeddings = o.has("--embeddings");
    s.stream = o.has("--stream") || o.has("--idle-streams");
    s.messages = o.has("--messages");
    const std::string usual = s.messages ? "/v1/messages" : "/v1/chat/completions";
    s.path = o.text("--path", s.embeddings ? "/v1/embeddings" : usual);
    s.model = o.text("--model", "gpt-4o");
    s.marker = o.text("--marker", s.embeddings ? "\"embedding\":" : "leeway-bench-ok");
    s.headers = o.all("--header");
    s.sizes = read_sizes(o.text("--body-bytes", "3700"));
    s.idle_streams = o.integer("--idle-streams", 0);
    s.connections = o.integer("--connections", 64);
    s.requests = static_cast<std::uint64_t>(o.number("--requests", 0));
    if (s.idle_streams > 0) {
        s.connections = s.idle_streams;
        s.requests = static_cast<std::uint64_t>(s.idle_streams);
    }
    s.seconds_ns = static_cast<std::int64_t>(o.number("--seconds", 2) * 1e9);
    s.hold_ns = static_cast<std::int64_t>(o.number("--hold-seconds", 600) * 1e9);
    s.timeout_ns = static_cast<std::int64_t>(o.number("--timeout-seconds", 20) * 1e9);
    s.ramp_ns = static_cast<std::int64_t>(o.number("--ramp-ms", s.stream ? 1000 : 0) * 1e6);
    s.rate = o.number("--rate", 0);
    s.events = o.integer("--events", -1);
    s.max_tokens = o.integer("--max-tokens", 64);
    s.same = o.has("--same") || s.embeddings;
    s.text = o.text("--text", "how do I change the delivery address of an order placed yesterday");
    s.include_usage = o.has("--include-usage");
    s.json = o.has("--json");
    return s;
}

Template make_template(const Settings& s, std::size_t size) {
    const std::string counter(kCounterDigits, '0');
    std::string body;
    if (s.embeddings) {
        body = R"({"model":")" + s.model + R"(","input":")" + s.text + R"("})";
    } else {
        const std::string system = R"("You answer questions about orders in one sentence.")";
        const std::string front =
            R"({"model":")" + s.model +
            (s.messages ? R"(","system":)" + system + R"(,"messages":[)"
                        : R"(","messages":[{"role":"system","content":)" + system + "},") +
            R"({"role":"user","content":"#)" + counter + " ";
        std::string back = R"("}],"temperature":0,"max_tokens":)" + std::to_string(s.max_tokens);
        if (s.stream) back += R"(,"stream":true)";
        if (s.include_usage) back += R"(,"stream_options":{"include_usage":true})";
        constexpr std::string_view kWords =
            "The parcel left the depot on Tuesday, \\\"signed for\\\" by nobody, and the customer "
            "asks where it is now; line two.\\nPlease quote \\u00e9t\\u00e9 exactly. ";
        body = front;
        while (body.size() + kWords.size() + back.size() + 1 < size) body += kWords;
        while (body.size() + back.size() + 1 < size) body += 'z';
        body += back + "}";
    }
    std::string head = "POST " + s.path + " HTTP/1.1\r\nHost: " +
                       (s.connect.starts_with("unix:") ? "localhost" : s.connect) +
                       "\r\nContent-Type: application/json\r\nAccept: application/json\r\n" +
                       "User-Agent: bench_load/1\r\n";
    for (const std::string& header : s.headers) head += header + "\r\n";
    head += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
    return {head + body, s.embeddings ? 0 : head.size() + body.find('#') + 1};
}

}  // namespace bench
