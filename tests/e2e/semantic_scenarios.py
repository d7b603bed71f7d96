"""Scenarios of the semantic cache: the real gateway, the real embedding model, and a provider that counts what reaches it."""
import concurrent.futures
import http.server
import json
import os
import pathlib
import signal
import threading
import time

from gateway import KEY
from scenarios import Skip, children_of

CHAT = "/v1/chat/completions"
TOPICS = ["reset a forgotten password", "cancel a hotel booking", "change the delivery address", "download an invoice", "renew a passport",
          "bake sourdough bread", "tune a violin", "repair a bicycle tyre", "plant tomatoes", "train a puppy", "clean a leather sofa",
          "open a bank account", "rent a sailing boat", "apply for a visa", "remove a wine stain", "write a cover letter",
          "learn touch typing", "build a bookshelf", "prune apple trees", "brew green tea", "paint a wooden fence", "send a parcel abroad",
          "charge an electric car", "read sheet music", "fold a fitted sheet", "descale a kettle", "sharpen kitchen knives",
          "back up a laptop", "register a trademark", "report a lost credit card"]
FORMS = ["How do I {}?", "How can I {}?", "What is the best way to {}?", "Please explain how to {}.", "Tell me how to {}.",
         "What do I have to do to {}?", "What are the steps to {}?", "How does one {}?"]
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
COST = 1000 * 2_500_000 + 100 * 10_000_000
CONFIG = """\
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", workers: 2, state: "{state}"}}
providers:
  fake: {{dialect: openai, base_url: "{upstream}", api_key: sk-upstream-secret}}
  local: {{dialect: embedded}}
models:
  gpt-4o: {{provider: fake, price: {{input: 2.50, cached_input: 1.25, output: 10.00}}}}
  judge: {{provider: fake, price: {{input: 0.15, output: 0.60}}}}
  minilm: {{provider: local, file: all-minilm-l6-v2-q8_0.gguf, price: {{input: 0, output: 0}}}}
embeddings: {{model: minilm, timeout: 2s}}
routes:
  faq: {{model: gpt-4o, stages: [cache], cache: {{exact: off, semantic: {{max_error: 0.05, judge: {judge}}}}}}}
keys:
  - {{name: web, secret: "{key}"}}
  - {{name: other, secret: "{key}-other"}}
"""


class Answers(http.server.ThreadingHTTPServer):
    """Answers by the topic that a question names, with `mark` behind it; everything else with the question itself."""
    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.asked = []
        self.mark = ""
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def said(self, request, question):
        return self.answer(question)

    def answer(self, question):
        topic = next((i for i, one in enumerate(TOPICS) if one in question), None)
        return (f"See page {topic}" if topic is not None else "About " + question) + self.mark


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        question = request["messages"][-1]["content"]
        with self.server.lock:
            self.server.asked.append(request)
        text = self.server.said(request, question)
        body = json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": request["model"], "usage": USAGE, "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def topic_of(question):
    return next((one for one in TOPICS if one in question), TOPICS[0])


def start(gateway, judge="exact"):
    if not (pathlib.Path(os.environ.get("LEEWAY_MODELS", "")) / "all-minilm-l6-v2-q8_0.gguf").exists():
        raise Skip("no embedding model: set LEEWAY_MODELS to the folder that tools/setup.sh fills")
    provider = Answers()
    gateway.stop()
    gateway.config.write_text(CONFIG.format(state=gateway.state, upstream=provider.url, key=KEY, judge=judge))
    gateway.start()
    return provider


def ask(gateway, *turns, key=KEY, headers=None, **more):
    roles = ["user", "assistant"] * len(turns)
    body = {"model": "faq", "messages": [{"role": role, "content": text} for role, text in zip(roles, turns)], **more}
    status, told, text = gateway.raw(CHAT, body, key=key, headers=headers)
    assert status == 200, (status, text)
    return told, text


def content(text):
    return json.loads(text)["choices"][0]["message"]["content"]


def is_hit(told):
    return (told["x-leeway-cache"] or "").startswith("hit; type=semantic; p=")


def form(topic, turn):
    return FORMS[turn % len(FORMS)].format(TOPICS[topic])


def teach(gateway, key=KEY, most=4000):
    """Asks all topics in all forms until half of the answers of a round are hits. The number of requests; None: that never came."""
    asked = 0
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for turn in range(most // len(TOPICS)):
            told = list(pool.map(lambda topic: ask(gateway, form(topic, turn), key=key)[0], range(len(TOPICS))))
            asked += len(TOPICS)
            if sum(map(is_hit, told)) * 2 > len(TOPICS):
                return asked
    return None


def stats(gateway):
    time.sleep(0.5)  # it is written five times a second
    return {(one["tenant"], one["route"]): one["state"] for one in json.loads(gateway.cli("cache", "stats", "--json"))["caches"]}


def test_semantic_cache_serves_after_evidence(gateway, upstream):
    provider = start(gateway)
    asked = teach(gateway)
    assert asked, stats(gateway)
    state = stats(gateway)["web", "faq"]
    assert state["phase"] == "serving" and state["verified"] > 0 and state["max_error"] == 0.05, state
    told, text = ask(gateway, "What's the way to descale a kettle?")
    for _ in range(20):
        if is_hit(told):
            break
        told, text = ask(gateway, form(TOPICS.index("descale a kettle"), 0))
    assert is_hit(told) and told["x-leeway-cache"].endswith("; bound=0.05"), told["x-leeway-cache"]
    assert content(text) == provider.answer("descale a kettle") and told["x-leeway-cost-usd"] == "0", told
    # As a stream, and why.
    streamed, events = ask(gateway, form(TOPICS.index("descale a kettle"), 0), stream=True)
    assert is_hit(streamed) and events.endswith(b"data: [DONE]\n\n") and b"See page" in events, (streamed["x-leeway-cache"], events)
    time.sleep(0.5)
    why = json.loads(gateway.cli("cache", "explain", told["x-leeway-id"], "--json"))
    assert why["outcome"].startswith("hit") and "descale a kettle" in why["nearest"] and why["probability"] > 0.9, why
    assert why["evidence"]["phase"] == "serving", why
    # Which hits are audited is drawn: of a few it may be none.
    for turn in range(40):
        if stats(gateway)["web", "faq"]["audited"] > 0:
            break
        for topic in range(len(TOPICS)):
            ask(gateway, form(topic, turn))
    # The ledger: hits cost nothing and say what they were served under; audits are rows of their own, and losses.
    for _ in range(50):  # audits come in their own time
        rows = gateway.rows()
        hits = [row for row in rows if row["cache"] == "semantic"]
        if len(rows) - len(hits) == len(provider.asked):
            break
        time.sleep(0.2)
    assert hits and all(row["cost_pico_usd"] == 0 and row["baseline_pico_usd"] == COST for row in hits), hits[0]
    assert all(row["waterfall"]["exact_cache"] == {"saved_pico_usd": COST, "label": "modelled"} for row in hits), hits[0]
    audits = [row for row in rows if "cache_audit" in row.get("tags", [])]
    assert 0 < len(audits) < len(hits), (len(audits), len(hits))
    assert all(row["cost_pico_usd"] == COST and not row.get("key") for row in audits), audits[0]
    assert all(row["waterfall"]["gateway"]["saved_pico_usd"] == -COST for row in audits), audits[0]
    assert len(provider.asked) == len(rows) - len(hits), (len(provider.asked), len(rows), len(hits))
    state = stats(gateway)["web", "faq"]
    assert (state["served"], state["audited"], state["audited_wrong"]) == (len(hits), len(audits), 0), (state, len(hits), len(audits))


def test_semantic_cache_near_is_not_same(gateway, upstream):
    provider = start(gateway)
    assert teach(gateway), stats(gateway)
    pairs = [("How long does it take to walk 5 km?", "How long does it take to walk 50 km?"),
             ("Is the museum open on Monday?", "Is the museum not open on Monday?"),
             ("Is the museum open on Monday?", "Is the museum open on Sunday?"),
             ("What is the fare from Athens to Patras?", "What is the fare from Patras to Athens?"),
             ("Who wrote the Iliad in 1990?", "Who wrote the Iliad in 1991?"),
             ("How much is a room in London?", "How much is a room in Paris?")]
    for first, second in pairs * 3:
        assert content(ask(gateway, first)[1]) == provider.answer(first)
        assert content(ask(gateway, second)[1]) == provider.answer(second), second
    # A follow-up is of its own conversation.
    for topic in range(len(TOPICS)):
        provider.mark = f" of conversation {topic}"
        told, text = ask(gateway, f"I have a question about thing {topic}.", "Which?", form(0, 0))
        assert not is_hit(told) and content(text).endswith(provider.mark), (told["x-leeway-cache"], text)


def test_semantic_cache_tenants_never_meet(gateway, upstream):
    provider = start(gateway)
    assert teach(gateway), stats(gateway)
    provider.mark = " CANARY-OTHER"
    for topic in range(len(TOPICS)):
        told, text = ask(gateway, form(topic, 0), key=KEY + "-other")
        assert not is_hit(told) and content(text).endswith("CANARY-OTHER"), (told["x-leeway-cache"], text)
    provider.mark = ""
    for topic in range(len(TOPICS)):
        assert "CANARY" not in ask(gateway, form(topic, 0))[1].decode()
    assert stats(gateway)["other", "faq"]["served"] == 0
    # What one of them has cleared is gone, and nothing else.
    assert "Forgotten" in gateway.cli("cache", "clear", "--tenant", "web")
    assert ("web", "faq") not in stats(gateway) and ("other", "faq") in stats(gateway)
    assert ask(gateway, form(0, 0))[0]["x-leeway-cache"] == "miss; type=semantic; why=nothing_near"


def test_semantic_cache_without_a_judge_only_watches(gateway, upstream):
    provider = start(gateway, judge="none")
    assert teach(gateway, most=900) is None
    state = stats(gateway)["web", "faq"]
    assert state["phase"] == "advisory" and state["served"] == 0 and state["asked"] > 0, state
    assert len(provider.asked) == 900


def test_semantic_cache_a_model_is_the_judge(gateway, upstream):
    provider = start(gateway, judge="judge")
    words = iter(range(10**6))

    def said(request, question):
        """Long answers, worded in another way each time; of two of them, the judge looks for the page."""
        if request["model"] == "judge":
            shown = json.loads(question)
            pages = [one.rsplit(" page ", 1)[1].split()[0] for one in (shown["first"], shown["second"])]
            return "SAME" if pages[0] == pages[1] else "DIFFERENT"
        return f"In the {next(words)}th wording of what the manual says about that, look at page {TOPICS.index(topic_of(question))} of it"

    provider.said = said
    assert teach(gateway), stats(gateway)
    told, text = ask(gateway, form(3, 0))
    assert f" page {3} " in content(text)
    rows = gateway.rows()
    judged = [row for row in rows if "cache_judge" in row.get("tags", [])]
    assert judged and all(row["model"] == "judge" and row["cost_pico_usd"] > 0 for row in judged), judged[:1]
    assert all(row["waterfall"]["gateway"]["saved_pico_usd"] == -row["cost_pico_usd"] for row in judged)
    assert sum(request["model"] == "judge" for request in provider.asked) == len(judged)
    report = json.loads(gateway.cli("report", "--by", "tag", "--json"))
    assert "cache_judge" in {row["group"] for row in report["rows"]}, report
    assert b"leeway_semantic_caches_serving 1" in gateway.raw("/metrics", admin=True)[2]


def test_semantic_cache_public_scope(gateway, upstream):
    provider = start(gateway, judge="exact, scope: public")
    assert teach(gateway), stats(gateway)
    told = [ask(gateway, form(topic, 0), key=KEY + "-other")[0] for topic in range(len(TOPICS))]
    assert sum(map(is_hit, told)) > len(TOPICS) // 2, [one["x-leeway-cache"] for one in told]
    # What is personal stays with whom it belongs to.
    mine = "Where is my parcel 12 that I sent abroad?"
    for _ in range(3):
        ask(gateway, mine)
    provider.mark = " OTHER"
    told, text = ask(gateway, mine, key=KEY + "-other")
    assert not is_hit(told) and content(text).endswith("OTHER"), (told["x-leeway-cache"], text)


def test_semantic_cache_survives_a_restart(gateway, upstream):
    start(gateway)
    assert teach(gateway), stats(gateway)
    verified = stats(gateway)["web", "faq"]["verified"]
    gateway.stop()
    gateway.start()
    told = [ask(gateway, form(topic, 1))[0] for topic in range(len(TOPICS))]
    assert sum(map(is_hit, told)) > len(TOPICS) // 2, [one["x-leeway-cache"] for one in told]
    assert stats(gateway)["web", "faq"]["verified"] >= verified


def test_semantic_cache_goes_on_without_vectors(gateway, upstream):
    provider = start(gateway)
    ask(gateway, form(0, 0))
    for child in children_of(gateway):
        os.kill(child, signal.SIGSTOP)
    try:
        begin = time.monotonic()
        told, text = ask(gateway, "A question that nobody has asked before")
        assert time.monotonic() - begin < 5 and content(text) == provider.answer("A question that nobody has asked before")
        assert "semantic_cache=embedding_" in told["x-leeway-stages"], told["x-leeway-stages"]
    finally:
        for child in children_of(gateway):
            os.kill(child, signal.SIGCONT)


def test_semantic_cache_bad_wishes(gateway, upstream):
    start(gateway)
    body = {"model": "faq", "messages": [{"role": "user", "content": "Hi there"}]}
    status, _, text = gateway.raw(CHAT, body, headers={"x-leeway-cache-max-error": "much"})
    assert status == 400 and "x-leeway-cache-max-error" in text.decode(), text
    for question in ["", " ", "🙂🙂🙂", "שלום, מה שלומך?", "x" * 100_000, "\u0000\u0001\u0002", "¿Qué es esto? これは何ですか"]:
        told, _ = ask(gateway, question)
        assert told["x-leeway-cache"] is None or not is_hit(told), question
