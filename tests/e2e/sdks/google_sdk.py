"""The official `google-genai` for Python."""
import base64

from google import genai
from google.genai import types

from .client import FORM_SCHEMA, KEY, NOT_OF_ALL, RESULT, Answer, Client, Failure, weather_tools
from .openai_sdk import Form

STOPS = {"STOP": "end", "MAX_TOKENS": "length", "SAFETY": "refusal", "PROHIBITED_CONTENT": "refusal"}


def media(url):
    if not url.startswith("data:"):
        return types.Part.from_uri(file_uri=url, mime_type="image/png")
    kind, data = url[5:].split(";base64,")
    return types.Part.from_bytes(data=base64.b64decode(data), mime_type=kind)


class GenerateContent(Client):
    sdk, dialect = "google-genai", "gemini"
    lacks = NOT_OF_ALL | frozenset({"quiet_stream", "signature", "parallel_off", "request_id", "error_id", "developer",
                                    "metadata", "user", "timely_retry", "should_retry"})
    classes = {status: "ServerError" if status >= 500 else "ClientError" for status in (400, 401, 403, 404, 429, 500, 529)}
    timeout_class = "ReadTimeout"

    def __init__(self, url):
        self.url, self.made = url, {}
        self.api = self.client({})

    def client(self, r):
        kind = str((r.get("timeout"), r.get("retries"), r.get("extra")))
        if kind in self.made:  # making one takes long: it loads all certificates
            return self.made[kind]
        options = types.HttpOptions(base_url=self.url, timeout=int(r.get("timeout", 30) * 1000), extra_body=r.get("extra"))
        if r.get("retries"):
            options.retry_options = types.HttpRetryOptions(attempts=1 + r["retries"], initial_delay=0.1, jitter=0)
        return self.made.setdefault(kind, genai.Client(api_key=KEY, http_options=options))

    def failure(self, error):
        return Failure(type(error).__name__, getattr(error, "code", 0), str(error))

    def fields(self, r, **more):
        contents = [types.Content(role="model" if role == "assistant" else "user", parts=[types.Part(text=text)])
                    for role, text in r.get("turns", [])]
        if r.get("calls"):
            contents += [
                types.Content(role="user", parts=[types.Part(text="What is it like?")]),
                types.Content(role="model", parts=[types.Part(function_call=types.FunctionCall(
                    id=c[0], name=c[1], args=c[2])) for c in r["calls"]]),
                types.Content(role="user", parts=[types.Part(function_response=types.FunctionResponse(
                    id=c[0], name=c[1], response={"output": RESULT})) for c in r["calls"]])]
        parts = [media(r[kind]) for kind in ("image", "document") if r.get(kind)] + [types.Part(text=r["text"])]
        config = {key: r[key] for key in ("temperature", "top_p", "seed") if key in r}
        for key, name in (("system", "system_instruction"), ("stop", "stop_sequences"), ("max_tokens", "max_output_tokens")):
            if key in r:
                config[name] = r[key]
        if r.get("tools"):
            config["tools"] = [types.Tool(function_declarations=[types.FunctionDeclaration(
                name=name, parameters_json_schema=schema) for name, schema in weather_tools(r)])]
        if "tool_choice" in r:
            named = None if r["tool_choice"] == "required" else [r["tool_choice"]]
            config["tool_config"] = types.ToolConfig(function_calling_config=types.FunctionCallingConfig(
                mode="ANY", allowed_function_names=named))
        if "think" in r:
            config["thinking_config"] = types.ThinkingConfig(thinking_budget=8192, include_thoughts=True)
        if r.get("schema"):
            config.update(response_mime_type="application/json", response_json_schema=FORM_SCHEMA)
        return {"model": r["model"], "contents": contents + [types.Content(role="user", parts=parts)],
                "config": types.GenerateContentConfig(
                    automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True), **config, **more)}

    def read(self, answers):
        answer, stop = Answer(), None
        for came in answers:
            answer.pieces += 1
            for candidate in came.candidates or []:
                for part in (candidate.content.parts if candidate.content else None) or []:
                    if part.function_call:
                        answer.calls.append((part.function_call.id, part.function_call.name,
                                             dict(part.function_call.args or {})))
                    elif part.thought:
                        answer.thought += part.text or ""
                    else:
                        answer.text += part.text or ""
                stop = candidate.finish_reason or stop
            usage = came.usage_metadata
            if usage:
                answer.usage = (usage.prompt_token_count, usage.cached_content_token_count, usage.candidates_token_count)
        if stop is None:
            raise EOFError("the stream was cut")
        answer.stop = "tool" if answer.calls and stop.value == "STOP" else STOPS[stop.value]
        return answer

    def ask(self, r):
        return self.read([self.client(r).models.generate_content(**self.fields(r))])

    def stream(self, r):
        return self.read(self.client(r).models.generate_content_stream(**self.fields(r)))

    def structured(self, r):
        fields = self.fields(r, response_mime_type="application/json", response_schema=Form)
        return self.client(r).models.generate_content(**fields).parsed.model_dump()

    def structured_stream(self, r):
        fields = self.fields(r, response_mime_type="application/json", response_schema=Form)
        return Form.model_validate_json("".join(
            piece.text for piece in self.client(r).models.generate_content_stream(**fields))).model_dump()

    def cancel(self, r):
        stream = self.client(r).models.generate_content_stream(**self.fields(r))
        next(stream)
        stream.close()

    def models(self):
        return [model.name.removeprefix("models/") for model in self.api.models.list()]

    def count(self, r):
        return self.api.models.count_tokens(model=r["model"], contents=r["text"]).total_tokens

    def embed(self, model, texts):
        contents = [types.Content(parts=[types.Part(text=text)]) for text in texts]  # texts alone would be one content
        return [one.values for one in self.api.models.embed_content(model=model, contents=contents).embeddings]
