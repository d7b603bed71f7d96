#pragma once

#include "sim/http.hpp"
#include "sim/network.hpp"
#include "sim/oracle.hpp"

#include <memory>
#include <string>
#include <vector>

namespace leeway::sim {

/// A provider that answers as OpenAI or Anthropic do, and fails as providers fail.
class Provider {
public:
    /// Its credential is sk-simulated-NAME; it must get no other.
    Provider(Oracle& oracle, std::string name, std::string address, bool anthropic);

    /// USD per million tokens of the model, input and output, as in the gateway's configuration.
    struct Price {
        std::int64_t input = 0, output = 0;
    };
    static Price price_of(const std::string& model);

private:
    struct Connection;
    struct Answer {
        std::string head;
        std::vector<std::string> parts;
        Duration before{0}, between{0};
        enum class Then : std::uint8_t { kKeep, kClose, kReset, kHang } then = Then::kKeep;
    };
    void serve(const std::shared_ptr<Connection>& connection);
    Answer answer(Call& call, bool stream, std::int64_t most) const;
    void refuse(Call& call, int status, Answer& out) const;
    std::vector<std::string> events(Call& call, std::int64_t input, bool cut_short) const;
    std::string whole_body(Call& call, std::int64_t input, bool cut_short) const;
    std::string usage(std::int64_t input, std::int64_t output, Call& call) const;

    Oracle& oracle_;
    const std::string name_;
    const std::string address_;
    const bool anthropic_;
    const std::string secret_;
};

}  // namespace leeway::sim
