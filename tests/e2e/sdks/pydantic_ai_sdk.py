"""`pydantic-ai` with its models for OpenAI's chat and for Anthropic: single requests, streams and whole agents."""
import asyncio

import anthropic
import openai
from pydantic_ai import Agent, BinaryContent, ImageUrl, NativeOutput, direct
from pydantic_ai.messages import (ModelRequest, ModelResponse, SystemPromptPart, TextPart, ThinkingPart, ToolCallPart,
                                  ToolReturnPart, UserPromptPart)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.tools import ToolDefinition

from .anthropic_sdk import BUDGETS
from .client import FORM_SCHEMA, KEY, NOT_OF_ALL, RESULT, Answer, Client, Failure, weather_tools
from .openai_sdk import Form

STOPS = {"stop": "end", "tool_call": "tool", "length": "length", "content_filter": "refusal"}


def media(url):
    if not url.startswith("data:"):
        return ImageUrl(url)
    return BinaryContent.from_data_uri(url)


class PydanticAi(Client):
    lacks = NOT_OF_ALL - {"loop"} | {"count", "embed", "models", "request_id", "error_id", "developer", "metadata", "quiet_stream",
                                     "empty_stream", "image_url"}
    classes = {400: "ModelRequestRejectedError", 401: "ModelAuthenticationError", 403: "ModelAuthenticationError",
               404: "ModelNotFoundError", 429: "ModelRateLimitError", 500: "ModelServerError", 529: "ModelOverloadedError"}
    timeout_class = "ModelTimeoutError"
    native = True

    def __init__(self, url):
        self.url = url

    def api(self, r):
        """The vendor's own client, to be closed by the caller."""
        raise NotImplementedError

    def model(self, r, api):
        raise NotImplementedError

    def run(self, r, use):
        """What the coroutine `use` gives for a model, in a loop of its own."""
        async def in_a_loop():
            async with self.api(r) as api:
                return await use(self.model(r, api))
        return asyncio.run(in_a_loop())

    def failure(self, error):
        seen = error
        while seen is not None and not getattr(seen, "status_code", None):
            seen = seen.__cause__
        return Failure(type(error).__name__, getattr(seen, "status_code", 0), str(error))

    def settings(self, r):
        out = {key: r[key] for key in ("temperature", "top_p", "seed", "max_tokens") if key in r}
        for key, name in (("stop", "stop_sequences"), ("parallel", "parallel_tool_calls"), ("extra", "extra_body"),
                          ("timeout", "timeout")):
            if key in r:
                out[name] = r[key]
        if "tool_choice" in r:
            out["tool_choice"] = "required" if r["tool_choice"] == "required" else [r["tool_choice"]]
        return out

    def request(self, r):
        parts = [SystemPromptPart(r["system"])] if "system" in r else []
        messages = []
        for role, text in r.get("turns", []):
            messages.append(ModelRequest([UserPromptPart(text)]) if role == "user" else ModelResponse([TextPart(text)]))
        if r.get("calls"):
            messages += [ModelRequest([UserPromptPart("What is it like?")]),
                         ModelResponse([ToolCallPart(c[1], c[2], tool_call_id=c[0]) for c in r["calls"]])]
            parts += [ToolReturnPart(c[1], RESULT, tool_call_id=c[0]) for c in r["calls"]]
        if r.get("thoughts"):
            messages += [ModelRequest([UserPromptPart("Think.")]), ModelResponse(
                [ThinkingPart(r["thoughts"][0], signature=r["thoughts"][1], provider_name="anthropic"), TextPart("Done.")])]
        content = [media(r[kind]) for kind in ("image", "document") if r.get(kind)]
        messages.append(ModelRequest(parts + [UserPromptPart([*content, r["text"]] if content else r["text"])]))
        parameters = ModelRequestParameters(
            function_tools=[ToolDefinition(name=name, parameters_json_schema=schema) for name, schema in weather_tools(r)],
            output_mode="native" if r.get("schema") else "text",
            output_object=OutputObjectDefinition(FORM_SCHEMA, name="form", strict=True) if r.get("schema") else None)
        return {"messages": messages, "model_settings": self.settings(r), "model_request_parameters": parameters}

    def read(self, response, pieces=0):
        of = lambda kind: [part for part in response.parts if isinstance(part, kind)]  # noqa: E731
        usage = response.usage
        return Answer("".join(p.content for p in of(TextPart)),
                      [(p.tool_call_id, p.tool_name, p.args_as_dict()) for p in of(ToolCallPart)],
                      STOPS[response.finish_reason], (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens),
                      "".join(p.content for p in of(ThinkingPart)), "".join(p.signature or "" for p in of(ThinkingPart)),
                      pieces=pieces)

    def ask(self, r):
        return self.read(self.run(r, lambda model: direct.model_request(model, **self.request(r))))

    def stream(self, r):
        async def all_of_it(model):
            async with direct.model_request_stream(model, **self.request(r)) as stream:
                pieces = 0
                async for _ in stream:
                    pieces += 1
                return self.read(stream.get(), pieces)
        return self.run(r, all_of_it)

    def structured(self, r):
        output = NativeOutput(Form) if self.native and "twice" not in r["text"] else Form
        return self.run(r, lambda model: Agent(model, output_type=output).run(r["text"])).output.model_dump()

    def structured_stream(self, r):
        async def all_of_it(model):
            async with Agent(model, output_type=Form).run_stream(r["text"]) as stream:
                return await stream.get_output()
        return self.run(r, all_of_it).model_dump()

    def loop(self, r):
        async def with_tools(model):
            agent = Agent(model)
            agent.tool_plain(name="get_weather")(weather)
            agent.tool_plain(name="get_time")(time_of)
            return (await agent.run(r["text"])).output
        return self.run(r, with_tools)

    def cancel(self, r):
        async def begin(model):
            async with direct.model_request_stream(model, **self.request(r)) as stream:
                async for _ in stream:
                    break
        self.run(r, begin)


def weather(city: str) -> str:
    return RESULT


def time_of(zone: str) -> str:
    return RESULT


class OpenAi(PydanticAi):
    sdk, dialect = "pydantic-ai openai", "chat"
    lacks = PydanticAi.lacks - {"again"} | {"signature"}

    def api(self, r):
        return openai.AsyncOpenAI(base_url=self.url + "/v1", api_key=KEY, max_retries=r.get("retries", 0),
                                  http_client=openai.DefaultAsyncHttpxClient(verify=False))  # it loads no certificates

    def model(self, r, api):
        return OpenAIChatModel(r["model"], provider=OpenAIProvider(openai_client=api))

    def settings(self, r):
        out = super().settings(r)
        if "think" in r:
            out["openai_reasoning_effort"] = r["think"]
        if "user" in r:
            out["openai_user"] = r["user"]
        return out


class Anthropic(PydanticAi):
    sdk, dialect = "pydantic-ai anthropic", "anthropic"
    lacks = PydanticAi.lacks - {"again"} | {"seed", "schema"}
    native = False  # it asks for Claude's own names

    def api(self, r):
        return anthropic.AsyncAnthropic(base_url=self.url, api_key=KEY, max_retries=r.get("retries", 0),
                                        http_client=anthropic.DefaultAsyncHttpxClient(verify=False))

    def model(self, r, api):
        return AnthropicModel(r["model"], provider=AnthropicProvider(anthropic_client=api))

    def settings(self, r):
        out = super().settings(r)
        if "think" in r:
            out.update(anthropic_thinking={"type": "enabled", "budget_tokens": BUDGETS[r["think"]]}, max_tokens=20000)
        if "user" in r:
            out["anthropic_metadata"] = {"user_id": r["user"]}
        return out
