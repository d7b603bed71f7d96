"""Tables, goals and the results file."""
import os
import platform
import re
import subprocess
import time
from pathlib import Path
from statistics import median


class Section:
    """What one scenario found: a table, goals and notes, and the raw rounds behind them."""

    def __init__(self, name, title, intro, columns):
        self.name, self.title, self.intro, self.columns = name, title, intro, columns
        self.rows, self.goals, self.notes, self.raw = [], [], [], {}

    def row(self, *cells):
        self.rows.append([str(c) for c in cells])

    def goal(self, text, value, limit, at_most=True):
        """A figure to reach; `value` None: it was not measured."""
        met = None if value is None else (value <= limit if at_most else value >= limit)
        self.goals.append(dict(text=text, value=value, limit=limit, at_most=at_most, met=met))

    def goal_line(self, goal):
        sign = "≤" if goal["at_most"] else "≥"
        if goal["met"] is None:
            return f"- {goal['text']}: not measured (goal {sign} {goal['limit']:g})"
        verdict = "met" if goal["met"] else "**missed**"
        return f"- {goal['text']}: **{goal['value']:.4g}** (goal {sign} {goal['limit']:g}): {verdict}"

    def markdown(self, command):
        head = [f"## {self.title}", "", self.intro, ""]
        table = ["| " + " | ".join(self.columns) + " |",
                 "|---|" + "--:|" * (len(self.columns) - 1)]
        table += ["| " + " | ".join(row) + " |" for row in self.rows]
        goals = [""] + [self.goal_line(g) for g in self.goals] if self.goals else []
        notes = [""] + [f"- {n}" for n in self.notes] if self.notes else []
        return "\n".join(head + table + goals + notes + ["", f"`{command}`", "", facts(), ""])


def spread(values, digits=1):
    """Median with the range of the rounds."""
    values = [v for v in values if v is not None]
    if not values:
        return "–"
    text = f"{median(values):.{digits}f}"
    if len(values) > 1:
        text += f" ({min(values):.{digits}f}–{max(values):.{digits}f})"
    return text


def ratios(rounds, reference):
    """Round by round against the reference of the same round."""
    return [r["cpu_us"] / n["cpu_us"] for r, n in zip(rounds, reference)
            if r["cpu_us"] and n["cpu_us"]]


def mib(kib):
    return f"{kib / 1024:.1f}"


def first_line(argv):
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
        return (done.stdout + done.stderr).strip().splitlines()[0]
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return ""


def facts():
    """Date and machine, without names."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())[1]) / 2**20
    release = re.search(r'PRETTY_NAME="(.*)"', Path("/etc/os-release").read_text())
    return (f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC · {os.cpu_count()} × "
            f"{cpu[1] if cpu else platform.machine()}, {memory:.0f} GiB, Linux "
            f"{platform.release().split('-')[0]}, {release[1] if release else '?'} · load average "
            f"{os.getloadavg()[0]:.1f} at the end of the run")


def versions(leeway):
    found = [first_line(["nginx", "-v"]).replace("nginx version: ", ""),
             " ".join(first_line(["haproxy", "-v"]).split()[:3]),
             first_line(["valgrind", "--version"]), first_line([leeway, "version"])]
    return " · ".join(v for v in found if v)


HEADER = """# Results

Written by `bench/run`; each section by its own run, with the command and the machine under it.
**CPU time per request and its ratio to nginx in the same round are the figures to trust**; requests per
second, latency and memory of a busy machine are only indicative. How to read them: `README.md`.
"""


def write_results(path, sections, command, leeway):
    """Replaces the sections that ran, keeps the others."""
    path = Path(path)
    old = path.read_text() if path.exists() else ""
    kept = dict(re.findall(r"<!-- begin (\w+) -->\n(.*?)<!-- end \1 -->\n", old, re.S))
    for section in sections:
        kept[section.name] = section.markdown(command) + "Versions: " + versions(leeway) + "\n\n"
    order = ["proxy", "full", "hit", "sse", "latency", "idle", "million", "callgrind", "embed",
             "decode", "tokens", "semantic"]
    names = [n for n in order if n in kept] + [n for n in kept if n not in order]
    path.write_text(HEADER + "\n" + "\n".join(
        f"<!-- begin {n} -->\n{kept[n]}<!-- end {n} -->\n" for n in names))
