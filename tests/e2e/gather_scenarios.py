"""Requests that are gathered into batches (`tier: batch`): who waits how long, what each costs, and that it costs it once."""
import concurrent.futures
import json
import signal
import time

import anthropic
import openai

from bad_input import restart
from batch_provider import BatchProvider
from batch_scenarios import BASELINE, COST, OFTEN, batch_rows, metric, sdk, standing, wait_for, write_book
from gateway import KEY

ROUTE = '  patient: {model: ours, tier: batch, gather: {least_wait: 2s, window: %s, requests: %d}}\n'


class Place:
    """A gateway whose route `patient` gathers requests for the provider `acme`."""

    def __init__(self, gateway, window="300ms", requests=50, budgets=""):
        self.gateway, self.route, self.budgets = gateway, ROUTE % (window, requests), budgets

    def __enter__(self):
        self.provider = BatchProvider()
        said = f'dialect: openai, base_url: "{self.provider.url}", api_key: sk-acme, batches: true, prices: acme'
        restart(self.gateway, ("providers:\n", f"providers:\n  acme: {{{said}, timeouts: {{first_byte: 2s}}}}\n"),
                ("models:\n", f"prices: {{book: {write_book(self.gateway)}}}\n{OFTEN}models:\n"
                              "  ours: {provider: acme, name: big-1}\n"),
                ("routes:\n", "routes:\n" + self.route), ("workers: 2", "workers: 1"),
                ("keys:\n", self.budgets + f'keys:\n  - {{name: poor, secret: "{KEY}-poor", team: p}}\n'))
        return self.provider

    def __exit__(self, *_):
        self.provider.shutdown()


def ask(gateway, text, wait="30s", key=KEY, **more):
    return sdk(gateway, key).chat.completions.create(
        model="patient", messages=[{"role": "user", "content": text}], max_tokens=200,
        extra_headers={"x-leeway-wait": wait, "x-leeway-user": "ann"}, **more)


def only_batch(provider):
    [name] = wait_for(lambda: list(provider.batches))
    return name


def gathered_rows(gateway):
    return [row for row in gateway.rows() if row.get("tier") == "batch"]


def failed(call):
    try:
        call.result()
    except openai.APIStatusError as error:
        return error.status_code, error.code, error.response.headers["x-leeway-id"]
    raise AssertionError("no error")


def test_requests_that_can_wait_are_gathered_and_cost_batch_rates(gateway, upstream):
    with Place(gateway) as provider, concurrent.futures.ThreadPoolExecutor(8) as pool:
        whole = [pool.submit(ask, gateway, f"question {i}") for i in range(3)]
        stream = pool.submit(lambda: list(ask(gateway, "stream", stream=True, stream_options={"include_usage": True})))
        claude = pool.submit(lambda: anthropic.Anthropic(base_url=gateway.url, api_key=KEY, max_retries=0).messages.create(
            model="patient", max_tokens=200, messages=[{"role": "user", "content": "other dialect"}],
            extra_headers={"x-leeway-wait": "30s"}))
        name = only_batch(provider)
        lines = [json.loads(line) for line in provider.contents[provider.batches[name]["input_file_id"]].splitlines()]
        assert len(lines) == 5 and {line["url"] for line in lines} == {"/v1/chat/completions"}
        assert {line["body"]["model"] for line in lines} == {"big-1"} and not any("stream" in line["body"] for line in lines)
        time.sleep(0.5)
        assert not any(one.done() for one in (*whole, stream, claude)) and not gateway.rows()
        provider.finish(name)
        assert all(one.result().choices[0].message.content == "hi" for one in whole)
        chunks = stream.result()
        assert "".join(one.choices[0].delta.content or "" for one in chunks if one.choices) == "hi" and chunks[-1].usage
        assert claude.result().content[0].text == "hi"
        rows = gathered_rows(gateway)
        assert [(row["cost_pico_usd"], row["baseline_pico_usd"]) for row in rows] == [(COST, BASELINE)] * 5, rows
        assert {row["endpoint"] for row in rows} == {"chat.completions"} and {row["route"] for row in rows} == {"patient"}
        assert [row.get("user") for row in rows].count("ann") == 4 and {row["key"] for row in rows} == {"web"}, rows
        assert len({line["custom_id"] for line in lines} & {row["id"] for row in rows}) == 5
        assert len(gateway.rows()) == 5 and len(provider.batches) == 1
        # The batch is nobody's: it has requests of several callers.
        assert gateway.raw(f"/v1/batches/{name}")[0] == 404


def test_requests_that_cannot_wait_go_at_once(gateway, upstream):
    with Place(gateway) as provider:
        provider.fail = ("POST", "/chat/completions", 400)
        for headers in ({}, {"x-leeway-wait": "1s"}):
            gateway.raw("/v1/chat/completions", {"model": "patient", "messages": [{"role": "user", "content": "now"}]},
                        headers=headers)
            method, path, _, body = provider.asked[-1]
            assert (method, path) == ("POST", "/v1/chat/completions") and b"service_tier" not in body
        assert not provider.batches and {row.get("tier", "standard") for row in gateway.rows()} == {"standard"}


def test_requests_of_a_full_parcel_go_before_its_window_ends(gateway, upstream):
    with Place(gateway, window="60s", requests=2) as provider, concurrent.futures.ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, gateway, "a", "20s"), pool.submit(ask, gateway, "b", "20s")]
        name = only_batch(provider)
        alone = pool.submit(ask, gateway, "c", "2s")  # its window is longer than it waits: it is never sent
        status, code, _ = failed(alone)
        assert (status, code) == (504, "batch_not_over")
        provider.finish(name, refused=1)
        ends = [one.exception() for one in asked]
        assert sorted(type(one).__name__ for one in ends) == ["BadRequestError", "NoneType"], ends
        rows = {row["id"]: row for row in gateway.rows()}
        assert sorted((row["cost_pico_usd"], row["status"]) for row in rows.values()) == [(0, 400), (0, 504), (COST, 200)]
        assert len(provider.batches) == 1


def test_requests_whose_caller_gave_up_are_paid_once(gateway, upstream):
    budgets = "budgets:\n  - {name: p-month, scope: team, match: p, usd: 5, per: month}\n"
    with Place(gateway, budgets=budgets) as provider, concurrent.futures.ThreadPoolExecutor(8) as pool:
        short = pool.submit(ask, gateway, "short", "2s", KEY + "-poor")
        gone = pool.submit(lambda: sdk(gateway, KEY + "-poor").with_options(timeout=1).chat.completions.create(
            model="patient", messages=[{"role": "user", "content": "gone"}], max_tokens=200,
            extra_headers={"x-leeway-wait": "30s"}))
        name = only_batch(provider)
        status, code, request = failed(short)
        assert (status, code) == (504, "batch_not_over")
        assert isinstance(gone.exception(), openai.APITimeoutError)
        assert not gateway.rows()
        for how in (signal.SIGKILL, signal.SIGTERM):  # nothing of it is lost
            gateway.stop(how)
            gateway.start()
        assert not gateway.rows() and len(json.loads(gateway.cli("batches", "--json"))["batches"]) == 2
        provider.finish(name)
        rows = wait_for(lambda: gathered_rows(gateway))
        assert [row["cost_pico_usd"] for row in rows] == [COST] * 2 and request in {row["id"] for row in rows}, rows
        assert standing(gateway, "p-month")["spent_pico_usd"] == 2 * COST
        gateway.stop(signal.SIGKILL)
        gateway.start()
        time.sleep(0.5)
        assert len(gateway.rows()) == 2 and standing(gateway, "p-month")["spent_pico_usd"] == 2 * COST


def test_requests_whose_batch_is_refused_or_lost(gateway, upstream):
    budgets = "budgets:\n  - {name: p-month, scope: team, match: p, usd: 0.02, per: month}\n"
    with Place(gateway, budgets=budgets) as provider, concurrent.futures.ThreadPoolExecutor(8) as pool:
        for fail in (("POST", "/files", 500), ("POST", "/batches", 429)):
            provider.fail = fail
            assert failed(pool.submit(ask, gateway, "a", key=KEY + "-poor"))[0] == 502, fail
        assert [(row["cost_pico_usd"], row["end"]) for row in gathered_rows(gateway)] == [(0, "error")] * 2
        assert not batch_rows(gateway) and standing(gateway, "p-month")["spent_pico_usd"] == 0
        # Nobody knows whether it runs: it is charged as reserved.
        provider.fail = ("POST", "/batches", None)
        status, _, request = failed(pool.submit(ask, gateway, "b", key=KEY + "-poor"))
        assert status == 502
        row = next(row for row in gateway.rows() if row["id"] == request)
        assert row["end"] == "unknown" and row["cost_pico_usd"] > 0, row
        assert standing(gateway, "p-month")["spent_pico_usd"] == row["cost_pico_usd"]
        # What is reserved is reserved as long as the batch runs.
        provider.fail = None
        waiting = [pool.submit(ask, gateway, "c", key=KEY + "-poor") for _ in range(2)]
        wait_for(lambda: provider.batches)
        for _ in range(8):
            waiting.append(pool.submit(ask, gateway, "d" * 4000, "3s", KEY + "-poor"))
        codes = [failed(one)[1] for one in waiting[2:]]
        assert "budget_exceeded" in codes, codes
        for name in list(provider.batches):
            provider.finish(name, "expired" if name == "batch_2" else "completed")
        assert all(one.result().choices for one in waiting[:2])


def test_gathering_is_checked_in_the_configuration(gateway, upstream):
    import subprocess
    good = gateway.config.read_text()
    for route, words in (("{model: cheap, tier: batch}", "batches: true"), ("{model: cheap, tier: batch, stages: [exact_cache]}",
                                                                             "exclude"),
                         ("{model: cheap, gather: {window: 1s}}", "only a route with tier: batch")):
        gateway.config.write_text(good.replace("routes:\n", f"routes:\n  patient: {route}\n"))
        check = subprocess.run([gateway.binary, "check", "--config", str(gateway.config)], capture_output=True, text=True)
        assert check.returncode == 1 and words in check.stdout + check.stderr, (route, check)
    gateway.config.write_text(good)
    assert metric(gateway, "leeway_batches") == {}, "no provider takes them"
