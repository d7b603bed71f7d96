"""The official SDKs and the frameworks built on them, each through all scenarios of sdks/ against a provider of its own
dialect and two of others. `tests/e2e/run --only sdk_` prints SDK × target × group of scenarios with counts."""
import re

from sdks import anthropic_sdk, google_sdk, instructor_sdk, langchain_sdk, matrix, openai_sdk, pydantic_ai_sdk

CLIENTS = (openai_sdk.Chat, openai_sdk.Responses, anthropic_sdk.Messages, google_sdk.GenerateContent, langchain_sdk.OpenAI,
           langchain_sdk.Anthropic, pydantic_ai_sdk.OpenAi, pydantic_ai_sdk.Anthropic, instructor_sdk.OverOpenAi,
           instructor_sdk.OverOpenAiSchema, instructor_sdk.OverAnthropic)


def _test(make):
    def test(gateway, upstream):
        matrix.run(gateway, make)
    return test


for _client in CLIENTS:
    globals()["test_sdk_" + re.sub(r"\W+", "_", _client.sdk)] = _test(_client)
