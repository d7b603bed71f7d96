"""Starts, pins, measures and stops the programs of a benchmark. Standard library only."""
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")
KEY = "lw-bench-3f9d1c0a7be44c52a5d86e1907b2c4f8d3a1965e"


class NotAvailable(Exception):
    """A program or file that a row needs is not there; the row is left out and the reason shown."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def process_tree(pid):
    """The process and all that descend from it."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()
                parents.setdefault(int(fields[1]), []).append(int(entry))
            except OSError:
                pass
    tree, todo = [], [pid]
    while todo:
        one = todo.pop()
        tree.append(one)
        todo += parents.get(one, [])
    return tree


def cpu_seconds(pid):
    """User and system time of all threads of the whole tree."""
    total = 0
    for one in process_tree(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return total / TICKS


def rss_kib(pid):
    total = 0
    for one in process_tree(pid):
        try:
            for line in Path(f"/proc/{one}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1])
        except OSError:
            pass
    return total


def get_json(url, timeout=10):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return json.load(answer)


class Bench:
    """The programs of one run, their ports, their temporary folder; a context manager."""

    def __init__(self, options):
        self.options = options
        self.dir = Path(tempfile.mkdtemp(prefix="leeway-bench-"))
        self.running = []
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop_all()
        if not self.options.keep:
            shutil.rmtree(self.dir, ignore_errors=True)

    def program(self, name):
        path = Path(self.options.bench_dir) / name
        if not path.exists():
            raise NotAvailable(f"{name} is not built (cmake --preset release && "
                               f"cmake --build --preset release)")
        return str(path)

    def leeway(self):
        if not Path(self.options.leeway).exists():
            raise NotAvailable("leeway is not built (cmake --build --preset release)")
        return str(Path(self.options.leeway).resolve())

    def pinned(self, core, argv):
        if core is None or not shutil.which("taskset") or os.cpu_count() < 2:
            return argv
        return ["taskset", "-c", str(core), *argv]

    def spawn(self, name, argv, core, **kwargs):
        with open(self.dir / f"{name}.log", "ab") as log:
            process = subprocess.Popen(self.pinned(core, argv), stdout=kwargs.pop("stdout", log),
                                       stderr=log, stdin=kwargs.pop("stdin", subprocess.DEVNULL),
                                       **kwargs)
        process.bench_name = name
        self.running.append(process)
        return process

    def stop(self, process):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process in self.running:
            self.running.remove(process)

    def stop_all(self):
        for process in list(reversed(self.running)):
            self.stop(process)

    def log_tail(self, name):
        try:
            return (self.dir / f"{name}.log").read_text(errors="replace")[-1500:]
        except OSError:
            return ""

    def provider(self, *arguments):
        """The fake provider; its port."""
        port = free_port()
        process = self.spawn("provider", [self.program("bench_provider"), "--listen", str(port),
                                          *map(str, arguments)], self.options.load_cpu)
        self.wait_port(process, port)
        return port

    def wait_port(self, process, port, seconds=60):
        end = time.time() + seconds
        while time.time() < end:
            if process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                return
            except OSError:
                time.sleep(0.02)
        raise NotAvailable(f"{process.bench_name} did not start: "
                           f"{self.log_tail(process.bench_name)}")

    def render(self, template, folder, **values):
        text = (HERE / "rivals" / template).read_text()
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        out = folder / template
        out.write_text(text)
        return str(out)

    def command(self, name, listen, upstream):
        """The command line of a rival, with its configuration written."""
        kind, _, variant = name.partition("-")
        folder = self.dir / f"{name}-{listen}"
        folder.mkdir()
        values = dict(LISTEN=listen, UPSTREAM=upstream, DIR=folder, ADMIN=free_port(), KEY=KEY,
                      USER="user root;" if os.getuid() == 0 else "", MODELS=self.options.models,
                      BUFFERING="off" if variant == "sse" else "on",
                      LEDGER="off" if variant.endswith("no_ledger") else "on")
        if kind == "nginx":
            return [need("nginx"), "-e", str(folder / "nginx.log"), "-p", str(folder), "-c",
                    self.render("nginx.conf", folder, **values)]
        if kind == "haproxy":
            return [need("haproxy"), "-db", "-f", self.render("haproxy.cfg", folder, **values)]
        if kind == "forwarder":
            return [self.program("bench_forwarder"), "--listen", str(listen), "--connect",
                    str(upstream)]
        if kind == "leeway":
            config = f"leeway_{variant.split('_')[0] or 'off'}.yaml"
            values["ROUTE"] = "" if variant.endswith("plain") else (
                f', stages: [router, cascade], router: {{policy: "{self.dir}/support.router", models: [gpt-4o-mini, gpt-4o]}}, '
                "cascade: {models: [gpt-4o-mini, gpt-4o], accept: 0.9}")
            return [self.leeway(), "serve", "--config", self.render(config, folder, **values)]
        raise ValueError(name)

    def rival(self, name, upstream, wrapper=(), ready_seconds=60):
        """Starts a rival by its name, "kind[-variant]"."""
        if name == "direct":
            return Target(self, name, None, upstream)
        port = free_port()
        process = self.spawn(name, [*wrapper, *self.command(name, port, upstream)],
                             self.options.gateway_cpu)
        self.wait_port(process, port, ready_seconds)
        return Target(self, name, process, port)

    def load(self, target, *arguments, timeout=900):
        """Runs the load generator against a target; its report."""
        argv = [self.program("bench_load"), "--connect", target.address, "--json",
                *target.headers(), *map(str, arguments)]
        try:
            done = subprocess.run(self.pinned(self.options.load_cpu, argv), capture_output=True,
                                  text=True, timeout=timeout, check=False)
        except subprocess.TimeoutExpired as late:
            raise NotAvailable(f"{target.name} did not answer all within {timeout} s") from late
        if not done.stdout.strip():
            raise NotAvailable(f"bench_load gave no report: {done.stderr[-500:]}")
        report = json.loads(done.stdout.strip().splitlines()[-1])
        report["note"] = done.stderr.strip()[:300]
        return report


def need(name):
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if not path:
        raise NotAvailable(f"{name} is not installed (apt-get install nginx-light haproxy)")
    return path


class Target:
    """A running rival."""

    def __init__(self, bench, name, process, port):
        self.bench, self.name, self.process = bench, name, process
        self.address = f"127.0.0.1:{port}" if isinstance(port, int) else port
        self.idle_kib = 0
        if process:
            time.sleep(0.3)
            self.idle_kib = rss_kib(process.pid)

    def headers(self):
        dialect = ["--messages"] if self.name.endswith("_messages") else []
        return ["--header", f"Authorization: Bearer {KEY}", *dialect]

    def cpu(self):
        return cpu_seconds(self.process.pid) if self.process else 0.0

    def rss(self):
        return rss_kib(self.process.pid) if self.process else 0

    def stop(self):
        if self.process:
            self.bench.stop(self.process)
