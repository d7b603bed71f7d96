"""The official `anthropic` for Python."""
import anthropic

from .client import FORM_SCHEMA, KEY, NOT_OF_ALL, RESULT, STATUS_CLASSES, Answer, Client, weather_tools
from .openai_sdk import Form

STOPS = {"end_turn": "end", "tool_use": "tool", "max_tokens": "length", "refusal": "refusal", "stop_sequence": "end"}
BUDGETS = {"low": 2048, "medium": 8192, "high": 16384}


def media(url):
    """An image or a document as a source of Anthropic's."""
    if not url.startswith("data:"):
        return {"type": "url", "url": url}
    kind, data = url[5:].split(";base64,")
    return {"type": "base64", "media_type": kind, "data": data}


def messages(r):
    out = [{"role": role, "content": text} for role, text in r.get("turns", [])]
    content = []
    if r.get("calls"):
        out += [{"role": "user", "content": "What is it like?"}, {"role": "assistant", "content": [
            {"type": "tool_use", "id": c[0], "name": c[1], "input": c[2]} for c in r["calls"]]}]
        content += [{"type": "tool_result", "tool_use_id": c[0], "content": RESULT} for c in r["calls"]]
    if r.get("thoughts"):
        thought, signature = r["thoughts"]
        out += [{"role": "user", "content": "Think."}, {"role": "assistant", "content": [
            {"type": "thinking", "thinking": thought, "signature": signature}, {"type": "text", "text": "Done."}]}]
    content += [{"type": kind, "source": media(r[kind])} for kind in ("image", "document") if r.get(kind)]
    return out + [{"role": "user", "content": content + [{"type": "text", "text": r["text"]}] if content else r["text"]}]


class Messages(Client):
    sdk, dialect = "anthropic", "anthropic"
    lacks = NOT_OF_ALL | frozenset({"embed", "seed", "quiet_stream", "top_p", "developer", "metadata"})
    classes = {**STATUS_CLASSES, 529: "OverloadedError"}

    def __init__(self, url):
        self.api = anthropic.Anthropic(base_url=url, api_key=KEY, max_retries=0)

    def client(self, r):
        return self.api.with_options(timeout=r.get("timeout", 30), max_retries=r.get("retries", 0))

    def fields(self, r):
        fields = {"model": r["model"], "max_tokens": r.get("max_tokens", 500), "messages": messages(r)}
        if "system" in r:
            fields["system"] = r["system"]
        if "stop" in r:
            fields["stop_sequences"] = r["stop"]
        more = dict(r.get("extra", {}))  # what this SDK has no name for
        if "temperature" in r:
            more["temperature"] = r["temperature"]
        if more:
            fields["extra_body"] = more
        if "user" in r:
            fields["metadata"] = {"user_id": r["user"]}
        if r.get("tools"):
            fields["tools"] = [{"name": name, "input_schema": schema} for name, schema in weather_tools(r)]
        if "tool_choice" in r or "parallel" in r:
            choice = r.get("tool_choice", "auto")
            fields["tool_choice"] = {"type": {"required": "any", "auto": "auto"}.get(choice, "tool")}
            if fields["tool_choice"]["type"] == "tool":
                fields["tool_choice"]["name"] = choice
            if "parallel" in r:
                fields["tool_choice"]["disable_parallel_tool_use"] = not r["parallel"]
        if "think" in r:
            fields["thinking"] = {"type": "enabled", "budget_tokens": BUDGETS[r["think"]]}
            fields["max_tokens"] = 20000
        if r.get("schema"):
            fields["output_config"] = {"format": {"type": "json_schema", "schema": FORM_SCHEMA}}
        return fields

    def read(self, message):
        of = lambda kind: [block for block in message.content if block.type == kind]  # noqa: E731
        usage = message.usage
        return Answer("".join(b.text for b in of("text")), [(b.id, b.name, b.input) for b in of("tool_use")],
                      STOPS[message.stop_reason],
                      (usage.input_tokens + usage.cache_read_input_tokens, usage.cache_read_input_tokens, usage.output_tokens),
                      "".join(b.thinking for b in of("thinking")), "".join(b.signature for b in of("thinking")))

    def ask(self, r):
        message = self.create(r)
        answer = self.read(message)
        answer.request_id = message._request_id
        return answer

    def create(self, r):
        return self.client(r).messages.create(**self.fields(r))

    def stream(self, r):
        pieces = 0
        with self.client(r).messages.stream(**self.fields(r)) as stream:
            for event in stream:
                pieces += event.type == "content_block_delta"
            answer = self.read(stream.get_final_message())
        answer.pieces = pieces
        return answer

    def structured(self, r):
        return self.client(r).messages.parse(output_format=Form, **self.fields(r)).parsed_output.model_dump()

    def structured_stream(self, r):
        with self.client(r).messages.stream(output_format=Form, **self.fields(r)) as stream:
            return stream.get_final_message().parsed_output.model_dump()

    def cancel(self, r):
        with self.client(r).messages.stream(**self.fields(r)) as stream:
            next(iter(stream.text_stream))

    def models(self):
        return [model.id for model in self.api.models.list()]

    def count(self, r):
        fields = self.fields(r)
        del fields["max_tokens"]
        return self.api.messages.count_tokens(**fields).input_tokens
