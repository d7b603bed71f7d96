"""Table 3.4, the rows of whole processes: ours killed at any point, two of them on one budget, their server gone and back."""
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def script(world, row, name, *words):
    """Runs one of the scripts beside this; its last line has the counts, the lines before say what came."""
    run = subprocess.run([sys.executable, str(HERE / name), "--leeway", world.binary, *map(str, words)], capture_output=True, text=True,
                         timeout=1200)
    lines = run.stdout.strip().splitlines() or [run.stderr.strip()[-500:]]
    counts = re.match(r"(\d+) passed, (\d+) failed(, \d+ skipped)?$", lines[-1])
    if counts and counts[3]:
        return world.table.skip(row, lines[0])
    good = run.returncode == 0 and counts and counts[2] == "0"
    return world.table.add(row, " ".join([name, *map(str, words)]), "; ".join(lines[:-1])[:300], lines[-1],
                           None if good else run.stdout[-1500:] + run.stderr[-500:])


def fault_kills(world):
    points = 3 if world.short else 20 * world.scale
    script(world, "kill -9", "kill_points.py", "--points", points)
    script(world, "kill -9", "kill_points.py", "--points", points, "--postgres")


def fault_races(world):
    size = ("--trials", 1, "--requests", 400) if world.short else ("--trials", 2 * world.scale)
    script(world, "two gateways", "races.py", *size)
    script(world, "two gateways", "races.py", "--redis", *size)
