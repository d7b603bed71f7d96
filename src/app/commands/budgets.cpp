#include "app/commands.hpp"
#include "app/config.hpp"
#include "app/config_values.hpp"
#include "app/terminal.hpp"
#include "base/clock.hpp"
#include "base/money.hpp"
#include "guard/budget/book.hpp"
#include "json/write.hpp"
#include "ledger/intent.hpp"
#include "ledger/reader.hpp"
#include "ledger/time_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace leeway::app {
namespace {

constexpr std::size_t kBarWidth = 20;
constexpr std::int64_t kLongestWindow = 32 * 86'400;

std::int64_t whole(Int128 value) {
    constexpr auto kMost = Int128{INT64_MAX};
    return static_cast<std::int64_t>(std::clamp<Int128>(value, 0, kMost));
}

std::string amount(budget::Unit unit, Int128 value) {
    return unit == budget::Unit::kTokens ? std::to_string(whole(value))
                                         : to_usd_string(PicoUsd(whole(value)));
}

/// The budgets as a gateway that starts now would see them, with what is reserved at this moment.
Result<std::vector<budget::Standing>> read_standings(const Config& config,
                                                     const std::string& state) {
    const std::int64_t now_s = unix_now_s();
    const Secret& database = config.ledger.database;
    ledger::replay_for_reader(state, database, stderr);
    auto open = ledger::read_open_intents(state, database);
    if (!open) return fail(std::move(open.error()));
    auto rows = ledger::read_spending(state, database, now_s - kLongestWindow);
    if (!rows) return fail(std::move(rows.error()));
    budget::Book book;
    for (const ledger::Intent& intent : *open) {
        std::vector<budget::Scope> scopes;
        for (const std::string& text : intent.scopes) {
            if (auto scope = budget::parse_scope(text)) scopes.push_back(std::move(*scope));
        }
        budget::Reservation held;
        held.operation = intent.id;
        held.attempt = intent.attempt;
        held.scopes = scopes;
        held.worst = {intent.worst.value(), intent.worst_tokens};
        held.now_s = intent.ts_us / 1'000'000;
        (void)book.reserve(held);  // there is no limit yet that could refuse it
    }
    std::vector<budget::PastSpending> past;
    for (const ledger::ScopeSpending& row : *rows) {
        auto scope = budget::parse_scope(row.scope);
        if (scope) past.push_back({std::move(*scope), row.slot, row.spent.value(), row.tokens});
    }
    std::vector<budget::BudgetSpec> specs;
    specs.reserve(config.budgets.size());
    for (const BudgetConfig& one : config.budgets) specs.push_back(one.spec);
    book.configure(std::move(specs), past, now_s);
    return book.standings(now_s);
}

std::string as_json(const std::vector<budget::Standing>& standings) {
    std::string out;
    json::Writer writer(out);
    writer.object().key("budgets").array();
    for (const budget::Standing& one : standings) {
        const bool usd = one.unit == budget::Unit::kUsd;
        writer.object().key("budget").string(one.budget);
        writer.key("scope").string(to_string(one.scope)).key("window").string(one.per);
        writer.key("hard").boolean(one.hard).key("unit").string(to_string(one.unit));
        const std::array<std::pair<const char*, Int128>, 4> amounts{
            {{"limit", Int128{one.limit}},
             {"spent", one.posted},
             {"reserved", one.pending},
             {"left", Int128{one.limit} - one.posted - one.pending}}};
        for (const auto& [name, value] : amounts) {
            if (usd) {
                writer.key(fmt::format("{}_usd", name)).string(amount(one.unit, value));
                writer.key(fmt::format("{}_pico_usd", name)).integer(whole(value));
            } else {
                writer.key(fmt::format("{}_tokens", name)).integer(whole(value));
            }
        }
        writer.key("resets").string(ledger::iso_time(one.resets_unix_s * 1'000'000));
        writer.close_object();
    }
    writer.close_array().close_object();
    return out + "\n";
}

/// What is spent, then what is reserved, of the whole limit.
std::string bar(const budget::Standing& one, bool colour) {
    const auto cells = [&](Int128 value) {
        if (one.limit <= 0) return value > 0 ? kBarWidth : 0;
        const Int128 scaled = (value * kBarWidth + one.limit - 1) / one.limit;
        return static_cast<std::size_t>(std::clamp<Int128>(scaled, 0, kBarWidth));
    };
    const std::size_t spent = cells(one.posted);
    const std::size_t held = cells(one.posted + one.pending) - spent;
    std::string solid;
    for (std::size_t i = 0; i < spent; ++i) solid += "█";
    std::string dotted;
    for (std::size_t i = 0; i < held; ++i) dotted += "▒";
    std::string rest;
    for (std::size_t i = spent + held; i < kBarWidth; ++i) rest += "░";
    const Colour tone = spent >= kBarWidth            ? Colour::kRed
                        : spent * 10 >= kBarWidth * 8 ? Colour::kYellow
                                                      : Colour::kGreen;
    const Int128 percent =
        one.limit > 0 ? (one.posted + one.pending) * 100 / one.limit : Int128{100};
    return coloured(solid, tone, colour) + dotted + coloured(rest, Colour::kDim, colour) +
           fmt::format(" {:>3} %", whole(percent));
}

std::string as_table(const std::vector<budget::Standing>& standings, bool colour) {
    constexpr std::size_t kColumns = 8;
    using Row = std::array<std::string, kColumns>;
    std::vector<Row> rows{
        {"BUDGET", "SCOPE", "WINDOW", "LIMIT", "SPENT", "RESERVED", "LEFT", "RESETS"}};
    for (const budget::Standing& one : standings) {
        const char* unit = one.unit == budget::Unit::kUsd ? " USD" : " tokens";
        rows.push_back({one.budget, to_string(one.scope), one.per + (one.hard ? "" : ", soft"),
                        amount(one.unit, one.limit) + unit, amount(one.unit, one.posted),
                        amount(one.unit, one.pending),
                        amount(one.unit, Int128{one.limit} - one.posted - one.pending),
                        ledger::iso_time(one.resets_unix_s * 1'000'000).substr(0, 16) + "Z"});
    }
    std::array<std::size_t, kColumns> widths{};
    for (const Row& row : rows) {
        for (std::size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    std::string out;
    for (std::size_t r = 0; r < rows.size(); ++r) {
        std::string line;
        for (std::size_t i = 0; i < kColumns; ++i) {
            const std::string space(widths[i] - rows[r][i].size(), ' ');
            const bool right = i >= 3 && i <= 6;
            line += right ? space + rows[r][i] : rows[r][i] + space;
            line += "  ";
        }
        if (r > 0) line += bar(standings[r - 1], colour);
        line.erase(line.find_last_not_of(' ') + 1);
        out += r == 0 ? coloured(line, Colour::kBold, colour) : line;
        out += '\n';
    }
    return out;
}

}  // namespace

int run_budgets(const BudgetsOptions& options) {
    const auto path = config_path_of(options.place);
    if (!path) return report_failure(path.error());
    const auto config = load_config(*path);
    if (!config) return report_failure(config.error());
    const auto state = state_folder_of(options.place);
    if (!state) return report_failure(state.error());
    const auto standings = read_standings(*config, *state);
    if (!standings) return report_failure(standings.error());
    if (options.json) return print_out(as_json(*standings));
    if (config->budgets.empty()) {
        return print_out("There are no budgets. `budgets:` in " + *path +
                         " makes some; config/leeway.yaml shows how.\n");
    }
    if (standings->empty()) {
        return print_out("Nothing has been spent that a budget counts.\n");
    }
    return print_out(as_table(*standings, wants_colour(stdout)));
}

}  // namespace leeway::app
