#include "app/commands.hpp"
#include "app/terminal.hpp"
#include "base/clock.hpp"
#include "json/node.hpp"
#include "json/write.hpp"
#include "methods/agent_cache/semantic_file.hpp"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <thread>
#include <utility>

namespace leeway::app {
namespace {

using agent_cache::ControllerRow;
using agent_cache::SemanticFile;
using store::sqlite::Access;

// How long `clear` waits for a running gateway, which looks five times a second.
constexpr auto kPatience = std::chrono::seconds(3);

std::string path_of(const std::string& state) { return state + "/semantic.db"; }

Result<std::optional<SemanticFile>> open(const std::string& state, Access access) {
    if (access == Access::kReadOnly && !std::filesystem::exists(path_of(state)))
        return std::optional<SemanticFile>();
    auto file = SemanticFile::open(path_of(state), access);
    if (!file) return fail(std::move(file.error()));
    return std::optional<SemanticFile>(std::move(*file));
}

std::string percent(std::string_view number) {
    const double value = std::strtod(std::string(number).c_str(), nullptr);
    return fmt::format("{:.2f} %", value * 100);
}

std::string text_of(const json::Node& state, std::string_view key) {
    const json::Node* value = state.find(key);
    return value == nullptr ? std::string() : value->text;
}

std::string stats_json(const std::vector<ControllerRow>& rows) {
    std::string out;
    json::Writer json(out);
    json.object().key("caches").array();
    for (const ControllerRow& row : rows) {
        json.object().key("tenant").string(row.tenant).key("route").string(row.route);
        json.key("state").raw(row.state).close_object();
    }
    json.close_array().close_object();
    return out + "\n";
}

std::string stats_table(const std::vector<ControllerRow>& rows) {
    if (rows.empty()) return "Nothing has been looked up yet.\n";
    std::vector<std::vector<std::string>> cells{{"KEY", "ROUTE", "PHASE", "PROMISED", "ASKED",
                                                 "SERVED", "WOULD SERVE", "VERIFIED", "AUDITED",
                                                 "WRONG", "ERROR", "AT MOST"}};
    std::string notes;
    for (const ControllerRow& row : rows) {
        const auto state = json::parse_node(row.state);
        if (!state) continue;
        const std::string key = row.tenant.empty() ? "-" : row.tenant;
        cells.push_back({key, row.route, text_of(*state, "phase"),
                         percent(text_of(*state, "max_error")), text_of(*state, "asked"),
                         text_of(*state, "served"), text_of(*state, "would_serve"),
                         text_of(*state, "verified"), text_of(*state, "audited"),
                         text_of(*state, "audited_wrong"), percent(text_of(*state, "error")),
                         percent(text_of(*state, "error_high"))});
        if (const std::string why = text_of(*state, "why"); !why.empty())
            notes += fmt::format("{}, {}: {}\n", key, row.route, why);
    }
    return table(cells) + (notes.empty() ? "" : "\n" + notes);
}

int show_stats(const std::string& state, bool json) {
    auto file = open(state, Access::kReadOnly);
    if (!file) return report_failure(file.error());
    std::vector<ControllerRow> rows;
    if (*file) {
        auto done =
            (*file)->each_controller([&](ControllerRow row) { rows.push_back(std::move(row)); });
        if (!done) return report_failure(done.error());
    }
    return print_out(json ? stats_json(rows) : stats_table(rows));
}

/// A line for each member; those of members that are objects are indented.
void write_lines(const json::Node& object, std::string_view indent, std::string& out) {
    for (const json::Node::Member& member : object.members) {
        if (member.value.is_object()) {
            out += fmt::format("{}{}:\n", indent, member.key);
            write_lines(member.value, "  ", out);
            continue;
        }
        const std::string value = member.value.is_array() ? member.value.json() : member.value.text;
        out += fmt::format("{}{:<20} {}\n", indent, member.key, value);
    }
}

int explain(const std::string& state, const CacheOptions& options) {
    const auto id = RequestId::parse(options.id);
    if (!id) {
        return report_failure({ErrorCode::kInvalidRequest,
                               fmt::format("'{}' is no id of a request", options.id),
                               "it is the answer's x-leeway-id, 26 letters and digits",
                               {},
                               {}});
    }
    auto file = open(state, Access::kReadOnly);
    if (!file) return report_failure(file.error());
    std::optional<std::string> detail;
    if (*file) {
        auto found = (*file)->decision(*id);
        if (!found) return report_failure(found.error());
        detail = std::move(*found);
    }
    if (!detail) {
        return report_failure({ErrorCode::kNotFound,
                               fmt::format("nothing is kept of the request {}", options.id),
                               "the semantic cache did not look for it, or 20,000 looks ago",
                               {},
                               {}});
    }
    if (options.json) return print_out(*detail + "\n");
    const auto node = json::parse_node(*detail);
    if (!node) return report_failure(node.error());
    std::string out;
    write_lines(*node, "", out);
    return print_out(out);
}

int clear(const std::string& state, const CacheOptions& options) {
    if (!options.all && options.tenant.empty() && options.route.empty()) {
        return report_failure({ErrorCode::kInvalidRequest,
                               "what is to be forgotten?",
                               "--tenant KEY, --route ROUTE, or --all",
                               {},
                               {}});
    }
    agent_cache::Erasure what;
    if (!options.tenant.empty()) what.tenant = options.tenant;
    if (!options.route.empty()) what.route = options.route;
    auto file = open(state, Access::kCreate);
    if (!file) return report_failure(file.error());
    const auto number = (*file)->order(what);
    if (!number) return report_failure(number.error());
    bool obeyed = false;
    for (const TimePoint end = monotonic_now() + kPatience; !obeyed && monotonic_now() < end;) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        const auto read = (*file)->is_obeyed(*number);
        if (!read) return report_failure(read.error());
        obeyed = *read;
    }
    if (options.json) return print_out(fmt::format("{{\"done\":{}}}\n", obeyed));
    return print_out(obeyed ? "Forgotten.\n"
                            : "No gateway runs on this state folder; the next one forgets it "
                              "before it serves.\n");
}

}  // namespace

int run_cache(const CacheOptions& options) {
    const auto state = state_folder_of(options.place);
    if (!state) return report_failure(state.error());
    switch (options.action) {
        case CacheOptions::Action::kStats: return show_stats(*state, options.json);
        case CacheOptions::Action::kExplain: return explain(*state, options);
        case CacheOptions::Action::kClear: return clear(*state, options);
    }
    return 1;
}

}  // namespace leeway::app
