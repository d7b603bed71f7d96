#pragma once

// Only for tests: random records and a state folder that goes away.

#include "base/clock.hpp"
#include "ledger/record.hpp"
#include "support/temporary_folder.hpp"

#include <random>
#include <string>

namespace leeway::ledger::testing {

using support::TemporaryFolder;

/// An ordinary record: one answered chat request with one attempt.
inline RequestRecord ordinary_record(std::int64_t ts_us = unix_now_us()) {
    RequestRecord r;
    r.id = RequestId::make(ts_us / 1000);
    r.ts_us = ts_us;
    r.key = "team-travel";
    r.route = "default";
    r.endpoint = "chat.completions";
    r.model_asked = "gpt-4o-mini";
    r.model = "gpt-4o-mini";
    r.provider = "openai";
    r.user = "ada";
    r.tags = "beta,team=search";
    r.session = "s-1";
    r.agent = "planner";
    r.http_status = 200;
    r.stream = true;
    using prices::Bucket;
    r.usage = {{Bucket::kInput, 900}, {Bucket::kCachedInput, 100}, {Bucket::kOutput, 250}};
    r.usage_state = prices::UsageState::kFinal;
    r.cost = PicoUsd(292'500'000);
    r.baseline = PicoUsd(4'875'000'000);
    r.total_us = 1'234'567;
    r.first_byte_us = 234'567;
    AttemptRow a;
    a.provider = "openai";
    a.model = "gpt-4o-mini";
    a.model_reported = "gpt-4o-mini-2024-07-18";
    a.http_status = 200;
    a.finish_reason = "stop";
    a.usage = r.usage;
    a.usage_state = r.usage_state;
    a.cost = r.cost;
    a.first_byte_us = 230'000;
    a.total_us = 1'230'000;
    r.attempts.push_back(a);
    return r;
}

/// A record with everything drawn at random: extreme amounts, unknown costs, odd text, 0–4 attempts.
inline RequestRecord random_record(std::mt19937_64& rng) {
    const auto below = [&](std::uint64_t n) {
        return rng() % n;
    };
    const auto text = [&](std::size_t longest) {
        std::string out(below(longest + 1), ' ');
        for (char& c : out) c = static_cast<char>(below(256));
        return out;
    };
    const auto amount = [&]() -> std::optional<PicoUsd> {
        if (below(4) == 0) return std::nullopt;
        if (below(8) == 0) return PicoUsd(static_cast<std::int64_t>(rng()));  // any int64
        return PicoUsd(static_cast<std::int64_t>(below(5'000'000'000)));
    };
    const auto usage = [&] {
        const auto tokens = [&] {
            return static_cast<std::int64_t>(below(20'000));
        };
        prices::Usage out;
        for (const auto& info : prices::kBuckets) {
            if (below(2) == 0) out[info.bucket] = tokens();
        }
        return out;
    };
    RequestRecord r;
    r.ts_us = 1'700'000'000'000'000 + static_cast<std::int64_t>(below(10 * 86'400'000'000));
    r.id = RequestId::make(r.ts_us / 1000);
    const char* const keys[] = {"", "alpha", "beta", "gamma \"quoted\", with comma"};
    const char* const routes[] = {"default", "cheap"};
    const char* const models[] = {"", "small", "large", "größer"};
    r.key = keys[below(4)];
    r.route = routes[below(2)];
    r.endpoint = below(2) == 0 ? "chat.completions" : "embeddings";
    r.model = models[below(4)];
    r.provider = r.model.empty() ? "" : below(2) == 0 ? "openai" : "local";
    const char* const users[] = {"", "ada", "grace", "größer, = \"x\""};
    const char* const tags[] = {"", "beta", "beta,team=search", "a,b,c"};
    r.user = users[below(4)];
    r.tags = tags[below(4)];
    r.session = below(2) == 0 ? "" : "s" + std::to_string(below(40));
    r.agent = below(2) == 0 ? "" : "agent" + std::to_string(below(3));
    r.arm = static_cast<Arm>(below(3));
    r.model_asked = below(2) == 0 ? r.model : text(30);
    r.http_status = static_cast<std::int32_t>(below(600));
    r.end = static_cast<EndState>(below(5));
    r.source = static_cast<Source>(below(3));
    r.stream = below(2) == 0;
    r.usage = usage();
    r.usage_state = static_cast<prices::UsageState>(below(4));
    r.usage_quality = static_cast<tokens::Quality>(1 + below(4));
    r.cost = amount();
    r.baseline = amount();
    r.total_us = static_cast<std::int64_t>(below(100'000'000));
    r.first_byte_us = static_cast<std::int64_t>(below(100'000'000));
    if (r.cost && r.baseline && below(4) != 0) {
        prices::Waterfall steps;
        const auto gap = static_cast<std::uint64_t>(r.baseline->value()) -
                         static_cast<std::uint64_t>(r.cost->value());
        const auto part = below(1'000'000);
        steps.saved[below(3)] = PicoUsd(static_cast<std::int64_t>(part));
        steps.saved[3] = PicoUsd(static_cast<std::int64_t>(gap - part));
        for (auto& label : steps.labels) label = static_cast<prices::SavingLabel>(1 + below(2));
        if (steps.closes(*r.baseline, *r.cost)) r.waterfall = steps;
    }
    if (below(3) == 0) r.notes = text(60);
    if (below(3) == 0) r.error = text(20);
    for (std::uint64_t i = 0, n = below(5); i < n; ++i) {
        AttemptRow a;
        a.number = static_cast<std::uint32_t>(i + 1);
        a.provider = below(2) == 0 ? "openai" : "local";
        a.model = models[below(4)];
        a.model_reported = below(2) == 0 ? a.model : text(30);
        a.http_status = static_cast<std::int32_t>(below(600));
        a.end = static_cast<EndState>(below(5));
        a.finish_reason = below(2) == 0 ? "stop" : "";
        a.usage = usage();
        a.usage_state = static_cast<prices::UsageState>(below(4));
        a.usage_quality = static_cast<tokens::Quality>(1 + below(4));
        a.cost = amount();
        a.reported_cost = amount();
        a.computed_cost = amount();
        a.price_id = below(3) == 0 ? 0 : rng();
        a.tier = static_cast<prices::Tier>(below(5));
        a.first_byte_us = static_cast<std::int64_t>(below(100'000'000));
        a.total_us = static_cast<std::int64_t>(below(100'000'000));
        r.attempts.push_back(std::move(a));
    }
    return r;
}

}  // namespace leeway::ledger::testing
