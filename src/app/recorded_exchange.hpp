#pragma once

#include "net/http_server.hpp"

#include <string>

namespace leeway::app {

/// An exchange that passes all on to another one and, from `record` on, keeps what the caller gets: also where the
/// caller is not there any more to get it. Loop-local; must not outlive the other.
class RecordedExchange final : public net::Exchange {
public:
    explicit RecordedExchange(net::Exchange& inner) noexcept : inner_(inner) {}

    /// Keeps the answer, up to `most` bytes of its body.
    void record(std::size_t most) noexcept { most_ = most; }
    /// A whole answer was given, and has been kept.
    [[nodiscard]] bool whole() const noexcept { return whole_ && body_.size() <= most_; }
    [[nodiscard]] bool streamed() const noexcept { return streamed_; }
    [[nodiscard]] const std::string& body() const noexcept { return body_; }

    [[nodiscard]] const net::RequestHead& head() const noexcept override { return inner_.head(); }
    [[nodiscard]] TimePoint arrival() const noexcept override { return inner_.arrival(); }
    [[nodiscard]] Task<Result<std::string_view>> read_body() override { return inner_.read_body(); }
    void watch(net::Deadline& deadline) override { inner_.watch(deadline); }
    void unwatch() noexcept override { inner_.unwatch(); }
    [[nodiscard]] Task<bool> respond(int status, std::span<const net::Field> fields,
                                     std::string_view body) override {
        keep(body);
        whole_ = true;
        return inner_.respond(status, fields, body);
    }
    [[nodiscard]] Task<bool> begin_stream(int status, std::span<const net::Field> fields) override {
        streamed_ = true;
        return inner_.begin_stream(status, fields);
    }
    [[nodiscard]] Task<bool> send(std::span<const std::string_view> pieces) override {
        for (const std::string_view piece : pieces) keep(piece);
        return inner_.send(pieces);
    }
    [[nodiscard]] Task<bool> end_stream() override {
        whole_ = true;
        return inner_.end_stream();
    }
    void break_off() noexcept override { inner_.break_off(); }
    [[nodiscard]] bool answered() const noexcept override { return inner_.answered(); }

private:
    // One byte more than allowed tells that it did not fit.
    void keep(std::string_view bytes) {
        if (most_ > 0 && body_.size() <= most_)
            body_.append(bytes.substr(0, most_ + 1 - body_.size()));
    }

    net::Exchange& inner_;
    std::size_t most_ = 0;
    bool streamed_ = false;
    bool whole_ = false;
    std::string body_;
};

}  // namespace leeway::app
