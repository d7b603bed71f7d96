#include "app/config_changes.hpp"

namespace leeway::app {

std::vector<std::string> changes_for_next_start(const Config& running, const Config& next) {
    std::vector<std::string> out;
    const auto compare = [&out](const char* name, const auto& a, const auto& b) {
        if (!(a == b)) out.emplace_back(name);
    };
    compare("server.listen", running.server.listen, next.server.listen);
    compare("server.admin", running.server.admin, next.server.admin);
    compare("server.workers", running.server.workers, next.server.workers);
    compare("server.state", running.server.state, next.server.state);
    compare("server.limits", running.server.limits, next.server.limits);
    compare("idempotency.memory", running.idempotency.memory_bytes, next.idempotency.memory_bytes);
    compare("idempotency.entry", running.idempotency.entry_bytes, next.idempotency.entry_bytes);
    compare("cache.memory", running.cache.memory_bytes, next.cache.memory_bytes);
    compare("cache.disk", running.cache.disk_bytes, next.cache.disk_bytes);
    compare("cache.entry", running.cache.entry_bytes, next.cache.entry_bytes);
    compare("cache.questions", running.cache.questions, next.cache.questions);
    compare("ledger.enabled", running.ledger.enabled, next.ledger.enabled);
    compare("budget_leases", running.budget_leases, next.budget_leases);
    compare("ledger.database", running.ledger.database, next.ledger.database);
    compare("ledger.durability", running.ledger.full_durability, next.ledger.full_durability);
    compare("log.format", running.log.format, next.log.format);
    return out;
}

}  // namespace leeway::app
