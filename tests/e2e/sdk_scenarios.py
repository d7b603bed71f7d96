"""The official SDKs and the frameworks built on them, each through all scenarios of sdks/ against a provider of its own
dialect and two of others. `tests/e2e/run --only sdk_` prints SDK × target × group of scenarios with counts."""
import json
import re

import dialect_scenarios
from dialect_provider import DialectProvider
from gateway import KEY
from sdks import anthropic_sdk, google_sdk, instructor_sdk, langchain_sdk, matrix, node_sdk, openai_sdk, pydantic_ai_sdk

CLIENTS = (openai_sdk.Chat, openai_sdk.Responses, anthropic_sdk.Messages, google_sdk.GenerateContent, langchain_sdk.OpenAI,
           langchain_sdk.Anthropic, pydantic_ai_sdk.OpenAi, pydantic_ai_sdk.Anthropic, instructor_sdk.OverOpenAi,
           instructor_sdk.OverOpenAiSchema, instructor_sdk.OverAnthropic, *node_sdk.CLIENTS)


def test_sdk_compatcanary(gateway, upstream):
    """npm's compatcanary: the required probes of its profile `modern`, against a provider of each dialect."""
    provider = DialectProvider()
    try:
        dialect_scenarios.configure(gateway, provider)
        for target in ("chat", "responses", "anthropic", "gemini"):
            report = node_sdk.run("node_modules/compatcanary/src/cli.js", "scan", "--base-url", gateway.url + "/v1", "--model",
                                  f"m-{target}", "--api-key", KEY, "--profile", "modern", "--format", "json")
            results = json.loads(report)["results"]
            print(f"  compatcanary -> {target}: {sum(one['status'] == 'pass' for one in results)}/{len(results)}")
            assert all(one["status"] == "pass" for one in results), results
    finally:
        provider.shutdown()


def _test(make):
    def test(gateway, upstream):
        matrix.run(gateway, make)
    return test


for _client in CLIENTS:
    globals()["test_sdk_" + re.sub(r"\W+", "_", _client.sdk)] = _test(_client)
