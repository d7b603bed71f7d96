"""Scenarios of the stage controller: a plan of subtasks that run side by side, what they cost, and all that can go wrong."""
import http.server
import json
import re
import socket
import subprocess
import threading
import time

import anthropic
import openai

import dialect_scenarios
from dialect_provider import DialectProvider
from embedding_scenarios import metric, wait_for
from gateway import KEY
from scenarios import ask

CHAT = "/v1/chat/completions"
CONFIG = """\
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", workers: 1, state: "{state}"}}
providers:
  far: {{dialect: openai, base_url: "{upstream}"}}
  near: {{dialect: openai, base_url: "{team}", retries: {{attempts: 0}}, breaker: {{failures: 0}}}}
models:
  gpt-4o: {{provider: far, price: {{input: 2.50, output: 10.00}}}}
  planner: {{provider: near, price: {{input: 0.15, output: 0.60}}}}
  finder: {{provider: near, price: {{input: 1, output: 2}}}}
  thinker: {{provider: near, price: {{input: 3, output: 4}}}}
routes:
  trips:
    model: gpt-4o
    stages: [{stages}]
    controller:
      planner: planner
      kinds:
        - {{kind: search, model: finder, when: facts that must be looked up}}
        - {{kind: reason, model: thinker}}
      {options}
keys:
  - {{name: web, secret: "{key}"}}
  - {{name: narrow, secret: "{key}-narrow", models: [gpt-4o, planner, finder]}}
{more}
"""
# What Team says that it used, in pico-USD.
PLAN = 500 * 150_000 + 50 * 600_000
FIND = 500 * 1_000_000 + 50 * 2_000_000
THINK = 500 * 3_000_000 + 50 * 4_000_000


def step(number, task, kind="search", needs=()):
    return {"id": number, "task": task, "kind": kind, "needs": list(needs)}


THREE = [step(1, "Find trains"), step(2, "Find ferries", "reason"), step(3, "Compare <result-1> with <result-2>", needs=[1, 2])]


class Team(http.server.ThreadingHTTPServer):
    """The planner, which answers `plan`, and the models of the steps, which answer with their tasks."""
    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.plan, self.plan_status, self.step_status = THREE, 200, 200
        self.delay = self.plan_delay = 0
        self.plans, self.steps = [], []
        self.spans = {}  # of each task: when it began and ended
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # who hangs up is part of the tests

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        team = self.server
        if "response_format" in request:
            with team.lock:
                team.plans.append(request)
            time.sleep(team.plan_delay)
            said, status = team.plan, team.plan_status
            text = said if isinstance(said, str) else json.dumps({"steps": said})
        else:
            task = request["messages"][-1]["content"].split("\n\nThe step: ")[1]
            begin = time.monotonic()
            with team.lock:
                team.steps.append(request)
            time.sleep(team.delay)
            team.spans[task] = (begin, time.monotonic())
            text, status = f"Done: {task} \"}}] by {request['model']}", team.step_status
        body = json.dumps({"error": {"message": "no"}} if status != 200 else {
            "id": "c", "object": "chat.completion", "created": 1, "model": request["model"],
            "usage": {"prompt_tokens": 500, "completion_tokens": 50, "total_tokens": 550}, "choices": [
                {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def start(gateway, upstream, options="", more="", stages="controller"):
    team = Team()
    gateway.stop()
    gateway.config.write_text(CONFIG.format(state=gateway.state, upstream=upstream.url, team=team.url, key=KEY, options=options,
                                            more=more, stages=stages))
    gateway.start()
    return team


def send(gateway, text="Train or ferry to Crete?", key=KEY, path=CHAT, **more):
    status, headers, body = gateway.raw(path, {**ask(text), "model": "trips", **more}, key=key)
    headers = {name.lower(): value for name, value in dict(headers).items()}
    return status, headers, body, headers.get("x-leeway-stages", "")


def tagged(gateway, tag):
    return [row for row in gateway.rows() if tag in row.get("tags", [])]


def last_body(upstream):
    return json.loads(upstream.bodies[-1])


def verdicts(gateway):
    text = gateway.raw("/metrics", admin=True)[2].decode()
    return {word: int(count) for word, count in re.findall(r'leeway_controller_total\{route="trips",verdict="(\w+)"\} (\d+)', text)}


def test_controller_runs_steps_side_by_side_and_joins_them(gateway, upstream):
    team = start(gateway, upstream)
    team.delay = 0.5
    status, headers, body, notes = send(gateway)
    assert status == 200 and json.loads(body)["choices"][0]["message"]["content"], body
    cost = (PLAN + FIND + THINK + FIND) / 10**12
    assert notes == f"controller=plan:3,cost:{cost:.7f}".rstrip("0"), notes
    # The first two at the same time, the third when both were there.
    one, two, both = (team.spans[task] for task in ("Find trains", "Find ferries", "Compare result 1 with result 2"))
    assert max(one[0], two[0]) < min(one[1], two[1]), team.spans
    assert both[0] >= max(one[1], two[1]), team.spans
    assert [request["model"] for request in team.steps][2] == "finder" and {r["model"] for r in team.steps} == {"finder", "thinker"}
    plan, = team.plans
    assert plan["response_format"]["json_schema"]["strict"] is True and "Train or ferry" in plan["messages"][1]["content"], plan
    assert "search: facts that must be looked up" in plan["messages"][0]["content"], plan
    # A step sees what it needs, as data.
    third = team.steps[2]["messages"][1]["content"].split("\n\nThe step: ")
    shown = json.loads(third[0])
    assert [one["text"] for one in shown["results"]] == ['Done: Find trains "}] by finder', 'Done: Find ferries "}] by thinker'], shown
    assert shown["conversation"] == [{"role": "user", "text": "Train or ferry to Crete?"}], shown
    # The answer is the route's model's, by the results.
    sent = last_body(upstream)["messages"]
    assert sent[0] == {"role": "user", "content": "Train or ferry to Crete?"} and len(sent) == 2 and sent[1]["role"] == "user", sent
    results = json.loads(sent[1]["content"].split("\n", 1)[1])
    assert [one["result"] for one in results] == [1, 2, 3] and headers["x-leeway-model"] == "gpt-4o", (results, headers)
    # Each call is a row, and of no caller.
    (planned,), steps = tagged(gateway, "controller_plan"), tagged(gateway, "controller_step")
    assert planned["cost_pico_usd"] == PLAN and planned["waterfall"]["gateway"]["saved_pico_usd"] == -PLAN, planned
    assert sorted(row["cost_pico_usd"] for row in steps) == [FIND, FIND, THINK] and not any(row["key"] for row in steps), steps
    assert all(row["route"] == "trips" and row["baseline_pico_usd"] == 0 for row in steps), steps
    mine = next(row for row in gateway.rows() if row["id"] == headers["x-leeway-id"])
    assert mine["key"] == "web" and mine["cost_pico_usd"] == mine["baseline_pico_usd"] > 0, mine
    assert "controller_step" in gateway.cli("report", "--by", "tag"), gateway.cli("report", "--by", "tag")
    assert verdicts(gateway) == {"plan": 1}
    assert gateway.stop() == 0


def test_controller_streams_to_the_official_sdk(gateway, upstream):
    team = start(gateway, upstream, options="max_parallel: 1")
    client = openai.OpenAI(base_url=gateway.url + "/v1", api_key=KEY, max_retries=0)
    chunks = list(client.chat.completions.create(model="trips", messages=ask("Train?")["messages"], stream=True,
                                                 stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Hello from the fake provider", chunks
    assert chunks[-1].usage.total_tokens == 1100
    assert "result" in last_body(upstream)["messages"][1]["content"] and len(team.steps) == 3
    one, two = team.spans["Find trains"], team.spans["Find ferries"]
    assert one[1] <= two[0] or two[1] <= one[0], "one at a time"
    assert gateway.stop() == 0


def test_controller_can_answer_by_its_last_step(gateway, upstream):
    start(gateway, upstream, options="join: last")
    before = upstream.calls
    status, headers, body, notes = send(gateway)
    text = json.loads(body)["choices"][0]["message"]["content"]
    assert status == 200 and text == 'Done: Compare result 1 with result 2 "}] by finder', body
    assert upstream.calls == before and headers["x-leeway-cost-usd"] == "0" and "plan:3" in notes, (headers, notes)
    assert "Done: Compare" in "".join(json.loads(line[6:])["choices"][0]["delta"].get("content") or ""
                                      for line in send(gateway, stream=True)[2].decode().split("\n") if line.startswith("data: {"))
    assert send(gateway, max_tokens=7)[0] == 200 and upstream.calls == before + 1, "only its own call keeps to that"
    assert gateway.stop() == 0


def test_controller_refuses_bad_plans_and_the_request_goes_on(gateway, upstream):
    team = start(gateway, upstream)
    fifty = [step(i, "Do it") for i in range(50)]
    for plan, word in (([step(1, "a", needs=[2]), step(2, "b", needs=[1])], "cycle"), ([step(1, "a", needs=[1])], "cycle"),
                       (fifty, "too_many_steps"), ([step(1, "a"), step(1, "b")], "bad_id"), ([step(1, "a", needs=[7])], "unknown_need"),
                       ([step(1, "a", "spend")], "unknown_kind"), ([step(1, ""), step(2, "b")], "bad_task"),
                       ([step(1, "a" * 3000), step(2, "b")], "bad_task"), ("I would look first.", "not_json"), ("", "not_json"),
                       ('{"steps": [', "not_json"), ('{"plan": []}', "not_a_plan"), ('{"steps": [7]}', "not_a_plan"),
                       ("[" * 100_000, "not_json"), ('{"a": "' + "x" * 5_000_000 + '", "steps": []}', "not_json"),
                       ([], "single"), ([step(1, "a")], "single")):
        team.plan = plan
        before = upstream.calls
        status, _, _, notes = send(gateway)
        assert status == 200 and f"controller={word},cost:0.000105" in notes, (word, notes)
        assert upstream.calls == before + 1 and len(last_body(upstream)["messages"]) == 1, "the model answers alone"
    assert team.steps == []
    team.plan = "Sure:\n```json\n" + json.dumps({"steps": THREE}) + "\n```"
    assert "controller=plan:3" in send(gateway)[3], "words around it do not count"
    told = verdicts(gateway)
    assert told["cycle"] == told["single"] == told["bad_task"] == 2 and told["plan"] == told["bad_id"] == 1, told
    assert gateway.stop() == 0


def test_controller_lives_with_models_that_fail(gateway, upstream):
    team = start(gateway, upstream, options="timeout: 1s")
    team.plan_status = 500
    status, _, _, notes = send(gateway)
    assert status == 200 and "controller=no_answer" in notes, notes
    assert tagged(gateway, "controller_plan")[0]["error"] == "upstream_error"
    team.plan_status, team.step_status = 200, 500
    status, _, _, notes = send(gateway)
    assert status == 200 and "controller=step_failed:no_answer" in notes and len(last_body(upstream)["messages"]) == 1, notes
    assert len(team.steps) == 2, "the third is not begun"
    assert len(tagged(gateway, "controller_step")) == 2
    team.step_status, team.plan_delay = 200, 5
    begin = time.monotonic()
    status, _, _, notes = send(gateway)
    assert status == 200 and "controller=no_answer" in notes and time.monotonic() - begin < 4, notes
    team.plan_delay, team.delay = 0, 5
    begin = time.monotonic()
    status, _, _, notes = send(gateway)
    assert status == 200 and "controller=step_failed" in notes and time.monotonic() - begin < 4, notes
    # A caller in a hurry: half of its time is for the answer.
    team.delay, team.plan_delay = 0, 3
    begin = time.monotonic()
    status, headers, _ = gateway.raw(CHAT, {**ask("x"), "model": "trips"}, headers={"x-leeway-timeout": "1s"})
    assert status == 200 and "controller=no_answer" in headers["x-leeway-stages"] and time.monotonic() - begin < 1, headers
    assert gateway.stop() == 0


def test_controller_ends_all_when_its_caller_leaves(gateway, upstream):
    team = start(gateway, upstream)
    team.plan = [step(1, "a"), step(2, "b"), step(3, "c"), step(4, "d", needs=[1, 2, 3])]
    team.delay = 15
    before = upstream.calls
    host, port = gateway.url.removeprefix("http://").split(":")
    body = json.dumps({**ask("x"), "model": "trips"}).encode()
    with socket.create_connection((host, int(port))) as client:
        client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer " + KEY.encode()
                       + b"\r\ncontent-type: application/json\r\ncontent-length: " + str(len(body)).encode() + b"\r\n\r\n" + body)
        wait_for(lambda: len(team.steps) == 3, "three steps were not begun")
        assert metric(gateway, "leeway_shadows_running") == 3
    begin = time.monotonic()
    wait_for(lambda: metric(gateway, "leeway_shadows_running") == 0, "steps went on", seconds=5)
    wait_for(lambda: len(tagged(gateway, "controller_step")) == 3, "rows are missing", seconds=5)
    assert time.monotonic() - begin < 10, "nobody waits for the steps"
    assert {row["error"] for row in tagged(gateway, "controller_step")} == {"client_gone"}
    assert len(team.steps) == 3 and upstream.calls == before, "nothing is begun for nobody"
    team.delay = 0
    assert "controller=plan:4" in send(gateway)[3], "the worker is well"
    assert gateway.stop() == 0


def test_controller_plans_only_what_it_may_and_can(gateway, upstream):
    team = start(gateway, upstream, more="budgets:\n  - {name: tiny, scope: tag, match: controller_step, usd: 0.000001, per: day}")
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    for more, word in (({"n": 2}, "choices"), ({"tools": [tool]}, "tools"), ({"response_format": {"type": "json_object"}}, "format"),
                       ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "not_asked"),
                       ({"messages": [{"role": "user", "content": "a" * 70_000}]}, "too_long"),
                       ({"key": KEY + "-narrow"}, "not_allowed")):
        status, _, _, notes = send(gateway, **more)
        assert status == 200 and f"controller={word}" == notes, (word, notes)
    assert team.plans == [], "what is not planned is not paid"
    status, _, _, notes = send(gateway)
    assert status == 200 and "controller=step_failed:left_out,cost:0.000105" in notes, notes
    assert len(team.plans) == 1 and team.steps == [], "there is no budget for steps"
    assert gateway.stop() == 0


def test_controller_is_left_out_of_what_is_held_out(gateway, upstream):
    team = start(gateway, upstream, options="\n    holdout: 0.5")
    for _ in range(12):
        assert send(gateway)[0] == 200
    rows = [row for row in gateway.rows() if row["key"] == "web"]
    held = [row for row in rows if row["held_out"]]
    assert len(rows) == 12 and len(team.plans) == 12 - len(held), (len(team.plans), len(held))
    assert gateway.stop() == 0


def test_controller_adds_results_in_every_dialect(gateway, upstream):
    team = start(gateway, upstream)
    provider = DialectProvider()
    try:
        dialect_scenarios.configure(gateway, provider)
        for target in ("anthropic", "responses", "gemini", "bedrock", "chat"):
            gateway.stop()
            text = gateway.config.read_text()
            gateway.config.write_text(re.sub(r"trips:\n    model: \S+", f"trips:\n    model: m-{target}", text))
            gateway.start()
            for caller in ("anthropic", "responses", "chat", "list"):
                if caller == "anthropic":
                    client = anthropic.Anthropic(base_url=gateway.url, api_key=KEY, max_retries=0)
                    client.messages.create(model="trips", max_tokens=50, messages=[{"role": "user", "content": "Train?"}])
                elif caller == "chat":
                    assert send(gateway, "Train?")[0] == 200
                else:
                    client = openai.OpenAI(base_url=gateway.url + "/v1", api_key=KEY, max_retries=0)
                    client.responses.create(model="trips", input="Train?" if caller == "responses" else [
                        {"role": "user", "content": "Train?"}])
                sent = json.dumps(provider.last[1])
                assert "Train?" in sent and sent.count("the following subtasks were done") == 1, (target, caller, sent)
                assert sent.index("Train?") < sent.index("subtasks were done"), (target, caller, sent)
                assert sent.count("Done: Find trains") == 1, (target, caller, sent)
        # A model that stands in gets them once, too.
        gateway.stop()
        text = re.sub(r"trips:\n    model: \S+", "trips:\n    model: dead", gateway.config.read_text())
        gateway.config.write_text(text.replace("models:\n", "models:\n  dead: {provider: nowhere, fallbacks: [m-gemini]}\n", 1).replace(
            "providers:\n", 'providers:\n  nowhere: {dialect: anthropic, base_url: "http://127.0.0.1:9", retries: {attempts: 0}}\n', 1))
        gateway.start()
        for path, more in ((CHAT, {}), ("/v1/messages", {"max_tokens": 50})):
            status, headers, _, notes = send(gateway, "Train?", path=path, **more)
            sent = json.dumps(provider.last[1])
            assert status == 200 and headers["x-leeway-model"] == "m-gemini" and "fallback=" in notes, headers
            assert sent.count("subtasks were done") == 1 and sent.count("Done: Find trains") == 1, sent
    finally:
        provider.shutdown()
    assert len(team.plans) == 22
    assert gateway.stop() == 0


def test_controller_configuration_is_checked(gateway, upstream):
    start(gateway, upstream)
    good = gateway.config.read_text()
    for old, new, words in (("planner: planner\n", "planner: lost\n", "lost"), ("model: finder,", "model: lost,", "lost"),
                            ("[controller]", "[controller, exact_cache]", "behind exact_cache"),
                            ("[controller]", "[exact_cache]", "not among its stages"), ("kind: reason", "kind: search", "two kinds"),
                            ("kind: reason", "kind: Rea son", "no name of a kind"), ("      \n", "      max_steps: 1\n", "max_steps")):
        assert old in good, old
        gateway.config.write_text(good.replace(old, new, 1))
        run = subprocess.run([gateway.binary, "check", "--config", str(gateway.config)], capture_output=True, text=True, timeout=60)
        assert run.returncode != 0 and words in run.stdout + run.stderr, (new, run)
    gateway.config.write_text(good)
    assert gateway.stop() == 0
