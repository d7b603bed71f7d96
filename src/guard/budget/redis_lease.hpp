#pragma once

#include "guard/budget/lease.hpp"
#include "store/redis/client.hpp"

#include <optional>

namespace leeway::budget {

/// The pool in a Redis or Valkey server: a hash per account, period → what is leased, changed by one script at a
/// time. Money is counted there in millionths of a USD, since its scripts compute with doubles; needs are rounded
/// up and limits down. A server that forgot (flushed, or restarted without its file) is refused until the gateway
/// is started again: what others leased is not known any more, and too little is better than too much.
class RedisLease final : public LeaseSource {
public:
    explicit RedisLease(store::redis::Address address) : address_(std::move(address)) {}
    [[nodiscard]] Result<std::vector<LeaseGrant>> take(std::span<const LeaseWant> wants) override;
    [[nodiscard]] Result<void> give_back(std::span<const LeaseReturn> returns) override;

private:
    [[nodiscard]] Result<std::vector<std::string>> eval(std::string_view script,
                                                        const std::string& account,
                                                        std::vector<std::string> arguments);

    const store::redis::Address address_;
    std::optional<store::redis::Client> client_;
    std::string epoch_;  // of the server's memory; empty: not met yet
};

}  // namespace leeway::budget
