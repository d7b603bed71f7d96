#pragma once

#include "app/config.hpp"
#include "models/supervisor.hpp"

#include <memory>
#include <string>
#include <vector>

namespace leeway::app {

/// A supervised child process that runs embedded models. What it serves never changes.
struct ModelHost {
    ModelHost(models::SupervisorOptions options, unsigned index, std::vector<std::string> facts)
        : url("unix:" + options.socket_path),
          number(index),
          told(std::move(facts)),
          supervisor(std::move(options)) {}

    const std::string url;  ///< "unix:/path"
    const unsigned number;  ///< 0, 1, …: no two that live have the same, nor the same socket
    const std::vector<std::string> told;  ///< all that makes it what it is
    models::Supervisor supervisor;
};

/// The model hosts of a gateway. As a rule one; after a reload that changed what the host is told
/// (`local`, the embedded models, `log`), the old one lives until the last request that began with it
/// has ended. Snapshots hold the host they use. Main thread only.
class ModelHosts {
public:
    explicit ModelHosts(std::string state_folder) : state_folder_(std::move(state_folder)) {}

    /// The host for `config`: the present one when it would be told the same, else a new one, which no
    /// process belongs to yet. Null: no provider is embedded. Errors are in words for the operator.
    [[nodiscard]] Result<std::shared_ptr<ModelHost>> host_for(const Config& config) const;
    /// From now on `host` is the present one. It starts at once if the one before it runs, else with the
    /// first request for it. Says whether it is another one.
    bool use(std::shared_ptr<ModelHost> host);
    /// Ends what no snapshot holds any more; waits for the process.
    void end_unused();
    /// Ends all of them; requests for one fail from now on.
    void stop();
    [[nodiscard]] const std::shared_ptr<ModelHost>& present() const noexcept { return present_; }
    /// Hosts that are present or still have requests.
    [[nodiscard]] std::size_t count() const noexcept { return hosts_.size(); }

private:
    const std::string state_folder_;
    std::shared_ptr<ModelHost> present_;
    std::vector<std::shared_ptr<ModelHost>> hosts_;  // the present one and those that are to end
};

}  // namespace leeway::app
