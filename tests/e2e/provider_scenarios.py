"""What each provider asks for beyond its dialect: presets with their keys and quirks, Azure's deployments, AWS's
signatures and framing, Vertex's tokens. The matrix of dialect_scenarios has these providers too; here is what it does not see.
"""
import json
import os
import subprocess
import time

import anthropic
import openai

import clouds
from dialect_provider import TEXT, DialectProvider
from gateway import KEY

WHOLE = "".join(TEXT)
ASK = {"max_tokens": 50, "messages": [{"role": "user", "content": "hello"}]}


class Place:
    """A provider, and a gateway whose `providers:` are `lines`, each with a model m-NAME."""

    def __init__(self, gateway, lines):
        self.gateway, self.lines = gateway, lines

    def __enter__(self):
        self.provider = DialectProvider()
        account = self.gateway.folder / "account.json"
        account.write_text(json.dumps(self.provider.google.account()))
        facts = {"url": self.provider.url, "root": self.provider.root, "account": account,
                 "keys": f'access_key: {clouds.ACCESS_KEY}, secret_key: "{clouds.SECRET_KEY}", '
                         f'session_token: {clouds.SESSION_TOKEN}'}
        providers = "".join(f"  {name}: {{{line % facts}}}\n" for name, line in self.lines.items())
        models = "".join(f"  m-{name}: {{provider: {name}, name: \"real:{name}/1\"}}\n" for name in self.lines)
        self.gateway.stop()
        text = self.gateway.config.read_text()
        self.gateway.config.write_text(text.replace("providers:\n", "providers:\n" + providers, 1).replace(
            "models:\n", "models:\n" + models, 1))
        self.gateway.start()
        return self.provider

    def __exit__(self, *_):
        self.provider.shutdown()


def headers_of(provider):
    return {name.lower(): value for name, value in provider.last[2].items()}


def claude(gateway):
    return anthropic.Anthropic(base_url=gateway.url, api_key=KEY, max_retries=0)


def test_providers_presets_bring_key_and_quirks(gateway, upstream):
    os.environ["GROQ_API_KEY"] = "gsk-of-the-environment"
    os.environ.pop("TOGETHER_API_KEY", None)
    lines = {"groq": 'preset: groq, base_url: "%(url)s"',
             "openrouter": 'preset: openrouter, base_url: "%(url)s", api_key: sk-or',
             "mistral": 'preset: mistral, base_url: "%(url)s", api_key: sk-mi',
             "vllm": 'preset: vllm, base_url: "%(url)s"',
             "mine": 'dialect: openai, base_url: "%(url)s", quirks: {top_k: on, reasoning_content: off}',
             "together": "preset: together"}
    try:
        with Place(gateway, lines) as provider:
            client = claude(gateway)
            mark = {"type": "ephemeral"}
            thought = [{"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "x"},
                                                         {"type": "text", "text": "Yes?"}]}]
            messages = [{"role": "user", "content": "hi"}, *thought,
                        {"role": "user", "content": [{"type": "text", "text": "hello", "cache_control": mark}]}]
            sent, told = {}, {}
            for name in list(lines)[:-1]:
                raw = client.messages.with_raw_response.create(model="m-" + name, max_tokens=50, messages=messages,
                                                               extra_body={"top_k": 7})
                sent[name] = (provider.last[1], headers_of(provider).get("authorization"))
                told[name] = raw.headers.get("x-leeway-dropped", "")
            groq, key = sent["groq"]
            assert key == "Bearer gsk-of-the-environment", key
            assert groq["max_completion_tokens"] == 50 and "max_tokens" not in groq and "top_k" not in groq, groq
            assert "reasoning_content" not in groq["messages"][1] and "top_k" in told["groq"], (groq, told)
            router, key = sent["openrouter"]
            assert key == "Bearer sk-or" and router["top_k"] == 7 and router["max_tokens"] == 50, router
            assert router["messages"][2]["content"] == [{"type": "text", "text": "hello", "cache_control": mark}], router
            assert router["messages"][1]["reasoning_content"] == "hm", router
            vllm, key = sent["vllm"]
            assert key is None and vllm["top_k"] == 7 and vllm["messages"][1]["reasoning_content"] == "hm", vllm
            assert "cache_control" not in json.dumps(vllm) and "cache_control" in told["vllm"], told
            mine, _ = sent["mine"]
            assert mine["top_k"] == 7 and "reasoning_content" not in mine["messages"][1], mine
            # Mistral refuses stream_options, for callers of its own dialect too, and names the seed otherwise.
            chat = openai.OpenAI(base_url=gateway.url + "/v1", api_key=KEY, max_retries=0)
            assert "".join(c.choices[0].delta.content or "" for c in chat.chat.completions.create(
                model="m-mistral", messages=ASK["messages"], stream=True) if c.choices) == WHOLE
            assert "stream_options" not in provider.last[1], provider.last[1]
            list(chat.chat.completions.create(model="m-vllm", messages=ASK["messages"], stream=True))
            assert provider.last[1]["stream_options"] == {"include_usage": True}, provider.last[1]
            # A key that is not set switches its provider off, and only that.
            try:
                client.messages.create(model="m-together", **ASK)
            except anthropic.APIStatusError as error:
                assert "TOGETHER_API_KEY" in str(error), error
            else:
                raise AssertionError("no error")
    finally:
        del os.environ["GROQ_API_KEY"]
    listed = {one["name"]: one for one in json.loads(subprocess.run(
        [gateway.binary, "providers", "--json"], capture_output=True, check=True).stdout)["presets"]}
    assert listed["groq"]["quirks"]["max_completion_tokens"] and listed["groq"]["api_key"] == "GROQ_API_KEY", listed["groq"]


def test_providers_azure_addresses_and_key(gateway, upstream):
    lines = {"dated": 'dialect: azure, base_url: "%(root)s", api_key: sk-azure, api_version: 2024-10-21',
             "v1": 'dialect: azure, base_url: "%(root)s", api_key: sk-azure'}
    with Place(gateway, lines) as provider:
        for name, path in (("dated", "/openai/deployments/real%3Adated%2F1/chat/completions?api-version=2024-10-21"),
                           ("v1", "/openai/v1/chat/completions")):
            body = b'{"model" : "m-%s",  "messages":[{"role":"user","content":"hello"}], "x_new":1.0}' % name.encode()
            status, _, answer = gateway.raw("/v1/chat/completions", body)
            assert status == 200, answer
            headers = headers_of(provider)
            assert provider.last[0] == path, provider.last[0]
            assert headers["api-key"] == "sk-azure" and "authorization" not in headers, headers
            assert provider.last_body == body.replace(b"m-" + name.encode(), b"real:" + name.encode() + b"/1"), provider.last_body


def test_providers_bedrock_signs_and_reads_its_frames(gateway, upstream):
    lines = {"aws": 'dialect: bedrock, base_url: "%(root)s", aws: {region: eu-west-1, %(keys)s}',
             "wrong": 'dialect: bedrock, base_url: "%(root)s", aws: {region: eu-west-1, access_key: AKIDTEST, secret_key: no}',
             "bearer": 'dialect: bedrock, base_url: "%(root)s", api_key: bedrock-key, aws: {region: eu-west-1}'}
    with Place(gateway, lines) as provider:
        client = claude(gateway)
        assert client.messages.create(model="m-aws", **ASK).content[0].text == WHOLE
        assert provider.last[0] == "/model/real%3Aaws%2F1/converse", provider.last[0]
        with client.messages.stream(model="m-aws", **ASK) as stream:
            assert stream.get_final_text() == WHOLE
        assert provider.last[0].endswith("/converse-stream"), provider.last[0]
        assert headers_of(provider)["accept"] == "application/vnd.amazon.eventstream"
        said = client.messages.create(model="m-aws", max_tokens=50, messages=[{"role": "user", "content": "think"}])
        assert [block.type for block in said.content] == ["thinking", "text"] and said.content[0].signature, said
        try:
            client.messages.create(model="m-wrong", **ASK)
        except anthropic.PermissionDeniedError as error:
            assert "session token" in str(error), error
        else:
            raise AssertionError("a wrong signature was taken")
        try:
            client.messages.create(model="m-bearer", **ASK)
        except anthropic.PermissionDeniedError:
            assert headers_of(provider)["authorization"] == "Bearer bedrock-key", headers_of(provider)
        # A bit that fell over on the way is never an answer.
        try:
            with client.messages.stream(model="m-aws", max_tokens=50,
                                        messages=[{"role": "user", "content": "garbled"}]) as stream:
                stream.get_final_message()
        except Exception as error:  # noqa: BLE001: the SDK's own, whichever
            assert "checksum" in str(error), error
        else:
            raise AssertionError("a garbled stream was taken for whole")
        row = gateway.rows()[-1]
        assert row["end"] == "cut", row
        text = gateway.log.read_text() + json.dumps(gateway.rows())
        assert clouds.SECRET_KEY not in text and clouds.SESSION_TOKEN not in text


def test_providers_vertex_tokens_are_got_kept_and_renewed(gateway, upstream):
    lines = {"vertex": 'dialect: vertex, base_url: "%(url)s", vertex: {project: proj, location: eu, '
                       'service_account: "%(account)s"}'}
    with Place(gateway, lines) as provider:
        google, client = provider.google, claude(gateway)
        for _ in range(5):
            assert client.messages.create(model="m-vertex", **ASK).content[0].text == WHOLE
        assert len(google.tokens) == 1, google.tokens
        assert provider.last[0] == ("/v1/projects/proj/locations/eu/publishers/google/models/real:vertex/1"
                                    ":generateContent"), provider.last[0]
        header, claims = google.claims[0]
        assert header["alg"] == "RS256" and header["kid"] == "key-1", header
        assert claims["iss"] == google.account()["client_email"] and "cloud-platform" in claims["scope"], claims
        assert claims["exp"] - claims["iat"] == 3600, claims
        # A reload goes on with the token that is there.
        loaded = gateway.log.read_text().count("configuration loaded")
        gateway.config.write_text(gateway.config.read_text() + "\n")
        give_up = time.monotonic() + 15
        while gateway.log.read_text().count("configuration loaded") == loaded:
            assert time.monotonic() < give_up, "no reload"
            time.sleep(0.05)  # polling, with a deadline
        client.messages.create(model="m-vertex", **ASK)
        assert len(google.tokens) == 1, google.tokens
    # Short lives: renewed off the path of requests, before the end.
    provider = DialectProvider()
    try:
        provider.google.life = 2
        file = gateway.folder / "short.json"
        file.write_text(json.dumps(provider.google.account()))
        gateway.stop()
        text = gateway.config.read_text()
        text = text[:text.index("providers:\n") + 11] + (
            f'  short: {{dialect: vertex, base_url: "{provider.url}", vertex: {{project: proj, location: eu, '
            f'service_account: "{file}"}}}}\n') + text[text.index("  fake:"):]
        text = text.replace("provider: vertex", "provider: short", 1)
        gateway.config.write_text(text)
        gateway.start()
        client = claude(gateway)
        give_up = time.monotonic() + 15
        while len(provider.google.tokens) < 4 and time.monotonic() < give_up:
            assert client.messages.create(model="m-vertex", **ASK).content[0].text == WHOLE
            time.sleep(0.05)
        assert len(provider.google.tokens) >= 4, provider.google.tokens
        # The token server is down: requests say so, and go on when it is there again.
        provider.google.down = True
        give_up = time.monotonic() + 15
        said = ""
        while not said and time.monotonic() < give_up:
            try:
                client.messages.create(model="m-vertex", **ASK)
            except anthropic.APIStatusError as error:
                said = str(error)
            time.sleep(0.05)
        assert "the token server is down" in said, said
        provider.google.down = False
        while time.monotonic() < give_up:
            try:
                assert client.messages.create(model="m-vertex", **ASK).content[0].text == WHOLE
                break
            except anthropic.APIStatusError:
                time.sleep(0.05)
        else:
            raise AssertionError("it did not recover")
        assert "ya29" not in gateway.log.read_text() and "PRIVATE KEY" not in gateway.log.read_text()
    finally:
        provider.shutdown()


def test_providers_rerank_passes_and_is_priced_by_search(gateway, upstream):
    lines = {"cohere": 'preset: cohere, base_url: "%(root)s/v2", api_key: co-key'}
    with Place(gateway, lines) as provider:
        text = gateway.config.read_text()
        price = "price: {requests_per_thousand: 2.00}"
        gateway.stop()
        gateway.config.write_text(text.replace("models:\n", f"models:\n  ranked: {{provider: cohere, {price}}}\n", 1))
        gateway.start()
        body = b'{"model": "m-cohere", "query": "q",  "documents":["a", "b"], "top_n":1}'
        for path in ("/v1/rerank", "/v2/rerank"):
            status, headers, answer = gateway.raw(path, body)
            assert status == 200 and json.loads(answer)["results"][0]["index"] == 1, answer
        assert len(provider.server.requests) == 1, "the same question is answered from the cache"
        assert provider.last[0] == "/v2/rerank" and headers_of(provider)["authorization"] == "Bearer co-key", provider.last
        assert provider.last_body == body.replace(b"m-cohere", b"real:cohere/1"), provider.last_body
        assert gateway.raw("/v1/rerank", body.replace(b"m-cohere", b"ranked"))[0] == 200
        status, _, answer = gateway.raw("/v1/rerank", b'{"model": "m-cohere", "documents": ["a"]}')
        assert status == 400 and json.loads(answer)["error"]["param"] == "query", answer
        rows = gateway.rows()
        assert {row["endpoint"] for row in rows} == {"rerank"}, rows
        cost = {row["model"]: row["cost_pico_usd"] for row in rows if row["cache"] != "exact"}
        # Two searches without a price are not free.
        assert cost == {"m-cohere": None, "ranked": 2 * 2_000_000_000}, cost
