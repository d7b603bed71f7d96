"""Table 3.4, the rows of the environment: files, clocks, reloads, memory, the end of the process."""
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import threading
import time

import load
from harness import (CONFIG, Skip, ask, connect, eventually, metric, need, open_files, process_status, request_bytes,
                     show, talk)
from upstream import COST, FaultUpstream, Mark, completion, events, streamed, whole

FAKETIME = pathlib.Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


def cpu_ticks(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def fault_file_size(world):
    """Files that may not grow: what was admitted is kept, and written when there is room again; no restart."""
    with load.provider(world) as provider, world.gateway(provider.url, load.config()) as gateway, \
            world.case("disk", "a limit of file sizes, then none (RLIMIT_FSIZE)") as said:
        pid = gateway.process.pid
        one = lambda: talk(gateway, ask(model="gpt-4o"))
        need(one().status == 200, "before")
        before = len(gateway.rows())
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, hard))
        statuses = [one().status for _ in range(100)]
        kept = len(gateway.rows()) - before
        need(set(statuses) <= {200, 503} and kept < 100, "statuses:", set(statuses), kept, "rows already")
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
        good = statuses.count(200) + 1
        eventually(lambda: len(gateway.rows()) == good, "the rows do not come", 40)
        need(one().status == 200, "afterwards")
        rows = gateway.rows()
        said["client"] = f"{statuses.count(200)} × 200, {statuses.count(503)} × 503, then 200"
        said["ledger"] = f"{kept} rows written meanwhile, {len(rows)} afterwards"
        need(len(rows) == good + 1 == len({row["id"] for row in rows}) == provider.stats()["chat"], f"{len(rows)} rows, {good} answers")
        need(gateway.stop() == 0, "exit")


def fault_io_errors(world):
    """Writes and flushes of files fail (EIO): what was admitted is kept, and written when the disk is well again."""
    if not shutil.which("strace"):
        raise Skip("strace is not installed; tools/setup.sh test installs it")
    with load.provider(world) as provider, world.gateway(provider.url, load.config()) as gateway, \
            world.case("disk", "every write of the database fails (EIO), then none") as said:
        one = lambda: talk(gateway, ask(model="gpt-4o"))
        need(one().status == 200, "before")
        before = len(gateway.rows())
        calls = "pwrite64,fdatasync,fsync"
        tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(gateway.process.pid), "-e", f"trace={calls}",
                                   "-e", f"inject={calls}:error=EIO"], stderr=subprocess.PIPE, text=True)
        try:
            eventually(lambda: process_status(gateway.process.pid, "TracerPid") or tracer.poll() is not None, "no tracer")
            if tracer.poll() is not None:
                raise Skip(f"strace cannot be used here ({tracer.stderr.read().strip()})")
            statuses = [one().status for _ in range(40)]
            eventually(lambda: "takes no records" in gateway.log.read_text(), "the log does not say it")
            kept = len(gateway.rows()) - before
        finally:
            tracer.terminate()
            tracer.wait()
        good = statuses.count(200) + 1
        need(set(statuses) <= {200, 503} and kept < 40, "statuses:", set(statuses), kept, "rows already")
        eventually(lambda: len(gateway.rows()) == good, "the rows do not come", 40)
        need(one().status == 200, "afterwards")
        rows = gateway.rows()
        said["client"] = f"{statuses.count(200)} × 200, {statuses.count(503)} × 503, then 200"
        said["ledger"] = f"{kept} rows written meanwhile, {len(rows)} afterwards"
        need(len(rows) == good + 1 == len({row["id"] for row in rows}) == provider.stats()["chat"], f"{len(rows)} rows, {good} answers")
        need(gateway.stop() == 0, "exit")


def fault_descriptors(world):
    """No file descriptor left: what runs goes on, nothing spins, and it recovers by itself."""
    upstream = FaultUpstream()
    with world.gateway(upstream.url) as gateway, world.case("disk", "no file descriptor left (RLIMIT_NOFILE)") as said:
        pid = gateway.process.pid
        upstream.play([whole(completion())])
        need(talk(gateway, ask("before")).status == 200, "before")
        upstream.drop_idle()  # the next attempt needs a connection of its own
        with connect(gateway) as kept:
            kept.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")  # 401: it lives, and has a connection
            kept.recv(65536)
            _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (open_files(pid), hard))
            waiting = [connect(gateway) for _ in range(20)]
            before = cpu_ticks(pid)
            kept.sendall(request_bytes(ask("now"), **{"x-leeway-retries": "0"}))
            data = kept.recv(65536)
            time.sleep(1)  # over which the processor time is measured
            spent = (cpu_ticks(pid) - before) / os.sysconf("SC_CLK_TCK")
            need(data.startswith(b"HTTP/1.1 50"), "no upstream connection can be made:", data)
            need(spent < 0.5, f"{spent} s of processor time in a second of waiting")
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
        for one in waiting:
            one.close()
        upstream.play([whole(completion())])
        answer = talk(gateway, ask("after"))
        rows = gateway.rows()
        said["client"], said["ledger"] = f"{data[9:12].decode()}, then {answer.status}; {spent:.2f} s of processor time", show(rows)
        need(answer.status == 200 and [row["cost_pico_usd"] for row in rows] == [COST, 0, COST], rows)


def fault_clock(world):
    """The wall clock jumps: no timeout fires, no budget is forgotten or opened twice, every row is there."""
    if not FAKETIME.exists():
        raise Skip("libfaketime is not installed; tools/setup.sh test installs it")
    upstream = FaultUpstream()
    config = CONFIG.replace("first_byte: 400ms, between_chunks: 400ms, total: 1500ms", "first_byte: 2s, between_chunks: 2s, total: 5s") + \
        "budgets:\n  - {{name: daily, scope: global, usd: 0.01, per: day}}\n"
    jumps = []
    stamp = world.scratch / "clock"
    stamp.write_text("+0\n")
    before = ["env", f"LD_PRELOAD={FAKETIME}", f"FAKETIME_TIMESTAMP_FILE={stamp}", "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"]
    with world.gateway(upstream.url, config, before) as gateway:
        sent, posted = 0, 0
        for jump, forgets in (("+0", False), ("-3600", False), ("+0", False), ("+365d", True), ("+0", False), ("-1", False), ("+365d", False)):
            with world.case("clock", f"the wall clock goes to {jump}, with a stream under way") as said:
                upstream.play([streamed(events()[:3], end=b""), Mark("pause 0.5"), streamed(events()[3:]).partition(b"\r\n\r\n")[2]])
                answers = []
                thread = threading.Thread(target=lambda: answers.append(talk(gateway, ask(stream=True))))
                thread.start()
                upstream.wait_for_requests(1)
                time.sleep(0.1)  # the first events are on their way
                stamp.write_text(jump + "\n")
                thread.join()
                answer = answers[0]
                need(answer.status == 200 and b"[DONE]" in answer.body and answer.complete, answer.data[-300:])
                upstream.play([whole(completion())])
                second = talk(gateway, ask())
                need(second.status == 200, second.data)
                sent += 2
                rows = gateway.rows()
                # The stream is charged to the window that it began in; the other to the new one.
                posted = COST if forgets else posted + 2 * COST
                now = metric(gateway, "leeway_budget_posted")[0]
                jumps.append(jump)
                said["client"], said["ledger"] = "200 and 200", f"{len(rows)} rows, budget at {now}"
                need(len(rows) == len({row["id"] for row in rows}) == sent and {row["end"] for row in rows} == {"ok"}, show(rows))
                need(abs(float(now) * 10**12 - posted) < 1, f"the budget stands at {now}, and not at {posted} picodollars, after {jumps}")


def fault_reload(world):
    """Good and broken configurations and price books in turn, under load: no request fails, what is broken is refused whole."""
    with load.provider(world) as provider, world.gateway(provider.url, load.config()) as gateway, \
            world.case("reload", "twice a second under load, every other one broken") as said:
        good = gateway.config.read_text()
        book = gateway.folder / "book.json"
        running = load.start_load(world, gateway, "--rate", 150, "--connections", 16, "--seconds", world.seconds)
        turns = 0
        while running.poll() is None:
            text = (good + f"# {turns}\n", good[:len(good) // 2], good + "nonsense: [",
                    good.replace("2.50", f"2.5{turns % 10}"), good + f"prices: {{book: {book}}}\n", good.replace("fake:", "other:", 1))[turns % 6]
            book.write_text('{"format": "leeway-price-book", "version": 1' if turns % 2 else "{}")
            gateway.config.write_text(text)
            gateway.process.send_signal(signal.SIGHUP)
            turns += 1
            time.sleep(0.5)
        gateway.config.write_text(good)
        report = load.report_of(running)
        time.sleep(0.5)  # the last reload
        rows = gateway.rows()
        refused = gateway.log.read_text().count("refused")
        said["client"] = f"{report['answered']} × 200, {report['failed']} failed; {turns} reloads, refused in the log {refused} times"
        said["ledger"] = f"{len(rows)} rows, {len({row.get('price_id') for row in rows})} prices"
        need(report["failed"] == 0, report["failures"], report["first"])
        need(refused >= turns // 3, "broken ones are refused aloud")
        need(len(rows) == report["answered"] and all(row["end"] == "ok" and row["cost_pico_usd"] for row in rows), "rows")
        need(gateway.stop() == 0, "exit")


class Cgroup:
    """A memory limit for one process; version 1 or 2 of the kernel's interface, whichever is mounted."""

    def __init__(self, limit):
        first = pathlib.Path("/sys/fs/cgroup/memory")
        second = pathlib.Path("/sys/fs/cgroup")
        self.old = first.is_dir()
        self.folder = (first if self.old else second) / f"leeway-fault-{os.getpid()}"
        try:
            self.folder.mkdir()
            (self.folder / ("memory.limit_in_bytes" if self.old else "memory.max")).write_text(str(limit))
        except OSError as error:
            raise Skip(f"no memory limit can be set here ({error})") from None

    @property
    def before(self):
        return ["sh", "-c", f'echo $$ > {self.folder}/cgroup.procs; exec "$@"', "sh"]

    def peak(self):
        return int((self.folder / ("memory.max_usage_in_bytes" if self.old else "memory.peak")).read_text())

    def killed(self):
        text = (self.folder / ("memory.oom_control" if self.old else "memory.events")).read_text()
        return int(dict(line.split() for line in text.splitlines())["oom_kill"])

    def remove(self):
        self.folder.rmdir()


def fault_memory(world):
    """256 MiB and far more work than that: refused early and in words, nobody is killed, and afterwards all is well."""
    cgroup = Cgroup(256 << 20)
    try:
        with load.provider(world, "--delay-ms", 300) as provider, world.gateway(provider.url, load.config(), cgroup.before) as gateway:
            with world.case("memory", f"{400 * world.scale} callers at once, each with 16 KiB") as said:
                report = load.report_of(load.start_load(world, gateway, "--connections", 400 * world.scale, "--seconds", world.seconds,
                                                        "--body-bytes", 16384))
                said["client"] = f"{report['answered']} × 200, {report['failures']}, p99 {report['latency_us']['p99'] / 1000:.0f} ms"
                said["ledger"] = f"{len(gateway.rows())} rows; at most {cgroup.peak() >> 20} MiB"
                need(set(report["failures"]) <= {"status_429", "status_503"}, report["failures"], report["first"])
                need(gateway.process.poll() is None and cgroup.killed() == 0, "killed")
            with world.case("memory", "48 callers at once, each with 8 MiB") as said:
                report = load.report_of(load.start_load(world, gateway, "--connections", 48, "--requests", 144, "--body-bytes", 8 << 20,
                                                        "--timeout-seconds", 60))
                said["client"] = f"{report['answered']} × 200, {report['failures']}"
                said["ledger"] = f"at most {cgroup.peak() >> 20} MiB"
                need(gateway.process.poll() is None and cgroup.killed() == 0, "killed:", report["failures"], report["first"])
                need(set(report["failures"]) <= {"status_429", "status_503", "status_413"}, report["failures"], report["first"])
                answer = talk(gateway, ask(model="gpt-4o"))
                need(answer.status == 200, answer.data)
    finally:
        eventually_removed(cgroup)


def eventually_removed(cgroup):
    for _ in range(100):
        try:
            return cgroup.remove()
        except OSError:
            time.sleep(0.05)  # its last process is on its way out
    return None


def fault_end(world):
    """SIGTERM with many streams: they finish, or get an error at the end of the grace; all are settled, exit 0."""
    count = 200 if world.short else 1000
    with load.provider(world, "--events", 60, "--interval-ms", 100) as provider, world.gateway(provider.url, load.config()) as gateway, \
            world.case("SIGTERM", f"{count} streams that end within the grace") as said:
        running = load.start_load(world, gateway, "--stream", "--events", 60, "--connections", count, "--requests", count,
                                  "--include-usage", "--timeout-seconds", 60, "--max-tokens", 16000)
        eventually(lambda: provider.stats()["streams"] >= count, "not all streams begin", 30)
        load.terminate(gateway)
        report = load.report_of(running)
        code = gateway.process.wait(timeout=40)
        rows = gateway.rows()
        said["client"] = f"{report['answered']} whole, {report['failures']}; exit {code}"
        said["ledger"] = f"{len(rows)} rows, ends {sorted({row['end'] for row in rows})}"
        need(report["answered"] == count and report["failed"] == 0 and code == 0, report["first"])
        need(len(rows) == count and all(row["end"] == "ok" and row["cost_pico_usd"] == load.COST for row in rows), "rows")
    with load.provider(world, "--events", 1000, "--interval-ms", 200) as provider, world.gateway(provider.url, load.config("1s")) as gateway, \
            world.case("SIGTERM", f"{count} streams that outlast the grace of 1 s") as said:
        begin = []

        def end():
            begin.append(time.monotonic())
            load.terminate(gateway)
        out = load.hold_streams(gateway, ask(model="gpt-4o", stream=True, max_tokens=16000), count, end)
        code = gateway.process.wait(timeout=40)
        took = time.monotonic() - begin[0]
        told = sum(b'"error"' in end and b"[DONE]" not in end for end in out["ends"])
        rows = gateway.rows()
        said["client"] = f"{told} of {count} got an error as the last event; exit {code} after {took:.1f} s"
        said["ledger"] = f"{len(rows)} rows, ends {sorted({row['end'] for row in rows})}"
        need(told == count == len(out["ends"]) and out["reset"] == 0, [end[-300:] for end in out["ends"] if b'"error"' not in end][:2])
        need(code == 0 and took < 1 + 1 + (2 if count > 500 else 0.5), f"exit {code} after {took:.1f} s")
        need(len(rows) == count and all(row["cost_pico_usd"] for row in rows), "what was shown is booked:", show(rows[:3]))
