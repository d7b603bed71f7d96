#pragma once

// Only for tests: a chat request on its way, as the stages see it.

#include "pipeline/context.hpp"
#include "wire/openai/request_view.hpp"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace leeway::agent_cache::testing {

struct AskedRequest final : pipeline::HeaderSource {
    explicit AskedRequest(std::string text) : body(std::move(text)) {
        auto view = wire::openai::parse_request(context.endpoint, body);
        EXPECT_TRUE(view) << body;
        if (view) context.view = std::move(*view);
        context.body = body;
        context.arrived_unix_us = unix_now_us();
        context.id = RequestId::make(context.arrived_unix_us / 1000);
        route.name = "support";
        model.name = "gpt";
        model.upstream_name = "gpt-4";
        model.provider_name = "openai";
        context.route = &route;
        context.model = &model;
        context.headers = this;
        context.key_name = "web";
    }
    AskedRequest(const AskedRequest&) = delete;
    AskedRequest& operator=(const AskedRequest&) = delete;

    std::optional<std::string_view> header(std::string_view name) const override {
        const auto found = headers.find(name);
        if (found == headers.end()) return std::nullopt;
        return found->second;
    }
    std::optional<std::string_view> query(std::string_view) const override { return std::nullopt; }

    std::string body;
    std::map<std::string, std::string, std::less<>> headers;
    pipeline::Route route;
    pipeline::Model model;
    pipeline::RequestContext context;
};

}  // namespace leeway::agent_cache::testing
