#include "app/config_model.hpp"
#include "base/money.hpp"
#include "base/strings.hpp"
#include "net/address.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::app {
namespace {

using budget::Per;
using budget::ScopeKind;
using budget::Unit;

constexpr std::int64_t kMostRolling = 31 * 86'400;

/// "0.5" or "80%" in 0.01 %.
std::optional<std::uint32_t> parse_share(const std::string& text) {
    const bool percent = text.ends_with('%');
    const auto value = parse_usd(percent ? text.substr(0, text.size() - 1) : text);
    if (!value || value->value() <= 0) return std::nullopt;
    const std::int64_t bp = value->value() / (percent ? 10'000'000'000 : 100'000'000);
    if (bp < 1 || bp > 100'000) return std::nullopt;
    return static_cast<std::uint32_t>(bp);
}

void read_limit(ConfigSource& source, Section& section, budget::BudgetSpec& out) {
    const auto usd = section.scalar("usd");
    const auto tokens = section.scalar("tokens");
    if (section.has("usd") == section.has("tokens")) {
        source.error(section.mark(), "a budget needs either 'usd' or 'tokens'");
        return;
    }
    if (usd) {
        const auto amount = parse_usd(usd->text);
        if (!amount || amount->value() < 0) {
            source.error(usd->mark, fmt::format("'usd' must be an amount such as 50 or 0.25, not "
                                                "'{}'",
                                                usd->text));
            return;
        }
        out.limit = amount->value();
    } else if (tokens) {
        const auto count = parse_u64(tokens->text);
        if (!count || *count > 1'000'000'000'000'000) {
            source.error(tokens->mark,
                         fmt::format("'tokens' must be a whole number, not '{}'", tokens->text));
            return;
        }
        out.unit = Unit::kTokens;
        out.limit = static_cast<std::int64_t>(*count);
    }
}

void read_window(ConfigSource& source, Section& section, budget::WindowSpec& out) {
    std::chrono::seconds rolling{0};
    section.choice<Per>(
        "per", out.per,
        {{"hour", Per::kHour}, {"day", Per::kDay}, {"week", Per::kWeek}, {"month", Per::kMonth}});
    section.seconds("rolling", rolling, std::chrono::seconds(0));
    if (section.has("rolling") && section.has("per")) {
        source.error(section.mark("rolling"), "a budget has either 'per' or 'rolling'");
    } else if (section.has("rolling")) {
        if (rolling.count() < budget::kSlotSeconds || rolling.count() > kMostRolling ||
            rolling.count() % budget::kSlotSeconds != 0) {
            source.error(section.mark("rolling"),
                         "'rolling' must be 15m to 31d, a multiple of 15m");
            return;
        }
        out.per = Per::kRolling;
        out.rolling_s = rolling.count();
    }
    std::string zone = "UTC";
    section.text("time_zone", zone);
    auto loaded = budget::TimeZone::load(zone);
    if (!loaded) {
        source.error(section.mark("time_zone"), "time_zone", loaded.error());
        return;
    }
    out.zone = std::make_shared<const budget::TimeZone>(std::move(*loaded));
}

void read_alerts(ConfigSource& source, Section& section, budget::BudgetSpec& out) {
    std::vector<PlacedText> alerts;
    section.list("alerts", alerts);
    for (const PlacedText& one : alerts) {
        const auto share = parse_share(one.text);
        if (!share) {
            source.error(one.mark, fmt::format("'alerts' holds shares such as 0.8 or 80%, not '{}'",
                                               one.text));
            continue;
        }
        out.alerts_bp.push_back(*share);
    }
    std::sort(out.alerts_bp.begin(), out.alerts_bp.end());
}

/// Whose it is; `what` is what reads it.
void read_scope(ConfigSource& source, Section& section, std::string_view what, ScopeKind& scope,
                std::string& match) {
    section.choice<ScopeKind>("scope", scope,
                              {{"global", ScopeKind::kGlobal},
                               {"team", ScopeKind::kTeam},
                               {"key", ScopeKind::kKey},
                               {"user", ScopeKind::kUser},
                               {"session", ScopeKind::kSession},
                               {"tag", ScopeKind::kTag}});
    if (!section.has("scope")) {
        source.error(section.mark(), fmt::format("a {} needs a scope: global, team, key, user, "
                                                 "session or tag",
                                                 what));
    }
    section.text("match", match);
    if (!match.empty() && scope == ScopeKind::kGlobal) {
        source.error(section.mark("match"), "the scope 'global' has nothing to match");
    }
}

void read_budget(ConfigSource& source, Section& section, BudgetConfig& out, Draft& draft) {
    read_limit(source, section, out.spec);
    read_window(source, section, out.spec.window);
    section.on_off("hard", out.spec.hard);
    read_alerts(source, section, out.spec);
    section.choice<OnExceeded>("on_exceeded", out.on_exceeded,
                               {{"refuse", OnExceeded::kRefuse},
                                {"degrade", OnExceeded::kDegrade},
                                {"lower_max_tokens", OnExceeded::kLowerMaxTokens}});
    section.text("degrade_model", out.degrade_model);
    if ((out.on_exceeded == OnExceeded::kDegrade) == out.degrade_model.empty()) {
        source.error(section.mark("on_exceeded"),
                     "'on_exceeded: degrade' and 'degrade_model' need each other");
    }
    const auto& models = draft.config.models;
    const bool known = out.degrade_model.empty() ||
                       std::any_of(models.begin(), models.end(),
                                   [&](const auto& m) { return m.name == out.degrade_model; });
    if (!known) {
        source.error(section.mark("degrade_model"),
                     fmt::format("there is no model '{}'", out.degrade_model));
    }
    const auto& others = draft.config.budgets;
    if (std::any_of(others.begin(), others.end(),
                    [&](const auto& other) { return other.spec.name == out.spec.name; })) {
        source.error(section.mark("name"),
                     fmt::format("two budgets are called '{}'", out.spec.name));
    }
    section.finish();
    draft.config.budgets.push_back(std::move(out));
}

}  // namespace

void read_budgets(ConfigSource& source, Section& top, Draft& draft) {
    for (Section& section : top.list_of_sections("budgets")) {
        BudgetConfig out;
        section.text("name", out.spec.name);
        if (!section.has("name")) source.error(section.mark(), "a budget needs a name");
        if (const auto ok = check_name(out.spec.name); !ok && section.has("name")) {
            source.error(section.mark("name"), "name", ok.error());
        }
        read_scope(source, section, "budget", out.spec.scope, out.spec.match);
        read_budget(source, section, out, draft);
    }
}

void read_rate_limits(ConfigSource& source, Section& top, Draft& draft) {
    for (Section& section : top.list_of_sections("limits")) {
        limits::LimitSpec out;
        section.text("name", out.name);
        if (!section.has("name")) source.error(section.mark(), "a limit needs a name");
        if (const auto ok = check_name(out.name); !ok && section.has("name")) {
            source.error(section.mark("name"), "name", ok.error());
        }
        read_scope(source, section, "limit", out.scope, out.match);
        std::uint32_t requests = 0;
        std::uint32_t tokens = 0;
        std::uint32_t parallel = 0;
        section.number("requests_per_minute", requests, 0, 100'000'000);
        section.number("tokens_per_minute", tokens, 0, 4'000'000'000);
        section.number("parallel", parallel, 0, 1'000'000);
        if (requests == 0 && tokens == 0 && parallel == 0) {
            source.error(section.mark(),
                         "a limit needs requests_per_minute, tokens_per_minute or "
                         "parallel");
        }
        out.requests_per_minute = requests;
        out.tokens_per_minute = tokens;
        out.parallel = parallel;
        const auto& others = draft.config.limits;
        if (std::any_of(others.begin(), others.end(),
                        [&](const auto& other) { return other.name == out.name; })) {
            source.error(section.mark("name"), fmt::format("two limits are called '{}'", out.name));
        }
        section.finish();
        draft.config.limits.push_back(std::move(out));
    }
}

void read_webhook(ConfigSource& source, Section& top, Draft& draft) {
    Section section = top.section("webhook");
    WebhookConfig& out = draft.config.webhook;
    section.text("url", out.url);
    section.secret("secret", out.secret);
    section.text("ca_file", out.ca_file);
    if (section.has("url")) {
        if (const auto url = net::parse_base_url(out.url); !url) {
            source.error(section.mark("url"), "url", url.error());
        }
        if (section.has("secret") && out.secret.empty()) {
            source.error(section.mark("secret"),
                         "an empty secret signs nothing: leave it out, or "
                         "set it");
        }
    } else if (section.has("secret") || section.has("ca_file")) {
        source.error(section.mark(), "a webhook needs a url");
    }
    section.finish();
}

void read_key_budget(ConfigSource& source, Section& key, const std::string& name, Draft& draft) {
    Section section = key.section("budget");
    BudgetConfig out;
    out.spec.name = "key:" + name;
    out.spec.scope = ScopeKind::kKey;
    out.spec.match = name;
    read_budget(source, section, out, draft);
}

}  // namespace leeway::app
