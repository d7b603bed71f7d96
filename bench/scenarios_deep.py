"""Scenarios that need valgrind or llama.cpp."""
import json
import re
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from statistics import median

from harness import HERE, KEY, NotAvailable, Target
from report import Section, spread
from scenarios import start_all


# ------------------------------------------------------------------ instructions
def counted(bench, name, upstream, requests, extra):
    """Instructions of all processes of a rival that serves `requests` under callgrind."""
    out = bench.dir / f"callgrind-{name}-{requests}"
    out.mkdir()
    wrapper = ["valgrind", "--tool=callgrind", "--trace-children=yes", "-q",
               f"--callgrind-out-file={out}/%p"]
    target = bench.rival(name, upstream, wrapper, ready_seconds=180)
    try:
        bench.load(target, "--connections", 1, "--requests", 20, *extra, timeout=60)
        report = bench.load(target, "--connections", 8, "--requests", requests, *extra, timeout=180)
    finally:
        target.stop()
    total = 0
    for file in out.iterdir():
        found = re.search(r"^(?:summary|totals): (\d+)", file.read_text(errors="replace"), re.M)
        total += int(found[1]) if found else 0
    return total, report["failed"]


def callgrind(bench):
    n = bench.options.callgrind_requests
    section = Section(
        "callgrind", "Instructions of one request",
        f"callgrind over the whole process: (instructions for {2 * n} requests − for {n}) ÷ {n}. User "
        "code only: the kernel, two thirds of a proxied request, is not in it. Good to 1 %, so a change "
        "in the code shows here first.",
        ["target", "instructions/request", "× nginx", "failed"])
    if not shutil.which("valgrind"):
        raise NotAvailable("valgrind is not installed (apt-get install valgrind)")
    # valgrind 3.19 stumbles over clang 19's line tables for minutes; names are all it needs.
    bare = bench.dir / "leeway-without-lines"
    subprocess.run(["objcopy", "--strip-debug", bench.leeway(), str(bare)], check=True)
    with_lines, bench.options.leeway = bench.options.leeway, str(bare)
    upstream = bench.provider()
    per_request = {}
    for name, extra in [("nginx", []), ("haproxy", []), ("forwarder", []), ("leeway-off", []),
                        ("leeway-full", []), ("leeway-hit", ["--same"])]:
        try:
            small, failed = counted(bench, name, upstream, n, extra)
            large, failed2 = counted(bench, name, upstream, 2 * n, extra)
        except NotAvailable as reason:
            section.notes.append(f"{name} left out: {reason}")
            continue
        per_request[name] = (large - small) / n
        base = per_request.get("nginx")
        section.row(name, f"{per_request[name]:,.0f}",
                    f"{per_request[name] / base:.2f}" if base else "–", failed + failed2)
        bench.say(f"callgrind {name}: {per_request[name]:,.0f} instructions")
    bench.options.leeway = with_lines
    section.raw = per_request
    return section


# ------------------------------------------------------------------ local models
def model_file(bench, name):
    path = Path(bench.options.models) / name
    if not path.exists():
        raise NotAvailable(f"{name} is not in {bench.options.models} (./run fetches it)")
    return str(path)


def bare(bench, *arguments):
    argv = [bench.program("bench_bare_llama"), *map(str, arguments)]
    done = subprocess.run(bench.pinned(bench.options.gateway_cpu, argv), capture_output=True,
                          text=True, timeout=600, check=True)
    return json.loads(done.stdout)


def model_host(bench):
    """The child process alone, on a Unix socket."""
    socket = bench.dir / "model-host.sock"
    words = (HERE / "rivals" / "model_host.args").read_text().split("\n")
    words = [w.replace("@SOCKET@", str(socket)).replace("@MODELS@", str(bench.options.models))
             for w in words if w]
    process = bench.spawn("model-host", [bench.leeway(), *words], bench.options.gateway_cpu)
    end = time.time() + 60
    while not socket.exists():
        if process.poll() is not None or time.time() > end:
            raise NotAvailable(f"model-host did not start: {bench.log_tail('model-host')}")
        time.sleep(0.05)
    return Target(bench, "model-host", process, f"unix:{socket}")


def embed(bench):
    count = bench.options.embeddings
    section = Section(
        "embed", "Embedding of a short query",
        f"12 words, one at a time, {count} a round, MiniLM Q8_0, one thread. CPU of all processes. `bare` "
        "is llama.cpp called in-process (tokenise, encode, normalise); `model-host` is leeway's child "
        "process asked directly; `leeway` is gateway and child.",
        ["target", "CPU ms/embedding, median (range)", "× bare, median of rounds (range)", "p50 ms",
         "failed"])
    file = model_file(bench, "all-minilm-l6-v2-q8_0.gguf")
    text = "how do I change the delivery address of an order placed yesterday"
    targets = start_all(bench, section, ["leeway-local"], 1)
    try:
        targets.append(model_host(bench))
    except NotAvailable as reason:
        section.notes.append(str(reason))
    shape = ["--embeddings", "--model", "minilm", "--connections", 1, "--text", text]
    for target in targets:
        bench.load(target, *shape, "--requests", 10, "--timeout-seconds", 120)
    rounds = {"bare": [], **{t.name: [] for t in targets}}
    for number in range(bench.options.rounds):
        result = bare(bench, "--embed", file, "--count", count, "--text", text)
        rounds["bare"].append(dict(cpu_us=result["cpu_ms"] * 1e3, p50=result["wall_ms_p50"],
                                   failed=0))
        for target in targets:
            before = target.cpu()
            report = bench.load(target, *shape, "--requests", count)
            rounds[target.name].append(dict(
                cpu_us=(target.cpu() - before) * 1e6 / max(1, report["answered"]),
                p50=report["latency_us"]["p50"] / 1e3, failed=report["failed"]))
        bench.say(f"embed round {number + 1}: " + ", ".join(
            f"{n} {r[-1]['cpu_us'] / 1e3:.2f} ms" for n, r in rounds.items()))
    against_bare(section, rounds, lambda r: r["cpu_us"] / 1e3, 2)
    section.goal("embedding through the gateway, CPU × bare llama.cpp",
                 median_ratio(rounds, "leeway-local"), 1.2)
    for target in targets:
        target.stop()
    return section


def against_bare(section, rounds, figure, digits):
    for name, r in rounds.items():
        ratio = [figure(x) / figure(b) for x, b in zip(r, rounds["bare"])]
        section.row(name, spread([figure(x) for x in r], digits), spread(ratio, 2),
                    f"{median(x['p50'] for x in r):.1f}", sum(x["failed"] for x in r))
    section.raw = rounds


def median_ratio(rounds, name, key="cpu_us"):
    values = [x[key] / b[key] for x, b in zip(rounds.get(name, []), rounds["bare"])]
    return median(values) if values else None


SYSTEM = "You are a storyteller who never stops before the story is told to its very end."
PROMPT = ("Story {}. Tell a long story about a lighthouse keeper, his daughter and the storm that "
          "changed the village for ever. Begin with the morning of the storm.")


def ask(target, number, tokens):
    body = dict(model="smollm2", temperature=0, max_tokens=tokens,
                messages=[dict(role="system", content=SYSTEM),
                          dict(role="user", content=PROMPT.format(number))])
    request = urllib.request.Request(
        f"http://{target.address}/v1/chat/completions", json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"})
    with urllib.request.urlopen(request, timeout=300) as answer:
        return json.load(answer)["usage"]


def decode(bench):
    tokens = bench.options.tokens
    section = Section(
        "decode", "Decoding with SmolLM2",
        f"Greedy, at most {tokens} tokens from a prompt of about 60, one thread, one request at a time. "
        "Tokens ÷ CPU of the whole request, prompt included, on both sides; each round another prompt.",
        ["target", "tokens per CPU-second, median (range)", "× bare, median of rounds (range)",
         "s per answer", "failed"])
    file = model_file(bench, "smollm2-135m-instruct-q4_1.gguf")
    targets = start_all(bench, section, ["leeway-local"], 1)
    for target in targets:
        ask(target, 99, 8)
    rounds = {"bare": [], **{t.name: [] for t in targets}}
    for number in range(bench.options.rounds):
        start = time.time()
        result = bare(bench, "--decode", file, "--count", tokens, "--system", SYSTEM, "--prompt",
                      PROMPT.format(10 + number))
        rounds["bare"].append(dict(rate=result["tokens_per_cpu_s"], p50=time.time() - start,
                                   tokens=result["tokens"], failed=0))
        for target in targets:
            before, start = target.cpu(), time.time()
            usage = ask(target, 10 + number, tokens)
            rounds[target.name].append(dict(
                rate=usage["completion_tokens"] / max(0.01, target.cpu() - before),
                p50=time.time() - start, tokens=usage["completion_tokens"], failed=0))
        bench.say(f"decode round {number + 1}: " + ", ".join(
            f"{n} {r[-1]['rate']:.1f}/CPU-s" for n, r in rounds.items()))
    against_bare(section, rounds, lambda r: r["rate"], 1)
    section.goal("decode through the gateway, tokens per CPU-second × bare llama.cpp",
                 median_ratio(rounds, "leeway-local", "rate"), 0.9, at_most=False)
    for target in targets:
        target.stop()
    return section
