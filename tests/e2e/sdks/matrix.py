"""Runs the scenarios through one SDK against a target of its own dialect and two of others, and tells how many went well."""
import collections
import concurrent.futures
import itertools
import time

import dialect_scenarios
from dialect_provider import DialectProvider

# Whom callers of each dialect reach: first their own.
TARGETS = {"chat": ("chat", "anthropic", "gemini"), "responses": ("responses", "chat", "anthropic"),
           "anthropic": ("anthropic", "chat", "gemini"), "gemini": ("gemini", "chat", "anthropic")}
EMBED_TARGETS = ("chat", "gemini", "cohere")  # that give embeddings
GROUPS = ("chat", "stream", "tools", "structured", "media", "thinking", "fields", "ends", "errors", "resilience", "lists")

Scenario = collections.namedtuple("Scenario", "group name needs same run")
SCENARIOS = []
_tags = itertools.count(1)


def scenario(group, *needs, same=False):
    """Adds the function to the table. `needs`: what the SDK must have, in the words of Client.lacks; `same`: only for a
    provider of the caller's dialect."""
    def add(run):
        SCENARIOS.append(Scenario(group, run.__name__, frozenset(needs), same, run))
        return run
    return add


class Cell:
    """One scenario of one SDK against one target."""

    def __init__(self, client, target, provider):
        self.client, self.target, self.provider = client, target, provider
        self.same = TARGETS[client.dialect][0] == target
        self.tag = next(_tags)

    def request(self, text, **more):
        return {"model": f"m-{self.target}", "text": f"{text} #{self.tag}", "same": self.same, **more}

    def ask(self, text, **more):
        return self.client.ask(self.request(text, **more))

    def stream(self, text, **more):
        return self.client.stream(self.request(text, **more))

    def fails(self, call):
        """The failure that `call` ends with."""
        try:
            came = call()
        except Exception as error:  # noqa: BLE001: each SDK has its own
            return self.client.failure(error)
        raise AssertionError(f"no error, but {came}")

    @property
    def calls(self):
        return self.provider.of(self.tag)

    @property
    def sent(self):
        """The newest request that the provider got."""
        return self.calls[-1][1]

    def wait_for(self, done, seconds=8):
        give_up = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < give_up, "it did not happen in time"
            time.sleep(0.01)  # polling, with a deadline


def play(cell, chosen):
    try:
        chosen.run(cell)
    except Exception as error:  # noqa: BLE001: all are to be told
        return f"{chosen.group}/{chosen.name}: {type(error).__name__}: {error}"
    return None


def run(gateway, make):
    """All scenarios of the client that `make` makes; prints a line per target and fails with all that went wrong."""
    from . import scenarios  # noqa: F401: fills the table
    provider = DialectProvider()
    wrong = []
    try:
        # What a provider says shall come to the SDK, and no other scenario's errors shall close the way to it.
        dialect_scenarios.configure(gateway, provider, ", retries: {attempts: 0}, breaker: {failures: 0}")
        client = make(gateway.url)
        mine = [chosen for chosen in SCENARIOS
                if not chosen.needs & client.lacks and chosen.group in (client.groups or GROUPS)]
        cells = [(target, chosen) for target in TARGETS[client.dialect] for chosen in mine
                 if target == TARGETS[client.dialect][0] or not chosen.same]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            ends = list(pool.map(lambda cell: play(Cell(client, cell[0], provider), cell[1]), cells))
        client.close()
        for target in TARGETS[client.dialect]:
            counts = collections.Counter()
            for (where, chosen), end in zip(cells, ends):
                if where == target:
                    counts[chosen.group] += 1
                    counts[chosen.group, "good"] += end is None
            wrong += [f"{client.sdk} -> {target}: {end}" for (where, _), end in zip(cells, ends) if where == target and end]
            print(f"  {client.sdk:27} -> {target:10}", *(f"{group} {counts[group, 'good']}/{counts[group]}"
                                                         for group in GROUPS if counts[group]),
                  f"= {sum(counts[group, 'good'] for group in GROUPS)}/{sum(counts[group] for group in GROUPS)}",
                  flush=True)
    finally:
        provider.shutdown()
    assert not wrong, "\n".join(wrong)
