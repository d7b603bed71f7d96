"""The scenarios. Each takes a Bench and returns a Section."""
import time
from statistics import median

from harness import NotAvailable, get_json
from report import Section, mib, ratios, spread

CHAT = ["--connections", 64, "--body-bytes", 3700]


def start_all(bench, section, names, upstream):
    targets = []
    for name in names:
        try:
            targets.append(bench.rival(name, upstream))
        except NotAvailable as reason:
            section.notes.append(f"{name} left out: {reason}")
    return targets


def one_round(bench, target, upstream, arguments, unit):
    before, arrived = target.cpu(), get_json(f"http://127.0.0.1:{upstream}/stats")
    report = bench.load(target, *arguments)
    used = target.cpu() - before
    after = get_json(f"http://127.0.0.1:{upstream}/stats")
    units = report[unit]
    return dict(cpu_us=used * 1e6 / units if units and target.process else None, rps=report["rps"],
                answered=report["answered"], failed=report["failed"], units=units,
                upstream=(after["requests"] - arrived["requests"]) / max(1, report["answered"]),
                bad_upstream=after["bad"] - arrived["bad"], latency=report["latency_us"],
                first_event=report["first_event_us"], hold=report["hold_us"],
                failures=report["failures"], note=report["note"], rss=target.rss())


def alternate(bench, section, targets, upstream, arguments, warm, unit="answered"):
    """Rounds in turn, each round starting one further; {name: [round]}."""
    rounds = {t.name: [] for t in targets}
    for t in targets:
        bench.load(t, *warm)
    for number in range(bench.options.rounds):
        shift = number % len(targets)
        for t in targets[shift:] + targets[:shift]:
            result = one_round(bench, t, upstream, arguments, unit)
            rounds[t.name].append(result)
            bench.say(f"{section.name} round {number + 1}/{bench.options.rounds} {t.name}: "
                      f"{result['cpu_us'] or 0:.1f} us CPU, {result['failed']} failed")
            if result["failed"]:
                section.notes.append(f"{t.name} failed {result['failures']}: {result['note']}")
    for t in targets:
        t.stop()
    section.raw = rounds
    return rounds


def summary(section, rounds, targets, latency="latency", scale=1):
    reference = next((n for n in rounds if n.startswith("nginx")), None)
    for t in targets:
        r = rounds[t.name]
        ratio = ratios(r, rounds[reference]) if reference else []
        section.row(t.name, spread([x["cpu_us"] for x in r]), spread(ratio, 2),
                    f"{median(x['rps'] for x in r):.0f}",
                    f"{median(x[latency]['p50'] for x in r) / scale:.1f}",
                    f"{median(x[latency]['p99'] for x in r) / scale:.1f}",
                    f"{mib(t.idle_kib)} → {mib(max(x['rss'] for x in r))}",
                    f"{median(x['upstream'] for x in r):.3f}", sum(x["answered"] for x in r),
                    sum(x["failed"] for x in r) + sum(x["bad_upstream"] for x in r))


def ratio_of(rounds, name):
    reference = next((n for n in rounds if n.startswith("nginx")), None)
    values = ratios(rounds.get(name, []), rounds[reference]) if reference else []
    return median(values) if values else None


COLUMNS = ["target", "CPU µs/request, median (range)", "× nginx, median of rounds (range)",
           "req/s", "p50 ms", "p99 ms", "RSS MiB idle → loaded", "upstream calls/request",
           "answered", "failed"]


def buffered(bench, name, title, intro, names, goals, extra=()):
    section = Section(name, title, intro, COLUMNS)
    upstream = bench.provider()
    targets = start_all(bench, section, names, upstream)
    arguments = [*CHAT, *extra, "--seconds", bench.options.seconds]
    rounds = alternate(bench, section, targets, upstream, arguments,
                       [*CHAT, *extra, "--seconds", 0.5])
    summary(section, rounds, targets, scale=1000)
    for target, text, limit in goals:
        section.goal(text, ratio_of(rounds, target), limit)
    return section


def proxy(bench):
    return buffered(
        bench, "proxy", "Proxied chat request, all stages off",
        "3.7 KB in (each body different), 1 KB out, 64 keep-alive connections, closed loop. "
        "`forwarder` moves bytes between sockets and knows no HTTP: the lower bound.",
        ["nginx", "haproxy", "forwarder", "leeway-off"],
        [("leeway-off", "leeway, all stages off, × nginx", 1.2)])


def full(bench):
    return buffered(
        bench, "full", "Proxied chat request with auth, ledger and metrics",
        "As above, with a virtual key on each request, the ledger and the metrics on. CPU is that of "
        "the whole process, the ledger's thread included. `leeway-budget` also reserves the worst case of each "
        "request in three hard budgets, durably, before it is sent.",
        ["nginx", "leeway-off", "leeway-full", "leeway-budget"],
        [("leeway-full", "leeway with auth, ledger, metrics, × nginx", 1.6),
         ("leeway-budget", "leeway with auth, budgets, prices, ledger, metrics, × nginx", 2.0)])


def hit(bench):
    return buffered(
        bench, "hit", "Exact-cache hit",
        "The same 3.7 KB request again and again: leeway answers from its cache (upstream calls per "
        "request 0), nginx proxies it. `leeway-hit` writes a ledger row for each hit, "
        "`leeway-hit_no_ledger` none.",
        ["nginx", "leeway-hit", "leeway-hit_no_ledger"],
        [("leeway-hit_no_ledger", "leeway cache hit, ledger off, × nginx proxy_pass", 0.7),
         ("leeway-hit", "leeway cache hit, ledger on, × nginx proxy_pass", 0.7)], ["--same"])


def sse(bench):
    o = bench.options
    section = Section(
        "sse", "Relay of streams",
        f"{o.streams} streams at a time, each {o.events} content events {o.interval_ms} ms apart, "
        f"{o.streams * 1000 // o.interval_ms} events/s in all; CPU ÷ content events. Latency is that of "
        "the hold: event written by the provider → read by the client. `leeway-full` also checks the "
        "key, asks for usage, hides it again and writes the row.",
        ["target", "CPU µs/event, median (range)", "× nginx, median of rounds (range)", "streams/s",
         "hold p50 ms", "hold p99 ms", "RSS MiB idle → loaded", "upstream calls/stream",
         "good streams", "failed"])
    upstream = bench.provider("--events", o.events, "--interval-ms", o.interval_ms)
    targets = start_all(bench, section, ["nginx-sse", "haproxy", "forwarder", "leeway-sse",
                                         "leeway-full"], upstream)
    shape = ["--stream", "--events", o.events, "--connections", o.streams]
    rounds = alternate(bench, section, targets, upstream, [*shape, "--seconds", o.seconds],
                       ["--stream", "--requests", 8, "--connections", 8, "--ramp-ms", 0], "events")
    summary(section, rounds, targets, "hold", 1000)
    section.goal("leeway relay per event, × nginx", ratio_of(rounds, "leeway-sse"), 1.2)
    return section


def translate(bench):
    """What a caller of another dialect costs more."""
    o = bench.options
    section = Section(
        "translate", "Translation: Anthropic's Messages in, OpenAI's chat out",
        "The same 3.7 KB request, all stages off, once in the provider's dialect and once in another, and the same streams as "
        "above. Only what is added is translation.",
        ["target", "CPU µs/request or /event, median (range)", "added, median of rounds (range)", "failed"])

    def pair(names, upstream, arguments, warm, unit):
        targets = start_all(bench, section, names, upstream)
        rounds = alternate(bench, section, targets, upstream, arguments, warm, unit)
        plain, translated = ([x["cpu_us"] for x in rounds[name]] for name in names)
        for name in names:
            r = rounds[name]
            other = [b - a for a, b in zip(plain, translated)] if name == names[1] else []
            section.row(name, spread([x["cpu_us"] for x in r]), spread(other), sum(x["failed"] for x in r))
        return plain, translated, rounds

    upstream = bench.provider()
    plain, translated, raw = pair(["leeway-off", "leeway-off_messages"], upstream, [*CHAT, "--seconds", o.seconds],
                                  [*CHAT, "--seconds", 0.5], "answered")
    section.goal("translation of a 3.7 KB request and its answer, µs CPU",
                 median(b - a for a, b in zip(plain, translated)), 15)
    upstream = bench.provider("--events", o.events, "--interval-ms", o.interval_ms)
    shape = ["--stream", "--events", o.events, "--connections", o.streams]
    plain, translated, more = pair(["leeway-sse", "leeway-sse_messages"], upstream, [*shape, "--seconds", o.seconds],
                                   ["--stream", "--requests", 8, "--connections", 8, "--ramp-ms", 0], "events")
    section.goal("translated relay per event, × the relay as it is",
                 median(b / a for a, b in zip(plain, translated)), 2.0)
    section.raw = {**raw, **more}
    return section


def latency(bench):
    section = Section(
        "latency", "Added latency at a fixed rate",
        f"Open loop, {bench.options.rate} requests a second, counted from the intended start of each. "
        "Indicative only: provider, load and gateway share two cores.", COLUMNS)
    upstream = bench.provider()
    targets = start_all(bench, section, ["direct", "nginx", "haproxy", "leeway-off", "leeway-full"],
                        upstream)
    rounds = alternate(bench, section, targets, upstream,
                       [*CHAT, "--rate", bench.options.rate, "--seconds", bench.options.seconds],
                       [*CHAT, "--seconds", 0.3])
    summary(section, rounds, targets, scale=1000)
    return section


def idle(bench):
    import json
    import subprocess
    count = bench.options.idle_streams
    section = Section(
        "idle", "Memory", f"RSS of all processes: idle after start, then with {count} open streams that "
        "have had their first event and wait for the next.",
        ["target", "idle MiB", f"with {count} streams MiB", "KiB per stream", "streams held", "failed"])
    upstream = bench.provider("--interval-ms", 600_000)
    for target in start_all(bench, section, ["nginx-sse", "haproxy", "leeway-sse", "leeway-full"],
                            upstream):
        holder = bench.spawn("holder", bench.pinned(bench.options.load_cpu, [
            bench.program("bench_load"), "--connect", target.address, *target.headers(),
            "--idle-streams", str(count), "--body-bytes", "3700", "--json"]), None,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        ready = json.loads(holder.stdout.readline() or "{}")
        time.sleep(2)
        loaded = target.rss()
        holder.stdin.close()
        end = json.loads(holder.stdout.readline() or "{}")
        bench.stop(holder)
        target.stop()
        each = (loaded - target.idle_kib) / count
        section.row(target.name, mib(target.idle_kib), mib(loaded), f"{each:.1f}",
                    end.get("answered"), end.get("failed"))
        section.raw[target.name] = dict(idle_kib=target.idle_kib, loaded_kib=loaded, ready=ready,
                                        end=end)
        if target.name == "leeway-full":
            section.goal("idle leeway, MiB", target.idle_kib / 1024, 15)
            section.goal("leeway per idle stream, KiB", each, 64)
            section.goal("streams that failed", end.get("failed"), 0)
    return section


def million(bench):
    count = bench.options.million
    section = Section(
        "million", f"{count:,} requests", "Bodies of 0.24, 3.7 and 36 KB mixed, 64 connections, auth, "
        "ledger and metrics on. Every answer is checked.", COLUMNS)
    upstream = bench.provider()
    targets = start_all(bench, section, ["leeway-full"], upstream)
    for target in targets:
        result = one_round(bench, target, upstream, [
            "--connections", 64, "--requests", count, "--body-bytes",
            "240,3700,240,3700,240,3700,240,36000"], "answered")
        section.raw[target.name] = [result]
        summary(section, section.raw, [target], scale=1000)
        section.goal("failed requests", result["failed"] + result["bad_upstream"], 0)
        section.goal("requests answered", result["answered"], count, at_most=False)
        target.stop()
    return section
