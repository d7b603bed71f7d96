#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bench {

/// What the load generator is asked to do; times in nanoseconds.
struct Settings {
    std::string connect, path, model, marker;
    std::string text;  // what is embedded: always the same
    std::vector<std::string> headers;
    std::vector<std::size_t> sizes;
    int connections = 64;
    std::uint64_t requests = 0;  // 0: until the time is over
    std::int64_t seconds_ns = 0;
    std::int64_t timeout_ns = 0;
    std::int64_t ramp_ns = 0;  // the first requests start spread over this time
    double rate = 0;           // 0: closed loop
    int events = -1;           // content events that each stream must have; -1: not checked
    int max_tokens = 64;
    bool same = false, stream = false, embeddings = false, include_usage = false, json = false;
    bool messages = false;  // the same request as Anthropic's Messages have it
    int idle_streams = 0;
    std::int64_t hold_ns = 0;
};

/// Digits of the counter that makes each request different.
constexpr std::size_t kCounterDigits = 12;

/// A request that is sent again and again; only the counter in it changes.
struct Template {
    std::string bytes;
    std::size_t counter_at = 0;
};

/// Reads the command line; ends the program with the known options when it is wrong.
Settings read_settings(int argc, char** argv);

/// A whole HTTP request whose body has `size` bytes (an embedding: as long as its text).
Template make_template(const Settings& settings, std::size_t size);

}  // namespace bench
