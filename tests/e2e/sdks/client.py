"""What each SDK under test is driven through: one form of request and answer, in which the scenarios are written once.

A request is a dictionary: `model`, `text` and what else the caller says (`system`, `turns`, `calls`, `tools`, `image`,
`document`, `schema`, `stop`, …: see scenarios.py). A client turns it into its SDK's own words, calls the gateway and
gives an Answer back.
"""
import dataclasses

from gateway import KEY  # noqa: F401: for the clients

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FORM_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
               "required": ["city", "degrees"], "additionalProperties": False}
RESULT = "sunny"


@dataclasses.dataclass
class Answer:
    text: str = ""
    calls: list = dataclasses.field(default_factory=list)  # (id, name, arguments as a value)
    stop: str = ""  # "end", "tool", "length" or "refusal"
    usage: tuple = ()  # input with what came from the cache, that part or None where the SDK does not tell it, output
    thought: str = ""
    signature: str = ""
    refusal: str = ""
    pieces: int = 0  # of a stream
    request_id: str = ""
    parsed: object = None


@dataclasses.dataclass
class Failure:
    """What an SDK raised."""
    name: str
    status: int = 0
    message: str = ""
    request_id: str = ""


# OpenAI's and Anthropic's classes by status; both SDKs are made by one generator.
STATUS_CLASSES = {400: "BadRequestError", 401: "AuthenticationError", 403: "PermissionDeniedError", 404: "NotFoundError",
                  429: "RateLimitError", 500: "InternalServerError", 529: "InternalServerError"}


NOT_OF_ALL = frozenset({"loop", "again"})  # what only frameworks have


class Client:
    sdk = ""  # as its vendor calls it, with what of it is used
    dialect = ""
    lacks = NOT_OF_ALL  # words of scenarios' needs that the SDK does not have
    groups = None  # of scenarios; None: all
    classes = STATUS_CLASSES
    timeout_class = "APITimeoutError"

    def close(self):
        pass

    def failure(self, error):
        return Failure(type(error).__name__, getattr(error, "status_code", None) or 0, str(error),
                       getattr(error, "request_id", None) or "")


def weather_tools(request):
    """(name, schema) of the tools that the request offers."""
    return [("get_weather", SCHEMA), ("get_time", {"type": "object", "properties": {"zone": {"type": "string"}}}),
            ("ping", {"type": "object", "properties": {}})] if request.get("tools") else []
