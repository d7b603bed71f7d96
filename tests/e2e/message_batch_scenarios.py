"""Message batches through Anthropic's official SDK: who sees what, where its results are, what a batch costs, and once."""
import concurrent.futures
import json
import signal

import anthropic

from bad_input import restart
from batch_scenarios import BASELINE, COST, batch_rows, standing, write_book
from gateway import KEY
from message_batch_provider import MessageBatchProvider


class Place:
    """A gateway whose provider `acme` takes message batches, with keys web, other and poor."""

    def __init__(self, gateway, budgets="", batches=""):
        self.gateway, self.budgets, self.batches = gateway, budgets, batches

    def __enter__(self):
        self.provider = MessageBatchProvider()
        path = write_book(self.gateway)
        restart(self.gateway, ("providers:\n", f'providers:\n  acme: {{dialect: anthropic, base_url: "{self.provider.url}", '
                               "api_key: sk-acme, batches: true, prices: acme, timeouts: {first_byte: 2s}}\n"),
                ("models:\n", f"prices: {{book: {path}}}\n{self.batches}models:\n  ours: {{provider: acme, name: big-1}}\n"
                              "  free: {provider: acme}\n"),
                ("keys:\n", self.budgets + f'keys:\n  - {{name: other, secret: "{KEY}-other"}}\n'
                            f'  - {{name: poor, secret: "{KEY}-poor", team: p}}\n'))
        return self.provider

    def __exit__(self, *_):
        self.provider.shutdown()


def sdk(gateway, key=KEY):
    return anthropic.Anthropic(base_url=gateway.url, api_key=key, max_retries=0)


def requests(count, **members):
    return [{"custom_id": f"c{i}", "params": {"model": "big-1", "max_tokens": 200,
                                              "messages": [{"role": "user", "content": "hello"}], **members}}
            for i in range(count)]


def begin(client, count=2, **headers):
    return client.messages.batches.create(requests=requests(count), extra_headers=headers or None)


def results_of(client, batch):
    return list(client.messages.batches.results(batch))


def refused(call):
    try:
        call()
    except anthropic.APIStatusError as error:
        body = error.body
        assert body["type"] == "error", body
        return error.status_code, body["error"]["type"], body["error"]["message"]
    raise AssertionError("no error")


def test_message_batches_from_request_to_cost_once(gateway, upstream):
    with Place(gateway) as provider:
        client = sdk(gateway)
        batch = client.messages.batches.create(requests=requests(3), extra_headers={"x-leeway-user": "ann"})
        method, path, headers, body = provider.asked[-1]
        assert (method, path) == ("POST", "/v1/messages/batches") and json.loads(body) == {"requests": requests(3)}
        assert headers["x-api-key"] == "sk-acme" and headers["anthropic-version"] and KEY not in str(provider.asked)
        spaced = b'{ "requests" : ' + json.dumps(requests(1)).encode() + b' , "x":1.50}'
        status, _, _ = gateway.raw("/v1/messages/batches", spaced)
        assert status == 200 and provider.asked[-1][3] == spaced, "byte for byte"
        seen = client.messages.batches.retrieve(batch.id)
        assert seen.processing_status == "in_progress" and seen.results_url is None and not batch_rows(gateway)
        provider.finish(batch.id, "errored")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:  # on both workers, at once, by results and by looks
            results = [pool.submit(results_of, sdk(gateway), batch.id) for _ in range(6)]
            looks = [pool.submit(lambda: sdk(gateway).messages.batches.retrieve(batch.id)) for _ in range(6)]
            lines = [one.result() for one in results]
            done = [one.result() for one in looks]
        assert {one.results_url for one in done} == {f"/v1/messages/batches/{batch.id}/results"}
        assert all([one.result.type for one in each] == ["errored", "succeeded", "succeeded"] for each in lines)
        assert lines[0][1].result.message.content[0].text == "hi"
        [row] = batch_rows(gateway)
        assert (row["cost_pico_usd"], row["baseline_pico_usd"]) == (2 * COST, 2 * BASELINE), row
        assert row["tier"] == "batch" and row["key"] == "web" and row["user"] == "ann" and row["model"] == "ours", row
        for how in (signal.SIGTERM, signal.SIGKILL):
            gateway.stop(how)
            gateway.start()
            assert sdk(gateway).messages.batches.retrieve(batch.id).processing_status == "ended"
        assert len(batch_rows(gateway)) == 1


def test_message_batches_are_seen_by_their_key_only(gateway, upstream):
    with Place(gateway) as provider:
        mine, other = sdk(gateway), sdk(gateway, KEY + "-other")
        batches = {client: [begin(client).id for _ in range(4)] for client in (mine, other)}
        last = begin(mine).id
        first = batches[mine][0]
        for call in (lambda: other.messages.batches.retrieve(first), lambda: other.messages.batches.cancel(first),
                     lambda: other.messages.batches.delete(first), lambda: mine.messages.batches.retrieve("msgbatch_none")):
            before = len(provider.asked)
            assert refused(call)[:2] == (404, "not_found_error")
            assert len(provider.asked) == before, "the provider is not even asked"
        assert gateway.raw(f"/v1/batches/{first}")[0] == 404, "in another dialect it does not exist"
        newest = [last, *batches[mine][::-1]]
        assert [one.id for one in mine.messages.batches.list(limit=2)] == newest, "over all pages"
        page = mine.messages.batches.list(limit=2)
        assert [one.id for one in page.data] == newest[:2] and page.has_more
        assert (page.first_id, page.last_id) == (newest[0], newest[1])
        page = mine.messages.batches.list(limit=2, before_id=newest[3])
        assert [one.id for one in page.data] == newest[1:3] and page.has_more, page
        page = mine.messages.batches.list(limit=5, before_id=newest[2])
        assert [one.id for one in page.data] == newest[:2] and not page.has_more, page
        page = other.messages.batches.list()
        assert [one.id for one in page.data] == batches[other][::-1] and not page.has_more
        # A list tells of an end, and where the results are.
        provider.finish(first)
        ended = [one for one in mine.messages.batches.list() if one.processing_status == "ended"]
        assert [one.results_url for one in ended] == [f"/v1/messages/batches/{first}/results"]
        assert len(batch_rows(gateway)) == 1


def test_message_batches_that_are_refused(gateway, upstream):
    with Place(gateway) as provider:
        client = sdk(gateway)
        create = client.messages.batches.create
        for bad, words in (([], "no requests"), (requests(1, max_tokens=0), "max_tokens"), (requests(1, stream=True), "streams"),
                           (requests(1) + requests(1, model="free"), "one model"),
                           ([{"custom_id": "a"}], "Request 1")):
            status, kind, said = refused(lambda bad=bad: create(requests=bad))
            assert (status, kind) == (400, "invalid_request_error") and words in said, said
        assert refused(lambda: create(requests=requests(1, model="unknown")))[0] == 404
        narrow = sdk(gateway, KEY + "-narrow")
        assert refused(lambda: narrow.messages.batches.create(requests=requests(1)))[:2] == (403, "permission_error")
        status, _, body = gateway.raw("/v1/messages/batches", b'{"requests": [{"custom_id"')
        assert status == 400 and json.loads(body)["type"] == "error"
        assert not provider.asked, "none of them was sent"
        provider.fail = ("POST", "/v1/messages/batches", 429)
        assert refused(lambda: begin(client))[0] == 429
        assert not batch_rows(gateway)
        status, _, body = gateway.raw("/v1/batches")
        assert status == 404 and json.loads(body)["error"]["code"] == "provider_not_found", "nobody has OpenAI's"


def test_message_batches_that_are_cancelled_or_deleted(gateway, upstream):
    with Place(gateway) as provider:
        client = sdk(gateway)
        batch = begin(client, 3).id
        assert refused(lambda: client.messages.batches.delete(batch))[:2] == (400, "invalid_request_error")
        assert client.messages.batches.cancel(batch).processing_status == "canceling" and not batch_rows(gateway)
        provider.finish(batch, "canceled", "canceled")
        # What it cost is read before it is gone; while it cannot be read, it stays.
        provider.fail = ("GET", ".*/results", 500)
        assert refused(lambda: client.messages.batches.delete(batch))[0] == 502
        assert refused(lambda: list(client.messages.batches.results(batch)))[0] == 502 and not batch_rows(gateway)
        provider.fail = None
        assert client.messages.batches.delete(batch).type == "message_batch_deleted"
        [row] = batch_rows(gateway)
        assert (row["cost_pico_usd"], row["error"]) == (COST, "batch_cancelled"), row
        assert refused(lambda: client.messages.batches.retrieve(batch))[0] == 404
        free = client.messages.batches.create(requests=requests(1, model="free")).id
        provider.finish(free)
        assert len(list(client.messages.batches.results(free))) == 1
        assert batch_rows(gateway)[-1]["cost_pico_usd"] is None, "unknown is not 0"


def test_message_batches_under_hard_budgets(gateway, upstream):
    budgets = "budgets:\n  - {name: p-month, scope: team, match: p, usd: 0.05, per: month}\n"
    with Place(gateway, budgets) as provider:
        poor = sdk(gateway, KEY + "-poor")
        first = begin(poor).id
        assert refused(lambda: begin(poor, 40))[0] == 429 and list(provider.batches) == [first]
        search = requests(1, tools=[{"type": "web_search_20250305", "name": "web_search"}])
        assert refused(lambda: poor.messages.batches.create(requests=search))[0] == 400
        provider.finish(first)
        assert len(list(poor.messages.batches.results(first))) == 2
        assert standing(gateway, "p-month")["spent_pico_usd"] == 2 * COST
        provider.fail = ("POST", "/v1/messages/batches", None)
        assert refused(lambda: begin(poor))[0] == 502
        row = batch_rows(gateway)[-1]
        assert row["end"] == "unknown" and row["cost_pico_usd"] > 0, row
