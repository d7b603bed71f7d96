#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace leeway::sim {

/// Reads HTTP/1.1 messages as strictly as the outside world would: of requests the actors of this simulation need little,
/// of answers every end that is not an end.
class HttpReader {
public:
    enum class State : std::uint8_t { kHead, kBody, kWhole, kBroken };

    explicit HttpReader(bool requests) : requests_(requests) {}
    /// Takes bytes; what lies behind a whole message waits for `next`.
    void add(std::string_view bytes);
    /// The other side has finished: a body without a length is whole now, all else is broken.
    void end();
    /// Forgets the whole message and reads on.
    void next();

    [[nodiscard]] State state() const noexcept { return state_; }
    [[nodiscard]] int status() const noexcept { return status_; }
    [[nodiscard]] const std::string& target() const noexcept { return target_; }
    [[nodiscard]] const std::string& body() const noexcept { return body_; }
    /// Empty: there is none.
    [[nodiscard]] std::string field(const std::string& name) const;

private:
    void run();
    bool read_head();
    bool read_chunk();

    const bool requests_;
    State state_ = State::kHead;
    std::string buffer_, body_, target_;
    std::map<std::string, std::string> fields_;
    int status_ = 0;
    enum class Framing : std::uint8_t { kNone, kLength, kChunks, kToEnd } framing_ = Framing::kNone;
    std::uint64_t left_ = 0;
};

}  // namespace leeway::sim
