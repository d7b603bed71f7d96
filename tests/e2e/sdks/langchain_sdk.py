"""`langchain-openai` and `langchain-anthropic`: the same messages for both, each in its vendor's dialect."""
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from .anthropic_sdk import BUDGETS, STOPS, media
from .client import FORM_SCHEMA, KEY, NOT_OF_ALL, RESULT, Answer, Client, weather_tools
from .openai_sdk import CHAT_STOPS, Form

LACKS = NOT_OF_ALL - {"loop"} | {"count", "signature", "metadata", "developer", "request_id", "quiet_stream", "models"}


def named(vendor):
    """LangChain's classes of errors by status."""
    return {status: f"{vendor}{word}Error" for status, word in (
        (400, "InvalidRequest"), (401, "Authentication"), (403, "PermissionDenied"), (404, "ModelNotFound"),
        (429, "RateLimit"), (500, "API"), (529, "API"))}


class LangChain(Client):
    def model(self, r):
        raise NotImplementedError

    def part(self, kind, url):
        """A picture or a document in the vendor's words."""
        raise NotImplementedError

    def bound(self, r):
        model, more = self.model(r), {}
        if r.get("tools"):
            if "tool_choice" in r:
                more["tool_choice"] = "any" if r["tool_choice"] == "required" else r["tool_choice"]
            if "parallel" in r:
                more["parallel_tool_calls"] = r["parallel"]
            model = model.bind_tools([{"name": name, "description": name, "parameters": schema}
                                      for name, schema in weather_tools(r)], **more)
        return model

    def messages(self, r):
        out = [SystemMessage(r["system"])] if "system" in r else []
        out += [(HumanMessage if role == "user" else AIMessage)(text) for role, text in r.get("turns", [])]
        if r.get("calls"):
            out += [HumanMessage("What is it like?"), AIMessage("", tool_calls=[
                {"id": c[0], "name": c[1], "args": c[2]} for c in r["calls"]])]
            out += [ToolMessage(RESULT, tool_call_id=c[0]) for c in r["calls"]]
        parts = [self.part(kind, r[kind]) for kind in ("image", "document") if r.get(kind)]
        return out + [HumanMessage(parts + [{"type": "text", "text": r["text"]}] if parts else r["text"])]

    def read(self, message, pieces=0):
        told = message.response_metadata
        stop = told.get("finish_reason") or told.get("stop_reason")
        usage = message.usage_metadata
        thought = "".join(block.get("reasoning", "") for block in message.content_blocks if block["type"] == "reasoning")
        return Answer(message.text, [(c["id"], c["name"], c["args"]) for c in message.tool_calls],
                      {**CHAT_STOPS, **STOPS}[stop],
                      (usage["input_tokens"], usage.get("input_token_details", {}).get("cache_read"), usage["output_tokens"]),
                      thought, refusal=message.additional_kwargs.get("refusal") or "", pieces=pieces)

    def ask(self, r):
        return self.read(self.bound(r).invoke(self.messages(r)))

    def stream(self, r):
        whole, pieces = None, 0
        for piece in self.bound(r).stream(self.messages(r)):
            whole = piece if whole is None else whole + piece
            pieces += 1
        return self.read(whole, pieces)

    def structured(self, r):
        return self.model(r).with_structured_output(Form, method=self.method).invoke(self.messages(r)).model_dump()

    def structured_stream(self, r):
        last = None
        for piece in self.model(r).with_structured_output(FORM_SCHEMA | {"title": "form"}, method=self.method).stream(
                self.messages(r)):
            last = piece
        return last

    def loop(self, r):
        said = self.messages(r)
        while True:
            message = self.bound({**r, "tools": True}).invoke(said)
            said.append(message)
            if not message.tool_calls:
                return message.text
            said += [ToolMessage(RESULT, tool_call_id=call["id"]) for call in message.tool_calls]

    def cancel(self, r):
        stream = self.model(r).stream(self.messages(r))
        next(stream)
        stream.close()


class OpenAI(LangChain):
    sdk, dialect, method = "langchain-openai", "chat", "json_schema"
    lacks = LACKS | {"thought", "refusal_stream"}  # it knows OpenAI's own fields only, and no pieces of a refusal
    classes = named("OpenAI")
    timeout_class = "OpenAITimeoutError"

    def __init__(self, url):
        self.url = url + "/v1"

    def model(self, r):
        fields = {key: r[key] for key in ("temperature", "top_p", "seed", "stop", "max_tokens") if key in r}
        if "think" in r:
            fields["reasoning_effort"] = r["think"]
        if "user" in r:
            fields["model_kwargs"] = {"user": r["user"]}
        if "extra" in r:
            fields["extra_body"] = r["extra"]
        if r.get("schema"):
            fields.setdefault("model_kwargs", {})["response_format"] = {
                "type": "json_schema", "json_schema": {"name": "form", "schema": FORM_SCHEMA, "strict": True}}
        return ChatOpenAI(model=r["model"], base_url=self.url, api_key=KEY, max_retries=r.get("retries", 0),
                          timeout=r.get("timeout", 30), stream_usage=True, use_responses_api=False, **fields)

    def part(self, kind, url):
        if kind == "image":
            return {"type": "image_url", "image_url": {"url": url}}
        return {"type": "file", "file": {"filename": "a.pdf", "file_data": url}}

    def embed(self, model, texts):
        return OpenAIEmbeddings(model=model, base_url=self.url, api_key=KEY,
                                check_embedding_ctx_length=False).embed_documents(texts)


class Anthropic(LangChain):
    sdk, dialect, method = "langchain-anthropic", "anthropic", "json_schema"
    lacks = LACKS | {"embed", "seed", "user"}
    classes = named("Anthropic") | {529: "AnthropicOverloadedError"}
    timeout_class = "AnthropicTimeoutError"

    def __init__(self, url):
        self.url = url

    def model(self, r):
        fields = {key: r[key] for key in ("temperature", "top_p", "max_tokens", "stop") if key in r}
        if "think" in r:
            fields.update(thinking={"type": "enabled", "budget_tokens": BUDGETS[r["think"]]}, max_tokens=20000)
        if r.get("schema"):
            fields["output_config"] = {"format": {"type": "json_schema", "schema": FORM_SCHEMA}}
        if "extra" in r:
            fields["model_kwargs"] = {"extra_body": r["extra"]}
        return ChatAnthropic(model=r["model"], base_url=self.url, api_key=KEY, max_retries=r.get("retries", 0),
                             timeout=r.get("timeout", 30), **{"max_tokens": 500, **fields})

    def part(self, kind, url):
        return {"type": kind, "source": media(url)}
