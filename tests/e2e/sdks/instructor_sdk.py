"""`instructor` over the SDK of OpenAI and over that of Anthropic: what it adds, and that all else still works through it."""
import instructor

from . import anthropic_sdk, openai_sdk
from .openai_sdk import Form


class OverOpenAi(openai_sdk.Chat):
    sdk = "instructor openai"
    lacks = openai_sdk.Chat.lacks - {"again"}
    mode = instructor.Mode.TOOLS

    def patched(self, r):
        return instructor.from_openai(self.client(r), mode=self.mode)

    def create(self, r, **more):
        return self.patched(r).chat.completions.create(
            response_model=None, model=r["model"], messages=openai_sdk.chat_messages(r), **openai_sdk.chat_fields(r), **more)

    def structured(self, r):
        return self.patched(r).chat.completions.create(
            response_model=Form, model=r["model"], messages=openai_sdk.chat_messages(r), max_retries=2).model_dump()

    def structured_stream(self, r):
        *_, last = self.patched(r).chat.completions.create_partial(
            response_model=Form, model=r["model"], messages=openai_sdk.chat_messages(r))
        return last.model_dump()


class OverOpenAiSchema(OverOpenAi):
    sdk = "instructor json schema"
    mode = instructor.Mode.JSON_SCHEMA
    groups = ("structured",)


class OverAnthropic(anthropic_sdk.Messages):
    sdk = "instructor anthropic"
    lacks = anthropic_sdk.Messages.lacks - {"again"}
    groups = ("chat", "tools", "structured", "errors")  # the rest goes the same way as over OpenAI's

    def patched(self, r):
        return instructor.from_anthropic(self.client(r), mode=instructor.Mode.ANTHROPIC_TOOLS)

    def create(self, r):
        return self.patched(r).messages.create(response_model=None, **self.fields(r))

    def structured(self, r):
        return self.patched(r).messages.create(response_model=Form, max_retries=2, **self.fields(r)).model_dump()

    def structured_stream(self, r):
        *_, last = self.patched(r).messages.create_partial(response_model=Form, **self.fields(r))
        return last.model_dump()
