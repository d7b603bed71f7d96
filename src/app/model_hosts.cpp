#include "app/model_hosts.hpp"

#include <algorithm>
#include <atomic>

namespace leeway::app {
namespace {

bool has_embedded(const Config& config) {
    return std::any_of(
        config.providers.begin(), config.providers.end(),
        [](const ProviderConfig& p) { return p.dialect == ProviderDialect::kEmbedded; });
}

models::HostSettings settings_of(const Config& config) {
    models::HostSettings out;
    out.folder = config.local.folder;
    out.threads = config.local.threads;
    out.parallel = config.local.parallel;
    out.context = config.local.context;
    out.memory_bytes = config.local.memory_bytes;
    out.log_level = config.log.level;
    out.log_json = config.log.format == "json";
    for (const ModelConfig& model : config.models) {
        if (model.file.empty()) continue;
        out.models.push_back({model.upstream_name.empty() ? model.name : model.upstream_name,
                              model.file, model.sha256});
    }
    return out;
}

}  // namespace

Result<std::shared_ptr<ModelHost>> ModelHosts::host_for(const Config& config) const {
    if (!has_embedded(config)) return std::shared_ptr<ModelHost>();
    const models::HostSettings settings = settings_of(config);
    std::vector<std::string> told = models::host_arguments(settings, "");
    models::SupervisorOptions options;
    options.environment = models::host_environment(settings);
    told.insert(told.end(), options.environment.begin(), options.environment.end());
    if (present_ && present_->told == told) return present_;

    unsigned number = 0;
    const auto taken = [&](const auto& host) {
        return host->number == number;
    };
    while (std::any_of(hosts_.begin(), hosts_.end(), taken)) ++number;
    auto socket = models::host_socket_path(state_folder_, number);
    if (!socket) return fail(std::move(socket.error()));
    options.socket_path = *socket;
    options.arguments = models::host_arguments(settings, *socket);
    return std::make_shared<ModelHost>(std::move(options), number, std::move(told));
}

bool ModelHosts::use(std::shared_ptr<ModelHost> host) {
    if (host == present_) return false;
    const bool runs = present_ && present_->supervisor.running();
    present_ = std::move(host);
    if (!present_) return true;
    hosts_.push_back(present_);
    if (runs) present_->supervisor.ensure_running();
    return true;
}

void ModelHosts::end_unused() {
    std::erase_if(hosts_, [this](const std::shared_ptr<ModelHost>& host) {
        if (host == present_ || host.use_count() > 1) return false;
        // Nobody can take a new reference: all that others did with theirs comes before this.
        std::atomic_thread_fence(std::memory_order_acquire);
        return true;
    });
}

void ModelHosts::stop() {
    for (const auto& host : hosts_) host->supervisor.stop();
}

}  // namespace leeway::app
