"""The official `openai` for Python: chat completions and Responses."""
import json

import openai
import pydantic

from .client import FORM_SCHEMA, KEY, NOT_OF_ALL, RESULT, Answer, Client, weather_tools


class Form(pydantic.BaseModel):
    city: str
    degrees: int


def chat_messages(r):
    """The messages of OpenAI's chat dialect."""
    messages = [{"role": r.get("system_role", "system"), "content": r["system"]}] if r.get("system") else []
    messages += [{"role": role, "content": text} for role, text in r.get("turns", [])]
    if r.get("calls"):
        messages += [{"role": "user", "content": "What is it like?"}, {"role": "assistant", "content": None, "tool_calls": [
            {"id": c[0], "type": "function", "function": {"name": c[1], "arguments": json.dumps(c[2])}} for c in r["calls"]]}]
        messages += [{"role": "tool", "tool_call_id": c[0], "content": RESULT} for c in r["calls"]]
    content = r["text"]
    if r.get("image") or r.get("document"):
        content = [{"type": "text", "text": r["text"]}]
        if r.get("image"):
            content.insert(0, {"type": "image_url", "image_url": {"url": r["image"]}})
        if r.get("document"):
            content.insert(0, {"type": "file", "file": {"filename": "a.pdf", "file_data": r["document"]}})
    return messages + [{"role": "user", "content": content}]


def chat_fields(r):
    """The other fields of the dialect."""
    fields = {key: r[key] for key in ("temperature", "top_p", "seed", "stop", "user", "metadata") if key in r}
    if r.get("tools"):
        fields["tools"] = [{"type": "function", "function": {"name": name, "parameters": schema}}
                           for name, schema in weather_tools(r)]
    if "tool_choice" in r:
        fields["tool_choice"] = r["tool_choice"] if r["tool_choice"] == "required" else {
            "type": "function", "function": {"name": r["tool_choice"]}}
    for key, name in (("max_tokens", "max_completion_tokens"), ("parallel", "parallel_tool_calls"),
                      ("think", "reasoning_effort"), ("extra", "extra_body")):
        if key in r:
            fields[name] = r[key]
    if r.get("schema"):
        fields["response_format"] = {"type": "json_schema", "json_schema": {
            "name": "form", "schema": FORM_SCHEMA, "strict": True}}
    return fields


CHAT_STOPS = {"stop": "end", "tool_calls": "tool", "length": "length", "content_filter": "refusal"}


def read_completion(completion):
    choice = completion.choices[0]
    message, usage = choice.message, completion.usage
    details = usage.prompt_tokens_details
    return Answer(message.content or "", [(c.id, c.function.name, json.loads(c.function.arguments))
                                          for c in message.tool_calls or []], CHAT_STOPS[choice.finish_reason],
                  (usage.prompt_tokens, details.cached_tokens if details else 0, usage.completion_tokens),
                  getattr(message, "reasoning_content", None) or "", refusal=message.refusal or "")


class Chat(Client):
    sdk, dialect = "openai chat", "chat"
    lacks = NOT_OF_ALL | frozenset({"count", "signature"})

    def __init__(self, url):
        self.api = openai.OpenAI(base_url=url + "/v1", api_key=KEY, max_retries=0)

    def client(self, r):
        return self.api.with_options(timeout=r.get("timeout", 30), max_retries=r.get("retries", 0))

    def create(self, r, **more):
        return self.client(r).chat.completions.create(model=r["model"], messages=chat_messages(r), **chat_fields(r), **more)

    def ask(self, r):
        completion = self.create(r)
        answer = read_completion(completion)
        answer.request_id = completion._request_id
        return answer

    def stream(self, r):
        answer, calls = Answer(), {}
        for chunk in self.create(r, stream=True, stream_options={"include_usage": True}):
            if chunk.usage:
                assert not chunk.choices, chunk  # as OpenAI sends it
                answer.usage = (chunk.usage.prompt_tokens, chunk.usage.prompt_tokens_details.cached_tokens,
                                chunk.usage.completion_tokens)
            for choice in chunk.choices:
                answer.text += choice.delta.content or ""
                answer.refusal += choice.delta.refusal or ""
                answer.thought += getattr(choice.delta, "reasoning_content", None) or ""
                answer.pieces += 1 if choice.delta.content else 0
                for call in choice.delta.tool_calls or []:
                    entry = calls.setdefault(call.index, [call.id, call.function.name, ""])
                    entry[2] += call.function.arguments or ""
                    answer.pieces += 1
                answer.stop = CHAT_STOPS[choice.finish_reason] if choice.finish_reason else answer.stop
        answer.calls = [(c[0], c[1], json.loads(c[2])) for c in calls.values()]
        return answer

    def quiet_stream(self, r):
        """Without asking for usage: none may come."""
        return [chunk.usage for chunk in self.create(r, stream=True)]

    def structured(self, r):
        return self.client(r).chat.completions.parse(model=r["model"], messages=chat_messages(r),
                                                     response_format=Form).choices[0].message.parsed.model_dump()

    def structured_stream(self, r):
        with self.client(r).chat.completions.stream(model=r["model"], messages=chat_messages(r),
                                                    response_format=Form) as stream:
            return stream.get_final_completion().choices[0].message.parsed.model_dump()

    def cancel(self, r):
        stream = self.create(r, stream=True)
        next(iter(stream))
        stream.close()

    def models(self):
        return [model.id for model in self.api.models.list()]

    def embed(self, model, texts):
        return [item.embedding for item in self.api.embeddings.create(model=model, input=texts).data]


class Responses(Chat):
    sdk, dialect = "openai responses", "responses"
    lacks = NOT_OF_ALL | frozenset({"count", "signature", "stop", "seed", "quiet_stream"})

    def fields(self, r):
        items = [{"role": role, "content": text} for role, text in r.get("turns", [])]
        if r.get("calls"):
            items.append({"role": "user", "content": "What is it like?"})
            items += [{"type": "function_call", "call_id": c[0], "name": c[1], "arguments": json.dumps(c[2])}
                      for c in r["calls"]]
            items += [{"type": "function_call_output", "call_id": c[0], "output": RESULT} for c in r["calls"]]
        content = r["text"]
        if r.get("image") or r.get("document"):
            content = [{"type": "input_text", "text": r["text"]}]
            if r.get("image"):
                content.insert(0, {"type": "input_image", "image_url": r["image"], "detail": "auto"})
            if r.get("document"):
                content.insert(0, {"type": "input_file", "filename": "a.pdf", "file_data": r["document"]})
        fields = {key: r[key] for key in ("temperature", "top_p", "user", "metadata") if key in r}
        if r.get("tools"):
            fields["tools"] = [{"type": "function", "name": name, "parameters": schema, "strict": False}
                               for name, schema in weather_tools(r)]
        if "tool_choice" in r:
            fields["tool_choice"] = r["tool_choice"] if r["tool_choice"] == "required" else {
                "type": "function", "name": r["tool_choice"]}
        for key, name in (("max_tokens", "max_output_tokens"), ("parallel", "parallel_tool_calls"),
                          ("extra", "extra_body"), ("system", "instructions")):
            if key in r:
                fields[name] = r[key]
        if "think" in r:
            fields["reasoning"] = {"effort": r["think"], "summary": "auto"}
        if r.get("schema"):
            fields["text"] = {"format": {"type": "json_schema", "name": "form", "schema": FORM_SCHEMA, "strict": True}}
        return {"model": r["model"], "input": items + [{"role": "user", "content": content}], **fields}

    def read(self, response):
        parts = [part for item in response.output if item.type == "message" for part in item.content]
        calls = [(i.call_id, i.name, json.loads(i.arguments)) for i in response.output if i.type == "function_call"]
        refusal = "".join(part.refusal for part in parts if part.type == "refusal")
        why = response.incomplete_details.reason if response.incomplete_details else ""
        stop = {"": "tool" if calls else "end", "max_output_tokens": "length", "content_filter": "refusal"}[why]
        assert response.status == ("incomplete" if why else "completed"), response.status
        usage = response.usage
        thought = "".join(part.text for item in response.output if item.type == "reasoning" for part in item.summary)
        return Answer(response.output_text, calls, stop, (
            usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.output_tokens), thought, refusal=refusal)

    def ask(self, r):
        response = self.client(r).responses.create(**self.fields(r))
        answer = self.read(response)
        answer.request_id = response._request_id
        return answer

    def stream(self, r):
        pieces, numbers, said, last = 0, [], "", None
        for event in self.client(r).responses.create(stream=True, **self.fields(r)):
            numbers.append(event.sequence_number)
            pieces += event.type.endswith(".delta")
            said += event.delta if event.type == "response.output_text.delta" else ""
            last = event
        if last.type == "error":  # the SDK leaves it to its caller to look
            raise RuntimeError(last.message)
        if last.type == "response.failed":
            raise RuntimeError(last.response.error.message)
        assert last.type in ("response.completed", "response.incomplete"), last.type
        assert numbers == list(range(len(numbers))), numbers
        answer = self.read(last.response)
        assert said == answer.text, (said, answer.text)
        answer.pieces = pieces
        return answer

    def structured(self, r):
        return self.client(r).responses.parse(text_format=Form, **self.fields(r)).output_parsed.model_dump()

    def structured_stream(self, r):
        with self.client(r).responses.stream(text_format=Form, **self.fields(r)) as stream:
            for _ in stream:
                pass
            return stream.get_final_response().output_parsed.model_dump()

    def cancel(self, r):
        stream = self.client(r).responses.create(stream=True, **self.fields(r))
        next(iter(stream))
        stream.close()
