#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace leeway::app {

struct PolicyOptions {
    enum class Action : std::uint8_t { kKeygen, kShow };
    Action action = Action::kShow;
    std::string file;  ///< of show
    std::vector<std::string>
        trusted;  ///< of show: public keys, one of which must have signed; empty: any or none
    std::string output;  ///< of keygen: the new file
    bool json = false;
};

/// Makes a key that signs policies, or tells what a policy says and who signed it. 0: the key is written, or the policy
/// holds; 1: it does not.
int run_policy(const PolicyOptions& options);

}  // namespace leeway::app
