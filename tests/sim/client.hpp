#pragma once

#include "sim/http.hpp"
#include "sim/network.hpp"
#include "sim/oracle.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace leeway::sim {

inline constexpr std::string_view kGatewayAddress = "10.0.0.9:8484";
inline constexpr std::string_view kClientKey = "lw-simulated-0123456789abcdef";
inline constexpr std::string_view kOtherKey = "lw-simulated-fedcba9876543210";

/// An application that sends one or more requests over a connection, in one of three dialects, and believes only what it
/// can prove: that an answer is whole, and its own.
class Client : public std::enable_shared_from_this<Client> {
public:
    /// `life`: tells which life of the gateway is the present one.
    Client(Oracle& oracle, std::function<std::uint32_t()> life)
        : oracle_(oracle), life_(std::move(life)) {}
    void start(unsigned requests);

private:
    enum class Dialect : std::uint8_t { kChat, kMessages, kResponses };

    void connected(EndPtr end);
    void send_request();
    std::string request_text();
    void received(std::string_view bytes);
    void over(End::Over over);
    void leave(bool reset);
    void answered();
    void finish();
    [[nodiscard]] std::string text_of(std::string_view body) const;
    void judge_stream(bool message_whole);
    [[nodiscard]] Asked& asked() { return oracle_.asked[index_]; }

    Oracle& oracle_;
    std::function<std::uint32_t()> life_;
    EndPtr end_;
    HttpReader reader_{false};
    unsigned left_ = 0;
    std::size_t index_ = 0;
    Dialect dialect_ = Dialect::kChat;
    bool stream_ = false;
    bool running_ = false;
    bool slow_ = false;
    bool leaves_later_ = false;
};

}  // namespace leeway::sim
