#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct redisContext;  // NOLINT(readability-identifier-naming): of hiredis

namespace leeway::store::redis {

/// Where a Redis or Valkey server is: redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], or redis+unix:///PATH.
struct Address {
    std::string host;
    std::uint16_t port = 6379;
    std::string path;  ///< of a Unix socket; empty: TCP
    std::string user;
    Secret password;
    std::string database;  ///< empty: 0
    /// For people: without the password.
    [[nodiscard]] std::string name() const;
};
/// The error never holds the text.
[[nodiscard]] Result<Address> parse_address(const Secret& url);

/// One connection. Used by one thread at a time, which waits at most `patience` for each answer, so never an
/// event loop's. After an error open a new one.
class Client {
public:
    [[nodiscard]] static Result<Client> open(const Address& address,
                                             Duration patience = std::chrono::seconds(2));
    /// Runs a script whose answer is a list of integers and texts; here both as text.
    [[nodiscard]] Result<std::vector<std::string>> eval(std::string_view script,
                                                        const std::vector<std::string>& keys,
                                                        const std::vector<std::string>& arguments);

private:
    struct Free {
        void operator()(redisContext* context) const noexcept;
    };
    Client(redisContext* context, std::string name) : context_(context), name_(std::move(name)) {}
    [[nodiscard]] Result<std::vector<std::string>> command(
        const std::vector<std::string_view>& words);
    std::unique_ptr<redisContext, Free> context_;
    std::string name_;
};

}  // namespace leeway::store::redis
