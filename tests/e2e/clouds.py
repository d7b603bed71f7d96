"""What the fake provider needs to stand in for the clouds: AWS's signatures and event-stream framing, and Google's token
server. Written from their documentation, apart from the gateway's own code.
"""
import hashlib
import hmac
import json
import struct
import time
import urllib.parse
import zlib

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt

ACCESS_KEY, SECRET_KEY, SESSION_TOKEN, REGION = "AKIDTEST", "secret/of+the.test", "session-token-of-the-test", "eu-west-1"


def signature_fault(method, path, headers, body):
    """Why AWS would refuse the request, or None."""
    headers = {name.lower(): value for name, value in headers.items()}
    given = headers.get("authorization", "")
    if not given.startswith("AWS4-HMAC-SHA256 "):
        return "no signature"
    parts = dict(part.split("=", 1) for part in given[len("AWS4-HMAC-SHA256 "):].split(", "))
    access, day, region, service, last = parts["Credential"].split("/")
    if (access, region, service, last) != (ACCESS_KEY, REGION, "bedrock", "aws4_request"):
        return f"wrong scope {parts['Credential']}"
    names = parts["SignedHeaders"].split(";")
    if names != sorted(names) or not {"host", "x-amz-date"} <= set(names):
        return f"wrong signed headers {names}"
    if headers.get("x-amz-security-token") != SESSION_TOKEN or "x-amz-security-token" not in names:
        return "no session token"
    when = headers["x-amz-date"]
    now = time.strftime("%Y%m%dT%H%M", time.gmtime())
    if when[:8] != day or abs(int(when[9:13]) - int(now[9:13])) > 5:
        return f"wrong time {when}"
    canonical = "\n".join([method, urllib.parse.quote(path, safe="/-_.~"), "",
                           *(f"{name}:{headers[name]}" for name in names), "", ";".join(names),
                           hashlib.sha256(body).hexdigest()])
    text = "\n".join(["AWS4-HMAC-SHA256", when, f"{day}/{region}/{service}/{last}",
                      hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + SECRET_KEY).encode()
    for word in (day, region, service, last):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    mine = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return None if mine == parts["Signature"] else "The request signature we calculated does not match"


def frame(kind, value, message_type="event"):
    """One message of application/vnd.amazon.eventstream."""
    name = ":event-type" if message_type == "event" else ":exception-type"
    headers = b""
    for key, text in ((":message-type", message_type), (name, kind), (":content-type", "application/json")):
        headers += bytes([len(key)]) + key.encode() + b"\x07" + struct.pack(">H", len(text)) + text.encode()
    payload = json.dumps(value, ensure_ascii=False).encode()
    out = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    out += struct.pack(">I", zlib.crc32(out)) + headers + payload
    return out + struct.pack(">I", zlib.crc32(out))


BEDROCK_USAGE = {"inputTokens": 800, "cacheReadInputTokens": 200, "outputTokens": 100, "totalTokens": 1100}
BEDROCK_STOPS = {"end": "end_turn", "tool": "tool_use", "length": "max_tokens"}


def bedrock_block(part):
    if part[0] == "text":
        return {"text": part[1]}
    if part[0] == "think":
        return {"reasoningContent": {"reasoningText": {"text": part[1], "signature": part[2]}}}
    return {"toolUse": {"toolUseId": part[1], "name": part[2], "input": part[3]}}


def bedrock_answer(parts, stop, request):
    return {"output": {"message": {"role": "assistant", "content": [bedrock_block(part) for part in parts]}},
            "stopReason": BEDROCK_STOPS[stop], "usage": BEDROCK_USAGE, "metrics": {"latencyMs": 5}}


def bedrock_stream(parts, stop, request):
    out = [frame("messageStart", {"role": "assistant"})]
    for index, part in enumerate(parts):
        place = {"contentBlockIndex": index}
        if part[0] == "text":
            deltas = [{"text": part[1][i:i + 6]} for i in range(0, len(part[1]), 6)]
        elif part[0] == "think":
            deltas = [{"reasoningContent": {"text": part[1]}}, {"reasoningContent": {"signature": part[2]}}]
        else:
            out.append(frame("contentBlockStart", {"start": {"toolUse": {"toolUseId": part[1], "name": part[2]}}, **place}))
            text = json.dumps(part[3]) if part[3] else ""
            deltas = [{"toolUse": {"input": text[i:i + 6]}} for i in range(0, len(text), 6)]
        out += [frame("contentBlockDelta", {"delta": delta, **place}) for delta in deltas]
        out.append(frame("contentBlockStop", place))
    out.append(frame("messageStop", {"stopReason": BEDROCK_STOPS[stop]}))
    return out + [frame("metadata", {"usage": BEDROCK_USAGE, "metrics": {"latencyMs": 5}})]


class TokenServer:
    """Google's: takes signed assertions and gives tokens that live `life` seconds."""

    def __init__(self, url):
        self.uri = url + "/token"
        self.life, self.down, self.tokens, self.claims = 3600, False, [], []
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                         serialization.NoEncryption()).decode()
        self.public = key.public_key().public_bytes(serialization.Encoding.PEM,
                                                    serialization.PublicFormat.SubjectPublicKeyInfo)

    def account(self):
        return {"type": "service_account", "project_id": "proj", "private_key_id": "key-1", "private_key": self.private,
                "client_email": "leeway@proj.iam.gserviceaccount.com", "token_uri": self.uri}

    def exchange(self, body):
        """(status, answer) for a form."""
        form = urllib.parse.parse_qs(body.decode())
        if self.down:
            return 503, {"error": "unavailable", "error_description": "the token server is down"}
        assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"], form
        claims = jwt.decode(form["assertion"][0], certs=self.public, audience=self.uri)  # checks signature and times
        self.claims.append((jwt.decode_header(form["assertion"][0]), claims))
        self.tokens.append((f"ya29.token-{len(self.tokens)}", time.monotonic() + self.life))
        return 200, {"access_token": self.tokens[-1][0], "expires_in": self.life, "token_type": "Bearer"}

    def good(self, headers):
        given = {name.lower(): value for name, value in headers.items()}.get("authorization", "")
        return any(given == f"Bearer {token}" and until > time.monotonic() for token, until in self.tokens)
