"""Scenarios of the learned router: a policy that was tuned from outcomes decides which model answers, with the real embedding model."""
import csv
import json
import random
import re
import signal
import sqlite3
import subprocess
import time

import anthropic

from embedding_scenarios import need_model, reload, wait_for
from gateway import KEY
from scenarios import ANSWER, COST_4O, COST_CHEAP, ask, sdk
from traffic_scenarios import CHAT, NO_BREAKER, ScriptedProvider
from trial_scenarios import SURE, UNSURE, Sure

CONFIG = """\
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", workers: {workers}, state: "{state}"}}
providers:
  one: {{dialect: openai, base_url: "{one}", {NO_BREAKER}, retries: {{attempts: 0}}}}
  two: {{dialect: openai, base_url: "{two}", {NO_BREAKER}}}
  local: {{dialect: embedded}}
models:
  strong: {{provider: one, price: {{input: 2.50, cached_input: 1.25, output: 10.00}}}}
  weak: {{provider: two, price: {{input: 0.15, cached_input: 0.075, output: 0.60}}{weak}}}
  other: {{provider: two, price: {{input: 0.15, output: 0.60}}}}
  minilm: {{provider: local, file: all-minilm-l6-v2-q8_0.gguf, price: {{input: 0, output: 0}}, tags: [embedding]}}
embeddings: {{timeout: {timeout}}}
local: {{threads: 1, context: {context}}}
routes:
  support: {{model: strong, stages: [{stages}], cache: {{exact: on}}, router: {{policy: "{policy}", models: [{models}]{router}}}{more}}}
keys:
  - {{name: web, secret: "{KEY}"}}
  - {{name: narrow, secret: "{KEY}-narrow", models: [strong], routes: [support]}}
"""
# In the mean an answer of the strong model must be better by a third to be worth its price.
LAMBDA = "100"
SUMS = ["What is {a} times {b}?", "Calculate {a} + {b} * 3.", "How much is {a} divided by {b}, to two decimals?",
        "Solve for x: {a}x + {b} = 0.", "What is the square root of {a} plus {b}?", "{a} % of {b} is what number?"]
CHATS = ["Hello, my name is {n}, how are you?", "Thank you {n}, have a nice day!", "Tell me a joke about {n}.",
         "Write a short birthday greeting for {n}.", "What do you think of my friend {n}?", "Good morning {n}, did you sleep well?"]
NAMES = "Anna Boris Clara Dimitri Elena Franz Greta Hugo Ines Jonas Kira Leon Mara Nils Olga Paul Rosa Sven Tara Udo".split()
SUM = "What is 317 times 48?"
TALK = "Hello there, my name is Vera, how are you today?"
made = {}


def outcomes(folder, rows, lot=False):
    """Sums need the strong model, and talk does not; `lot`: nothing depends on what is asked."""
    chance = random.Random(7)
    path = folder / f"outcomes-{rows}-{lot}.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["qid", "task", "split", "query", "weak|quality", "weak|cost_usd", "strong|quality", "strong|cost_usd"])
        for number in range(rows):
            is_sum = number % 2 == 0
            form = (SUMS if is_sum else CHATS)[number // 2 % 6]
            query = form.format(a=chance.randrange(11, 999), b=chance.randrange(11, 999), n=chance.choice(NAMES)) + f" ({number})"
            weak = chance.random() < 0.5 if lot else chance.random() < (0.05 if is_sum else 0.95)
            out.writerow([number, "t", "train", query, int(weak), 0.00021, int(chance.random() < 0.97), 0.0035])
    return path


def tune(gateway, path, output, *more, spending=("--lambda", LAMBDA)):
    run = subprocess.run([gateway.binary, "tune", "router", "--outcomes", path, *spending, "--output", output, "--no-embedding-cache",
                          *more], capture_output=True, text=True, timeout=120)
    return run.returncode, run.stdout + run.stderr


def policy_of(gateway, *spending):
    """Tuned once for all tests."""
    need_model()
    spending = spending or ("--lambda", LAMBDA)
    if spending not in made:
        path = gateway.folder / "made.router"
        code, text = tune(gateway, outcomes(gateway.folder, 300), path, spending=spending)
        assert code == 0 and "better than single models" in text, text
        made[spending] = path.read_bytes()
    path = gateway.folder / "support.router"
    path.write_bytes(made[spending])
    return path


def configure(gateway, one, two, policy, stages="router", models="weak, strong", router="", more="", weak="", timeout="5s", workers=1,
              context=4096):
    gateway.config.write_text(CONFIG.format(state=gateway.state, one=one.url, two=two.url, policy=policy, stages=stages, models=models,
                                            router=router, more=more, weak=weak, timeout=timeout, workers=workers, context=context,
                                            NO_BREAKER=NO_BREAKER, KEY=KEY))


def start(gateway, spending=(), **options):
    policy = policy_of(gateway, *spending)
    one, two = ScriptedProvider(), ScriptedProvider()
    two.RequestHandlerClass, two.sure = Sure, SURE
    gateway.stop()
    configure(gateway, one, two, policy, **options)
    gateway.start()
    return one, two, policy


def send(gateway, *turns, key=KEY, headers=None, **more):
    roles = ["user", "assistant"] * len(turns)
    body = {"model": "support", "messages": [{"role": role, "content": text} for role, text in zip(roles, turns)], **more}
    status, told, text = gateway.raw(CHAT, body, key=key, headers=headers)
    assert status == 200, (status, text)
    word = re.search(r"router=(\S+)", told["x-leeway-stages"] or "")
    return told["x-leeway-model"], word and word.group(1), told


def check(gateway):
    run = subprocess.run([gateway.binary, "check", "--config", gateway.config], capture_output=True, text=True, timeout=60)
    return run.returncode, run.stdout + run.stderr


def test_router_sends_each_to_what_is_worth_its_price(gateway, upstream):
    one, two, _ = start(gateway)
    for text in (SUM, "Calculate 77 + 12 * 5.", "How much is 812 divided by 14, to two decimals?"):
        model, word, told = send(gateway, text)
        assert model == "strong" and re.fullmatch(r"strong:q0\.\d\d|strong:q1\.00", word), (text, told)
    for text in (TALK, "Tell me a joke about Otto.", "Thank you Nora, have a nice day!"):
        model, word, told = send(gateway, text)
        assert model == "weak" and word.startswith("weak:q"), (text, told)
    assert (one.calls, two.calls) == (3, 3)
    # The baseline is the route's model, and what the choice saved is the route's.
    row = gateway.rows()[-1]
    assert row["model"] == "weak", row
    with sqlite3.connect(next(gateway.state.rglob("ledger.db"))) as ledger:
        notes = [note for (note,) in ledger.execute("SELECT notes FROM request ORDER BY ts_us")]
    assert [note.split(":q")[0] for note in notes] == ["router=strong"] * 3 + ["router=weak"] * 3, notes
    assert (row["cost_pico_usd"], row["baseline_pico_usd"]) == (COST_CHEAP, COST_4O), row
    assert row["waterfall"]["route"]["saved_pico_usd"] == COST_4O - COST_CHEAP, row
    assert gateway.stop() == 0


def test_router_leaves_out_who_cannot_or_must_not_answer(gateway, upstream):
    one, two, policy = start(gateway, weak=", context: 2000, lacks: [tools, images, schema]")
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    image = [{"type": "text", "text": TALK}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    for more in ({"tools": [tool]}, {"response_format": schema}, {"max_tokens": 1990}, {"messages": [{"role": "user", "content": image}]}):
        model, word, told = send(gateway, TALK, **more)
        assert (model, word) == ("strong", "strong:ineligible"), (more, told)
    model, word, told = send(gateway, TALK + " word" * 2000)
    assert (model, word) == ("strong", "strong:ineligible"), told
    # A key that may use one of them only gets that one, and is none the worse.
    model, word, told = send(gateway, TALK, key=KEY + "-narrow")
    assert (model, word) == ("strong", "strong:ineligible"), told
    assert two.calls == 0 and send(gateway, TALK)[0] == "weak"
    # Nothing else is routed.
    assert send(gateway, TALK, headers={"x-leeway-session": "s"})[0] == "weak"
    assert gateway.stop() == 0


def test_router_in_streams_and_other_dialects(gateway, upstream):
    start(gateway)
    for text, model in ((TALK, "weak"), (SUM, "strong")):
        with sdk(gateway).chat.completions.with_streaming_response.create(
                model="support", stream=True, messages=[{"role": "user", "content": text}]) as answer:
            assert answer.headers["x-leeway-model"] == model, answer.headers
            assert "[DONE]" in "".join(answer.iter_lines())
        client = anthropic.Anthropic(base_url=gateway.url, api_key=KEY, max_retries=0)
        message = client.messages.with_raw_response.create(model="support", max_tokens=50, messages=[{"role": "user", "content": text}])
        assert message.headers["x-leeway-model"] == model and message.parse().content[0].text == ANSWER, message.headers
    assert gateway.stop() == 0


def test_router_keeps_a_conversation_where_it_is(gateway, upstream):
    start(gateway, workers=2)
    assert send(gateway, TALK)[0] == "weak"
    # 1,100 tokens at 2.50 instead of 0.075 USD per million are 0.0027 USD, at 100 of quality per USD 0.27: a sum is worth that.
    model, word, told = send(gateway, TALK, ANSWER, SUM)
    assert model == "strong" and word.endswith(",switched"), told
    # Back again would gain nothing that pays for it, so the conversation stays; whoever begins anew does not.
    model, word, told = send(gateway, TALK, ANSWER, SUM, ANSWER, "Thank you Vera, have a nice day!")
    assert model in ("strong", "weak"), told
    assert send(gateway, "Thank you Vera, have a nice day!")[1].startswith("weak:q")
    # A session is one conversation whatever is left of its messages, and no other caller's.
    session = {"x-leeway-session": "s-1"}
    assert send(gateway, TALK, headers=session)[0] == "weak"
    model, word, _ = send(gateway, "cut", ANSWER, "And a good morning to Otto, did he sleep well?", headers=session)
    assert (model, word) == ("weak", "weak:sticky")
    # A restart forgets; the conversation is decided anew.
    gateway.stop()
    gateway.start()
    model, word, told = send(gateway, TALK, ANSWER, "Tell me a joke about Otto.")
    assert model == "weak" and word.startswith("weak:q"), told
    model, word, told = send(gateway, TALK, ANSWER, "Tell me a joke about Otto.", ANSWER, "Tell me a joke about Otto, too.")
    assert (model, word) == ("weak", "weak:sticky"), told
    assert gateway.stop() == 0


def test_router_without_a_vector_is_skipped(gateway, upstream):
    start(gateway, timeout="1ms")
    late = 0
    for number in range(5):
        model, word, told = send(gateway, f"{number} " + "words that nobody said before " * 60)
        late += word == "no_embedding"
        assert word == "no_embedding" and model == "strong" or word.startswith(("weak:", "strong:")), told
    assert late > 0
    text = gateway.raw("/metrics", admin=True)[2].decode()
    found = re.search(r'leeway_stage_skipped_total\{stage="router",reason="no_embedding"\} (\d+)', text)
    assert found and int(found.group(1)) == late, text
    assert gateway.stop() == 0


def test_router_refuses_policies_that_do_not_fit(gateway, upstream):
    one, two, policy = start(gateway)
    whole = policy.read_bytes()
    line = whole.index(b"\n")
    changes = ((whole.replace(b'"margin":0', b'"margin":1', 1), "its seal does not fit"), (whole[:-5], "its numbers do not fit"),
               (whole[:200], "this is no router"), (b"", "this is no router"), (whole[:line] + whole[line:][::-1], "this is no router"),
               (whole[:-1] + bytes([whole[-1] ^ 1]), "its numbers do not fit"))
    for change, why in changes:
        policy.write_bytes(change)
        code, text = check(gateway)
        assert code != 0 and why in text, (why, text)
    # What runs goes on with what it has.
    failed = lambda: float(re.search(r"leeway_config_reloads_failed_total (\d+)", gateway.raw("/metrics", admin=True)[2].decode()).group(1))
    gateway.process.send_signal(signal.SIGHUP)
    wait_for(lambda: failed() == 1, "the reload was not refused")
    assert send(gateway, TALK)[0] == "weak"
    policy.write_bytes(whole)
    for options, why in ((dict(models="weak, other"), "route 'support' needs a `model`"), (dict(models="weak, strong, other"), "fitted to the models"),
                         (dict(models="strong"), "two models"), (dict(models="weak, wek, strong"), "did you mean 'weak'"),
                         (dict(context=128), "fitted to vectors of"), (dict(router=", budget_usd: 1, lambda: 2"), "keep one"),
                         (dict(router=", pace: on"), "needs a budget"), (dict(router=", budget_usd: none"), "no amount of USD"),
                         (dict(stages="exact_cache, router"), "before exact_cache"), (dict(stages="exact_cache"), "not among its stages"),
                         (dict(weak=", lacks: [legs]"), "legs"), (dict(policy="no-such-file"), "no-such-file")):
        configure(gateway, one, two, **{"policy": policy, **options})
        code, text = check(gateway)
        assert code != 0 and why in text, (options, text)
    gateway.stop()
    configure(gateway, one, two, policy, context=128)
    run = subprocess.run([gateway.binary, "serve", "--config", gateway.config], capture_output=True, text=True, timeout=60)
    assert run.returncode != 0 and "fitted to vectors of" in run.stderr, run.stderr


def test_router_switches_itself_on_with_the_evidence(gateway, upstream):
    need_model()
    policy = gateway.folder / "few.router"
    for rows, lot, why in ((40, False, "of at least 60"), (200, True, "is not above 0")):
        code, text = tune(gateway, outcomes(gateway.folder, rows, lot), policy, spending=("--budget", "0.001"))
        assert code == 3 and "not enough evidence" in text and why in text and "keeps to weak" in text, text
    one, two = ScriptedProvider(), ScriptedProvider()
    gateway.stop()
    configure(gateway, one, two, policy)
    code, text = check(gateway)
    assert code == 0 and "not enough evidence" in text, text
    gateway.start()
    assert send(gateway, SUM)[:2] == ("weak", "weak:no_evidence") and send(gateway, TALK)[0] == "weak"
    policy.write_bytes(policy_of(gateway).read_bytes())
    reload(gateway)
    assert send(gateway, SUM)[0] == "strong" and send(gateway, TALK)[0] == "weak"
    assert gateway.stop() == 0


def test_router_keeps_to_a_budget(gateway, upstream):
    spending = ("--budget", "0.0014")
    chance = random.Random(3)
    texts = [form.format(a=chance.randrange(11, 999), b=chance.randrange(11, 999), n=chance.choice(NAMES)) + f" {number}"
             for number in range(50) for form in (SUMS[number % 6], CHATS[number % 6])]
    start(gateway, spending=spending)
    words = [send(gateway, text)[1] for text in texts]
    drawn = [float(word.split(",p")[1]) for word in words if ",p" in word]
    assert drawn and all(0 < one < 1 for one in drawn), words
    # Three of four sums are what that pays for.
    strong = sum(word.startswith("strong") for word in words)
    assert 20 < strong < 50, words
    # Paced, the mean is kept by what is really spent.
    gateway.stop()
    one, two, policy = start(gateway, spending=spending, router=", budget_usd: 0.0007, pace: on")
    costs = []
    for text in texts * 4:
        told = send(gateway, text)[2]
        costs.append(float(told["x-leeway-cost-usd"]))
    mean = sum(costs) / len(costs)
    assert abs(mean / 0.0007 - 1) < 0.1, mean
    # A reload goes on where it was.
    reload(gateway)
    assert gateway.stop() == 0


def test_router_and_cascade_on_one_route(gateway, upstream):
    one, two, _ = start(gateway, stages="router, exact_cache, cascade", more=", cascade: {models: [weak, strong], accept: 0.9}")
    # What the router sends to the strong model, the weak one may try first.
    model, word, told = send(gateway, SUM)
    assert model == "weak" and word.startswith("strong:q") and "cascade=kept:0.990" in told["x-leeway-stages"], told
    assert (one.calls, two.calls) == (0, 1)
    two.sure = UNSURE
    model, word, told = send(gateway, "What is 318 times 48?")
    assert model == "strong" and "cascade=refused:0.500" in told["x-leeway-stages"] and told["x-leeway-attempts"] == "2", told
    # What goes to the weak model goes there for good.
    model, word, told = send(gateway, TALK)
    assert model == "weak" and "cascade=other_model" in told["x-leeway-stages"], told
    assert "logprobs" not in json.loads(two.bodies[-1])
    # The exact cache keeps what each model said under its name.
    calls = two.calls
    assert send(gateway, TALK)[2]["x-leeway-cache"] == "exact" and two.calls == calls
    assert gateway.stop() == 0


def test_router_explains_itself(gateway, upstream):
    start(gateway)
    told = json.loads(gateway.cli("route", SUM, "--route", "support", "--no-embedding-cache", "--json"))
    assert told["model"] == "strong" and told["enough"] and told["lambda"] == 100 and told["choices"][0]["share"] == 1, told
    by_name = {one["model"]: one for one in told["models"]}
    assert by_name["strong"]["quality"] > 0.8 > 0.4 > by_name["weak"]["quality"], told
    assert by_name["weak"]["cost_usd"] == 0.00021 and by_name["weak"]["eligible"], told
    _, word, _ = send(gateway, SUM)
    assert word == f"strong:q{by_name['strong']['quality']:.2f}", (word, by_name)
    text = gateway.cli("route", TALK, "--route", "support", "--no-embedding-cache")
    assert text.startswith("weak, at 100 of quality per USD") and "0.2100" in text, text
    for arguments, status, why in ((("--route", "nowhere"), 1, "no route 'nowhere'"), (("--route", "a", "--routes", "b"), 2, "--route")):
        run = subprocess.run([gateway.binary, "route", TALK, "--config", gateway.config, *arguments], capture_output=True, text=True, timeout=60)
        assert run.returncode == status and why in run.stderr, run


def test_router_tuning_tells_what_it_did(gateway, upstream):
    need_model()
    table = outcomes(gateway.folder, 200)
    policy = gateway.folder / "x.router"
    code, text = tune(gateway, table, policy, "--json", "--models", "strong,weak", "--as", "large,small", spending=("--budget", "0.0019"))
    assert code == 0, text
    told = json.loads(text)
    head, _, numbers = policy.read_bytes().partition(b"\n")
    assert json.loads(head) == told and len(numbers) == told["numbers"] * 4
    assert [one["name"] for one in told["models"]] == ["large", "small"] and told["budget_usd"] == 0.0019
    assert told["enough"] and told["gain_low"] > 0 and told["rows"] == told["bank_rows"] == 200 and told["dimension"] == 384
    # The same outcomes and seed, the same policy.
    again = json.loads(tune(gateway, table, policy, "--json", "--models", "strong,weak", "--as", "large,small", spending=("--budget", "0.0019"))[1])
    assert {**again, "made_unix_s": 0, "seal": 0} == {**told, "made_unix_s": 0, "seal": 0}
    # From a state folder the same rows give the same numbers.
    run = subprocess.run([gateway.binary, "outcomes", "import", table, "--state", gateway.state, "--embed", "--no-embedding-cache"],
                         capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    run = subprocess.run([gateway.binary, "tune", "router", "--state", gateway.state, "--budget", "0.0019", "--models", "strong,weak", "--json"],
                         capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run
    stored = json.loads(run.stdout)
    assert stored["outcomes"] == "outcomes.db" and stored["rows"] == 200 and stored["gain_low"] > 0, stored
    for arguments, status, why in (((), 2, "--outcomes or --state"), (("--outcomes", table), 2, "--budget or --lambda"),
                                   (("--outcomes", table, "--budget", "0"), 2, "--budget"),
                                   (("--outcomes", table, "--budget", "1", "--lambda", "1"), 2, "--lambda"),
                                   (("--outcomes", table, "--state", gateway.state, "--budget", "1"), 2, "--state"),
                                   (("--outcomes", table, "--budget", "1", "--models", "weak"), 1, "nothing to route"),
                                   (("--outcomes", table, "--budget", "1", "--models", "weak,tiny"), 1, "tiny"),
                                   (("--outcomes", table, "--budget", "1", "--as", "a"), 2, "--as"),
                                   (("--outcomes", "none.csv", "--budget", "1"), 1, "none.csv"),
                                   (("--state", gateway.folder, "--budget", "1"), 1, "no outcomes"),
                                   (("--state", gateway.state, "--key", "web", "--budget", "1"), 1, "key 'web'")):
        run = subprocess.run([gateway.binary, "tune", "router", *arguments], capture_output=True, text=True, timeout=60)
        assert run.returncode == status and run.stdout == "" and why in run.stderr, (arguments, run)
