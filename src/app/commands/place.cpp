#include "app/commands.hpp"
#include "app/config_values.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

namespace leeway::app {

Result<std::string> config_path_of(const PlaceOptions& place) {
    return place.config.empty() ? default_config_path() : Result<std::string>(place.config);
}

Result<std::string> state_folder_of(const PlaceOptions& place) {
    if (!place.state.empty()) {
        // Typed in a shell, so it counts from where the shell is, unlike the one in the file.
        std::error_code error;
        const auto path = std::filesystem::absolute(place.state, error);
        return error ? place.state : path.lexically_normal().string();
    }
    auto config = config_path_of(place);
    if (!config) return config;
    return read_state_folder(*config);
}

Result<LedgerPlace> ledger_place_of(const PlaceOptions& place) {
    const auto config = config_path_of(place);
    if (!config && place.state.empty()) return fail(config.error());
    LedgerPlace out;
    if (config) {
        auto read = read_ledger_place(*config);
        if (!read) return read;
        out = std::move(*read);
    }
    if (!place.state.empty()) {
        auto state = state_folder_of(place);
        if (!state) return fail(std::move(state.error()));
        out.state_dir = std::move(*state);
    }
    return out;
}

Result<Config> load_config_for(const ServeOptions& options) {
    const auto path = config_path_of(options.place);
    if (!path) return fail(path.error());
    auto config = load_config(*path);
    if (!config) return config;
    if (!options.place.state.empty()) {
        const auto state = state_folder_of(options.place);
        if (!state) return fail(state.error());
        config->server.state = *state;
    }
    const auto put = [](const char* option, const std::string& value,
                        std::string& out) -> Result<void> {
        if (value.empty()) return {};
        const auto address = parse_listen_address(value);
        if (!address) {
            return fail(ErrorCode::kConfig, fmt::format("{}: {}", option, address.error().message),
                        address.error().hint);
        }
        out = value;
        return {};
    };
    auto ok = put("--listen", options.listen, config->server.listen);
    if (ok) ok = put("--admin", options.admin, config->server.admin);
    if (!ok) return fail(ok.error());
    return config;
}

}  // namespace leeway::app
