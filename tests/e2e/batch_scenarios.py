"""Files and batches through the official SDK: who sees what, what a batch costs, and when, and that it costs it once."""
import concurrent.futures
import json
import signal
import time

import openai

from bad_input import restart
from batch_provider import BatchProvider
from gateway import KEY

# USD per million tokens. A batch is half the price; an answer has 1,000 tokens of input and 100 of output.
STANDARD, BATCH = ("2", "10"), ("1", "5")
COST, BASELINE = 1_500_000_000, 3_000_000_000


def write_book(gateway):
    """A price book with the models of the provider `acme`."""
    sheets = [{"rates": {"input": STANDARD[0], "output": STANDARD[1]}},
              {"tier": "batch", "rates": {"input": BATCH[0], "output": BATCH[1]}}]
    book = {"format": "leeway-price-book", "version": 1, "currency": "USD", "unit": "usd_per_million", "name": "e2e",
            "source": "a test", "licence": "none", "fetched": "2026-09-01", "confidence": "single-source",
            "providers": [{"id": "acme", "name": "Acme", "url": "https://api\\.acme\\.test", "models": [
                {"id": "big", "match": {"starts_with": "big"}, "prices": sheets}]}], "sheets": 2, "rates": 4}
    path = gateway.folder / "book.json"
    path.write_text(json.dumps(book))
    return path


class Place:
    """A gateway whose provider `acme` takes batches, with keys web and other."""

    def __init__(self, gateway, budgets="", second=False, batches=""):
        self.gateway, self.budgets, self.second, self.batches = gateway, budgets, second, batches

    def __enter__(self):
        self.provider = BatchProvider()
        path = write_book(self.gateway)
        said = f'dialect: openai, base_url: "{self.provider.url}", api_key: sk-acme, batches: true'
        lines = f"  acme: {{{said}, prices: acme, timeouts: {{first_byte: 2s}}}}\n"
        if self.second:
            lines += f"  apex: {{{said}}}\n"
        restart(self.gateway, ("providers:\n", "providers:\n" + lines),
                ("models:\n", f"prices: {{book: {path}}}\n{self.batches}models:\n  ours: {{provider: acme, name: big-1}}\n"
                              "  free: {provider: acme}\n"),
                ("keys:\n", self.budgets + f'keys:\n  - {{name: other, secret: "{KEY}-other", team: b}}\n'
                            f'  - {{name: poor, secret: "{KEY}-poor", team: p}}\n'))
        return self.provider

    def __exit__(self, *_):
        self.provider.shutdown()


def sdk(gateway, key=KEY):
    return openai.OpenAI(base_url=gateway.url + "/v1", api_key=key, max_retries=0)


def lines(count, model="big-1", url="/v1/chat/completions", **members):
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 200, **members}
    return "".join(json.dumps({"custom_id": f"c{i}", "method": "POST", "url": url, "body": body}) + "\n"
                   for i in range(count)).encode()


def send(client, text):
    return client.files.create(file=("in.jsonl", text), purpose="batch")


def begin(client, count=2, **headers):
    return client.batches.create(input_file_id=send(client, lines(count)).id, endpoint="/v1/chat/completions",
                                 completion_window="24h", extra_headers=headers or None)


def refused(call):
    try:
        call()
    except openai.APIStatusError as error:
        return error.status_code, error.code, str(error)
    raise AssertionError("no error")


def batch_rows(gateway):
    return [row for row in gateway.rows() if row["endpoint"] == "batches"]


def test_batches_from_upload_to_cost_once(gateway, upstream):
    with Place(gateway) as provider:
        client = sdk(gateway)
        text = lines(3)
        file = send(client, text)
        assert provider.contents[file.id] == text and client.files.content(file.id).content == text
        assert client.files.retrieve(file.id).bytes == len(text)
        form = (b'--x\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
                b'--x\r\nX-Own: 1\r\nContent-Disposition:form-data;  name=file; filename=a\r\n\r\n' + text + b"\r\n--x--\r\nrest")
        status, _, _ = gateway.raw("/v1/files", form, headers={"content-type": "Multipart/Form-Data; boundary=x"})
        _, _, headers, sent = provider.asked[-1]
        assert status == 200 and sent == form and headers["content-type"] == "Multipart/Form-Data; boundary=x"
        _, _, headers, _ = provider.asked[0]
        assert headers["authorization"] == "Bearer sk-acme" and KEY not in str(provider.asked), "whose key it is"
        batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h",
                                      metadata={"a": "b"}, extra_headers={"x-leeway-user": "ann", "x-leeway-tag": "night"})
        assert json.loads(provider.asked[-1][3])["metadata"] == {"a": "b"}
        assert client.batches.retrieve(batch.id).status == "in_progress" and not batch_rows(gateway)
        provider.finish(batch.id, refused=1)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:  # on both workers, at once
            done, *others = pool.map(lambda _: sdk(gateway).batches.retrieve(batch.id), range(16))
        assert {one.status for one in (done, *others)} == {"completed"}
        assert client.files.content(done.output_file_id).content == provider.contents[done.output_file_id]
        client.batches.retrieve(batch.id)
        [row] = batch_rows(gateway)
        assert (row["cost_pico_usd"], row["baseline_pico_usd"]) == (2 * COST, 2 * BASELINE), row
        assert row["tier"] == "batch" and row["key"] == "web" and row["user"] == "ann" and row["tags"] == ["night"], row
        assert row["model"] == "ours" and row["usage"]["prompt_tokens"] == 2000 and row["usage"]["completion_tokens"] == 200, row
        # Neither another start nor a kill makes it cost twice.
        for how in (signal.SIGTERM, signal.SIGKILL):
            gateway.stop(how)
            gateway.start()
            assert sdk(gateway).batches.retrieve(batch.id).status == "completed"
        assert len(batch_rows(gateway)) == 1
        saved = json.loads(gateway.cli("report", "--savings", "--json"))
        assert str(2 * (BASELINE - COST)) in json.dumps(saved), saved


def test_batches_are_seen_by_their_key_only(gateway, upstream):
    with Place(gateway) as provider:
        mine, other = sdk(gateway), sdk(gateway, KEY + "-other")
        batches = {client: [begin(client).id for _ in range(4)] for client in (mine, other)}
        begin(mine)
        file = send(mine, lines(1)).id
        for call in (lambda: other.files.retrieve(file), lambda: other.files.content(file),
                     lambda: other.files.delete(file), lambda: other.batches.retrieve(batches[mine][0]),
                     lambda: other.batches.cancel(batches[mine][0]), lambda: mine.batches.retrieve("batch_none"),
                     lambda: other.batches.create(input_file_id=file, endpoint="/v1/chat/completions",
                                                  completion_window="24h")):
            before = len(provider.asked)
            assert refused(call)[0] == 404
            assert len(provider.asked) == before, "the provider is not even asked"
        # Lists have the caller's own, over pages of the provider and of the caller.
        assert [one.id for one in other.batches.list(limit=3)] == batches[other][::-1]
        page = other.batches.list(limit=3)
        assert page.has_more and len(page.data) == 3
        assert len(list(mine.files.list())) == 6 and len(list(other.files.list())) == 4
        assert mine.files.delete(file).deleted and file not in provider.files
        assert refused(lambda: mine.files.retrieve(file))[0] == 404
        # What a batch wrote is its owner's as well.
        provider.finish(batches[other][0])
        output = provider.batches[batches[other][0]]["output_file_id"]
        assert refused(lambda: other.files.content(output))[0] == 404, "not before its cost is known"
        assert [one.status for one in other.batches.list()].count("completed") == 1
        assert len(batch_rows(gateway)) == 1, "a list tells of its end, too"
        assert other.files.content(output).content and refused(lambda: mine.files.content(output))[0] == 404
        assert refused(lambda: sdk(gateway, "lw-wrong-0123456789abcdef").files.list())[0] == 401


def test_batches_that_are_refused(gateway, upstream):
    with Place(gateway) as provider:
        client = sdk(gateway)
        for text, words in ((b"", "no requests"), (b"not json\n", "Line 1"), (lines(1) + lines(1, "free"), "one model"),
                            (lines(1, stream=True), "streams"), (lines(1, url="/v1/nowhere"), "/v1/nowhere")):
            status, _, said = refused(lambda text=text: send(client, text))
            assert status == 400 and words in said, said
        assert refused(lambda: send(client, lines(1, "unknown")))[:2] == (404, "model_not_found")
        narrow = sdk(gateway, KEY + "-narrow")
        assert refused(lambda: send(narrow, lines(1)))[:2] == (403, "model_not_allowed")
        assert not provider.files, "none of them was sent"
        file = send(client, lines(1)).id
        assert refused(lambda: client.batches.create(input_file_id=file, endpoint="/v1/embeddings",
                                                     completion_window="24h"))[0] == 400
        notes = client.files.create(file=("a.txt", b"hello"), purpose="user_data").id
        assert refused(lambda: client.batches.create(input_file_id=notes, endpoint="/v1/chat/completions",
                                                     completion_window="24h"))[0] == 400
        provider.fail = ("POST", "/batches", 429)
        assert refused(lambda: client.batches.create(input_file_id=file, endpoint="/v1/chat/completions",
                                                     completion_window="24h"))[0] == 429
        status, headers, _ = gateway.raw("/v1/files", b"x", headers={"content-type": "text/plain"})
        assert status == 400 and headers["x-leeway-id"]
        assert not batch_rows(gateway)
    restart(gateway, (", batches: true", ""))
    assert refused(lambda: sdk(gateway).files.list())[0] == 404


def test_batches_name_their_provider(gateway, upstream):
    with Place(gateway, second=True) as provider:
        client = sdk(gateway)
        status, code, said = refused(lambda: send(client, lines(1)))
        assert (status, code) == (400, "provider_not_named") and "x-leeway-provider" in said
        named = openai.OpenAI(base_url=gateway.url + "/v1", api_key=KEY, max_retries=0,
                              default_headers={"x-leeway-provider": "acme"})
        batch = begin(named)
        assert client.batches.retrieve(batch.id).id == batch.id, "an id is enough"
        assert [one.id for one in named.batches.list()] == [batch.id]


def test_batches_of_unknown_price_or_without_output(gateway, upstream):
    with Place(gateway) as provider:
        client = sdk(gateway)
        free = client.batches.create(input_file_id=send(client, lines(1, "free")).id, endpoint="/v1/chat/completions",
                                     completion_window="24h").id
        gone, failed = begin(client).id, begin(client).id
        provider.finish(free)
        provider.finish(gone)
        del provider.files[provider.batches[gone]["output_file_id"]]
        provider.batches[failed]["status"] = "failed"
        for one in (free, gone, failed):
            client.batches.retrieve(one)
        rows = batch_rows(gateway)
        assert [row["cost_pico_usd"] for row in rows] == [None, None, 0], "unknown is not 0, and nothing done is"
        # An output that cannot be read now is read when asked again; until then nobody hears of the end.
        late = begin(client).id
        provider.finish(late)
        provider.fail = ("GET", "/files/.*/content", 500)
        assert refused(lambda: client.batches.retrieve(late))[0] == 502 and len(batch_rows(gateway)) == 3
        provider.fail = None
        assert client.batches.retrieve(late).status == "completed"
        assert batch_rows(gateway)[-1]["cost_pico_usd"] == 2 * COST


def standing(gateway, budget):
    time.sleep(0.2)  # the ledger gathers records for at most 50 ms
    return next(one for one in json.loads(gateway.cli("budgets", "--json"))["budgets"] if one["budget"] == budget)


def test_batches_under_hard_budgets(gateway, upstream):
    budgets = ("budgets:\n  - {name: p-month, scope: team, match: p, usd: 0.05, per: month}\n")
    with Place(gateway, budgets) as provider:
        poor = sdk(gateway, KEY + "-poor")
        # Two lines of at most 200 tokens of output and about 700 of input: some 0.004 USD each.
        first = begin(poor).id
        status, code, _ = refused(lambda: begin(poor, 40))
        assert (status, code) == (429, "budget_exceeded")
        assert not [row for row in provider.batches.values() if row["id"] != first]
        text = lines(1).replace(b'"max_tokens": 200', b'"seed": 1')
        file = send(poor, text).id
        assert refused(lambda: poor.batches.create(input_file_id=file, endpoint="/v1/chat/completions",
                                                   completion_window="24h"))[:2] == (400, "budget_batch_unbounded")
        # The reservation outlives the process: what is left does not grow by a kill.
        for _ in range(9):
            try:
                begin(poor)
            except openai.APIStatusError as error:
                assert error.code == "budget_exceeded"
                break
        full = len(provider.batches)
        for how in (signal.SIGKILL, signal.SIGTERM):
            gateway.stop(how)
            gateway.start()
            poor = sdk(gateway, KEY + "-poor")
            assert refused(lambda: begin(poor))[1] == "budget_exceeded"
        assert len(provider.batches) == full
        # When it is over it costs what it cost, and the rest is free again: also after another kill.
        provider.finish(first)
        poor.batches.retrieve(first)
        gateway.stop(signal.SIGKILL)
        gateway.start()
        poor = sdk(gateway, KEY + "-poor")
        [row] = batch_rows(gateway)
        assert row["cost_pico_usd"] == 2 * COST and standing(gateway, "p-month")["spent_pico_usd"] == 2 * COST, row
        begin(poor, 1)


def test_batches_whose_answer_never_came_are_charged_as_reserved(gateway, upstream):
    budgets = ("budgets:\n  - {name: p-month, scope: team, match: p, usd: 5, per: month}\n")
    with Place(gateway, budgets) as provider:
        poor = sdk(gateway, KEY + "-poor")
        provider.fail = ("POST", "/batches", None)
        assert refused(lambda: begin(poor))[0] == 502
        [row] = batch_rows(gateway)
        assert row["end"] == "unknown" and row["cost_pico_usd"] > 0 and row["error"] == "outcome_unknown", row
        assert standing(gateway, "p-month")["spent_pico_usd"] == row["cost_pico_usd"]


def test_batches_that_are_cancelled_and_rate_limits(gateway, upstream):
    with Place(gateway) as provider:
        client = sdk(gateway)
        batch = begin(client, 3).id
        assert client.batches.cancel(batch).status == "cancelling" and not batch_rows(gateway)
        provider.finish(batch, "cancelled", refused=2)
        assert client.batches.retrieve(batch).status == "cancelled"
        [row] = batch_rows(gateway)
        assert (row["cost_pico_usd"], row["error"]) == (COST, "batch_cancelled"), "what was done until then is billed"
        narrow = sdk(gateway, KEY + "-narrow")  # three requests a minute
        for _ in range(3):
            assert not list(narrow.files.list())
        assert refused(narrow.files.list)[:2] == (429, "rate_limit_exceeded")
        # A gateway that is killed before it hears of a batch charges what it may cost, and does not lose it.
        begun = len(provider.batches)
        provider.fail = ("POST", "/batches", "wait")
        with concurrent.futures.ThreadPoolExecutor() as pool:
            call = pool.submit(lambda: refused_or_cut(lambda: begin(client)))
            give_up = time.monotonic() + 10
            while provider.waiting == 0 and time.monotonic() < give_up:
                time.sleep(0.01)
            gateway.stop(signal.SIGKILL)
            provider.fail = None
            provider.go_on.set()
            call.result()
        assert provider.waiting == 1 and len(provider.batches) == begun
        gateway.start()
        row = batch_rows(gateway)[-1]
        assert row["end"] == "unknown" and row["cost_pico_usd"] is None, "no budget, so nothing was reserved"
        gateway.stop()
        gateway.start()
        assert len(batch_rows(gateway)) == 2


def refused_or_cut(call):
    try:
        call()
    except openai.APIError:
        return
    raise AssertionError("no error")


def metric(gateway, name):
    _, _, text = gateway.raw("/metrics", admin=True, key=None)
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.decode().splitlines()
            if line.startswith(name)}


def wait_for(call, seconds=20):
    give_up = time.monotonic() + seconds
    while not (got := call()):
        assert time.monotonic() < give_up, "not in time"
        time.sleep(0.05)  # polling with a deadline
    return got


OFTEN = "batches: {first_look: 100ms, longest_wait: 400ms}\n"


def test_batches_whose_end_nobody_asks_for_are_settled(gateway, upstream):
    with Place(gateway, batches=OFTEN) as provider:
        client = sdk(gateway)
        batch = begin(client, 3).id
        wait_for(lambda: metric(gateway, "leeway_batch_looks_total")["leeway_batch_looks_total"] >= 2)
        assert metric(gateway, "leeway_batches{") == {'leeway_batches{state="in_progress"}': 1}
        [listed] = json.loads(gateway.cli("batches", "--json"))["batches"]
        assert (listed["batch"], listed["state"], listed["key"]) == (batch, "in_progress", "web"), listed
        assert batch in gateway.cli("batches") and "in_progress" in gateway.cli("batches")
        assert not batch_rows(gateway)
        provider.finish(batch, refused=1)
        [row] = wait_for(lambda: batch_rows(gateway))
        assert (row["cost_pico_usd"], row["baseline_pico_usd"]) == (2 * COST, 2 * BASELINE), row
        assert client.batches.retrieve(batch).status == "completed"
        looks = len(provider.asked)
        time.sleep(1)
        assert len(provider.asked) == looks, "what is settled is not looked at any more"
        # Its output is its owner's, though it never asked.
        done = begin(client).id
        provider.finish(done)
        output = provider.batches[done]["output_file_id"]
        wait_for(lambda: len(batch_rows(gateway)) == 2)
        assert client.files.content(output).content
        assert json.loads(gateway.cli("batches", "--json"))["batches"] == []
        assert [one["settled"] for one in json.loads(gateway.cli("batches", "--all", "--json"))["batches"]] == [True, True]
        assert metric(gateway, "leeway_batches_")["leeway_batches_settled_total"] == 2
        assert metric(gateway, "leeway_batches_cost_usd")["leeway_batches_cost_usd_total"] == 4 * COST / 1e12
        assert metric(gateway, "leeway_batch_uploads")["leeway_batch_uploads_total"] == 2


def test_batches_are_looked_at_after_failures_and_restarts(gateway, upstream):
    budgets = "budgets:\n  - {name: p-month, scope: team, match: p, usd: 5, per: month}\n"
    with Place(gateway, budgets, batches=OFTEN) as provider:
        poor = sdk(gateway, KEY + "-poor")
        batch = begin(poor).id
        provider.fail = ("GET", "/batches/.*", 500)
        name = "leeway_batch_failed_looks_total"
        wait_for(lambda: metric(gateway, name)[name] >= 2)
        gateway.stop(signal.SIGKILL)
        provider.finish(batch)
        provider.fail = ("GET", "/files/.*/content", 503)
        gateway.start()
        wait_for(lambda: metric(gateway, name)[name] >= 1)
        assert not batch_rows(gateway), "its cost could not be read"
        gateway.stop()
        provider.fail = None
        gateway.start()
        [row] = wait_for(lambda: batch_rows(gateway))
        assert row["cost_pico_usd"] == 2 * COST and row["key"] == "poor", row
        assert standing(gateway, "p-month")["spent_pico_usd"] == 2 * COST
        # A look that waits for the provider does not hold up the end of the gateway.
        batch = begin(sdk(gateway, KEY + "-poor")).id
        provider.waiting = 0
        provider.fail = ("GET", f"/batches/{batch}", "wait")
        wait_for(lambda: provider.waiting)
        begun = time.monotonic()
        assert gateway.stop() == 0 and time.monotonic() - begun < 2, "shut down while it waits"
        provider.go_on.set()


def test_batches_are_settled_once_whoever_sees_their_end(gateway, upstream):
    with Place(gateway, batches="batches: {first_look: 10ms, longest_wait: 10ms}\n") as provider:
        client = sdk(gateway)
        batches = [begin(client).id for _ in range(8)]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for batch in batches:
                provider.finish(batch)
                asked = [pool.submit(lambda one=batch: sdk(gateway).batches.retrieve(one).status) for _ in range(6)]
                assert {one.result() for one in asked} == {"completed"}
        wait_for(lambda: metric(gateway, "leeway_batches_settled")["leeway_batches_settled_total"] == len(batches))
        rows = batch_rows(gateway)
        assert [row["cost_pico_usd"] for row in rows] == [2 * COST] * len(batches)


def test_batches_that_never_end_are_charged_as_reserved(gateway, upstream):
    budgets = "budgets:\n  - {name: p-month, scope: team, match: p, usd: 5, per: month}\n"
    with Place(gateway, budgets, batches=OFTEN.replace("}", ", grace: 0s}")) as provider:
        poor = sdk(gateway, KEY + "-poor")
        batch = begin(poor).id
        time.sleep(0.5)
        assert not batch_rows(gateway), "it has not expired yet"
        provider.batches[batch]["expires_at"] = int(time.time()) - 1
        [row] = wait_for(lambda: batch_rows(gateway))
        assert (row["end"], row["error"]) == ("unknown", "batch_never_ended") and row["cost_pico_usd"] > 0, row
        assert standing(gateway, "p-month")["spent_pico_usd"] == row["cost_pico_usd"]
        provider.finish(batch)
        assert poor.batches.retrieve(batch).status == "completed" and len(batch_rows(gateway)) == 1
