#include "app/commands/policy_file.hpp"

#include "app/terminal.hpp"

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace leeway::app {
namespace {

// How the writers begin; a file that was written otherwise has no seal that fits.
constexpr std::string_view kCascade = "{\"cascade\":";
constexpr std::string_view kRouter = "{\"router\":";

}  // namespace

const std::string& PolicyFile::signer() const noexcept {
    return std::visit([](const auto& one) -> const std::string& { return one.signer; }, policy);
}

Result<PolicyFile> read_policy_file(const std::string& path) {
    const auto bytes = read_input(path, router::kMostRouterFile);
    if (!bytes) return fail(ErrorCode::kConfig, bytes.error().message, bytes.error().hint);
    PolicyFile out;
    out.head = bytes->substr(0, bytes->find('\n'));
    Result<void> read;
    const auto take = [&](auto file) {
        if (file) {
            out.policy = std::move(*file);
        } else {
            read = fail(ErrorCode::kConfig, fmt::format("{}: {}", path, file.error().message),
                        file.error().hint);
        }
    };
    if (bytes->starts_with(kRouter)) {
        take(router::read_router_file(*bytes));
    } else if (bytes->starts_with(kCascade)) {
        take(cascade::read_cascade_file(*bytes));
    } else {
        return fail(ErrorCode::kConfig, fmt::format("{}: this is no policy", path),
                    "leeway tune cascade and leeway tune router write policies");
    }
    if (!read) return fail(std::move(read.error()));
    return out;
}

}  // namespace leeway::app
