"""Runs the benchmarks of one area and writes its numbers: paired rounds on one core.

    bench.py --programs BUILD_DIR --out build/bench/AREA.json [--rounds N] [--only ID] bench/AREA.json

The manifest, bench/AREA.json: {"rows": [ROW...]}. A row that compares:

    {"id": "loop.echo.1.raw",            as in the design's table of numbers
     "name": "TCP echo, 64 B, 1 connection",
     "ours":   {"program": "bench/bench_echo", "filter": "BM_EchoReactor/1"},
     "theirs": {"program": "bench/bench_echo", "filter": "BM_EchoRaw/1"},
     "against": "the same echo on raw liburing",
     "metric": "items_per_second",       cpu_time, real_time, items_per_second, bytes_per_second,
                                         or the name of a user counter
     "unit": "1/s",                      of the value; times are nanoseconds an iteration
     "ratio": "ours/theirs",             or "theirs/ours"
     "goal": ">= 0.95"}                  ">= x", "<= x", "= x", or "printed" for none

    A number with a second bound says it in "floor": ">= 200000", which is about the value.
A row that only states a value has no "theirs", "against" or "ratio"; its goal is about the value.

Optional: "rounds" (default 9, at least 9 for a ratio), "min_time" (seconds a run, default 0.1),
"cores" (default 1), "args" (of a program, a list), "scale" (the value is the metric times this),
"why" (what a profile says of a row that does not reach its goal, or that loses: printed below the
table when it does).
A rival that is not installed: its benchmark skips with an error that begins "absent"; the row is
printed as absent, and is no failure.
"program" is relative to BUILD_DIR. "filter" names one benchmark, in full; the program must print
Google Benchmark's JSON on stdout for --benchmark_format=json (any program may). A benchmark of
several threads reports a counter of its own, or uses MeasureProcessCPUTime.

Each round runs both sides, one after the other, ours first in even rounds and theirs in odd ones;
the ratio is taken within a round, and its median, minimum and maximum over the rounds are written:
a list of {id, name, value, unit, against, ratio, goal, rounds, min, max}. `value` is the median of
ours; where a row states only a value, ratio, rounds, min and max are null. Rows of the same sides
differ in their metric alone: they are measured in the same rounds.

A missed goal is shown and does not fail the run: time on a shared machine is reported, not gated.
The gate for regressions is instruction counts of sans-IO benchmarks: "instructions" of a row, which
scripts/instructions.py reads (`./dev bench --instructions`).
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys

NANOSECONDS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
KEYS = {"id", "name", "ours", "theirs", "against", "metric", "unit", "ratio", "goal", "floor",
        "rounds", "min_time", "cores", "scale", "instructions", "why"}
SIDE_KEYS = {"program", "filter", "args"}
INSTRUCTION_KEYS = {"function", "at_most"}
GOAL = re.compile(r"^(>=|<=|=) ([0-9][0-9,]*(?:\.[0-9]+)?)$")
MIN_ROUNDS = 9


class BadRow(Exception):
    """A row that is wrong, or whose program failed: the message names the row."""


class Absent(Exception):
    """A row whose rival this machine does not have: the program says so."""


def check_row(row):
    """Raises BadRow for a manifest row that could not mean anything."""
    label = row.get("id", "a row without id")
    unknown = set(row) - KEYS
    if unknown:
        raise BadRow(f"{label}: unknown keys {sorted(unknown)}; valid: {sorted(KEYS)}")
    paired = "theirs" in row
    needed = ["id", "name", "ours", "metric", "unit", "goal"]
    needed += ["against", "ratio"] if paired else []
    for key in needed:
        if key not in row:
            raise BadRow(f"{label}: '{key}' is missing")
    if not paired and ("ratio" in row or "against" in row):
        raise BadRow(f"{label}: a ratio needs 'theirs'")
    if paired and row["ratio"] not in ("ours/theirs", "theirs/ours"):
        raise BadRow(f"{label}: ratio is '{row['ratio']}'; valid: ours/theirs, theirs/ours")
    for key in ("goal", "floor"):
        if key in row and row[key] != "printed" and not GOAL.match(row[key]):
            raise BadRow(f"{label}: {key} is '{row[key]}'; write '>= x', '<= x', '= x' or 'printed'")
    for side in ("ours", "theirs") if paired else ("ours",):
        wrong = set(row[side]) - SIDE_KEYS
        if wrong or not {"program", "filter"} <= set(row[side]):
            raise BadRow(f"{label}: {side} takes program, filter and args")
    if set(row.get("instructions", INSTRUCTION_KEYS)) != INSTRUCTION_KEYS:
        raise BadRow(f"{label}: instructions takes function and at_most")
    if paired and row.get("rounds", MIN_ROUNDS) < MIN_ROUNDS:
        raise BadRow(f"{label}: a ratio needs at least {MIN_ROUNDS} rounds")


def pin(cores):
    """Keeps this process on the first `cores` cores that it may use."""
    allowed = sorted(os.sched_getaffinity(0))
    return lambda: os.sched_setaffinity(0, set(allowed[:cores]))


def metric_of(entry, metric, label):
    if entry.get("error_message", "").startswith("absent"):
        raise Absent(f"{label}: {entry['error_message']}")
    if entry.get("error_occurred"):
        raise BadRow(f"{label}: {entry['name']}: {entry.get('error_message', 'failed')}")
    if metric not in entry:
        numbers = [key for key, value in entry.items() if isinstance(value, (int, float))]
        raise BadRow(f"{label}: {entry['name']} has no '{metric}'; it has: {sorted(numbers)}")
    value = float(entry[metric])
    if metric in ("cpu_time", "real_time"):
        value *= NANOSECONDS[entry.get("time_unit", "ns")]
    return value


def filter_of(spec):
    """The regular expression that names just this benchmark."""
    return "^" + re.escape(spec["filter"]).replace("\\-", "-") + "$"


def run_side(row, side, programs):
    """One run of one side: what its benchmark printed."""
    label, spec = row["id"], row[side]
    command = [os.path.join(programs, spec["program"]), *spec.get("args", []),
               f"--benchmark_filter={filter_of(spec)}", "--benchmark_format=json",
               f"--benchmark_min_time={row.get('min_time', 0.1)}"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False, timeout=300,
                              preexec_fn=pin(row.get("cores", 1)))
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BadRow(f"{label}: {error}") from error
    if done.returncode != 0:
        raise BadRow(f"{label}: {' '.join(command)}: status {done.returncode}\n{done.stderr[-2000:]}")
    try:
        entries = json.loads(done.stdout)["benchmarks"]
    except (ValueError, KeyError) as error:
        raise BadRow(f"{label}: {spec['program']} did not print benchmark JSON "
                     f"for '{spec['filter']}'") from error
    entries = [entry for entry in entries if entry.get("run_type", "iteration") == "iteration"]
    if len(entries) != 1:
        raise BadRow(f"{label}: '{spec['filter']}' names {len(entries)} benchmarks, not one")
    return entries[0]


def run_rounds(row, programs, rounds, known):
    """What each side printed, by round. Rows that differ in their metric alone share their runs."""
    sides = ("ours", "theirs") if "theirs" in row else ("ours",)
    key = json.dumps([rounds, row.get("cores"), row.get("min_time")] + [row[side] for side in sides])
    if key not in known:
        known[key] = [{side: run_side(row, side, programs)
                       for side in (sides if number % 2 == 0 else reversed(sides))}
                      for number in range(rounds)]
    return known[key]


def measure(row, programs, rounds, known):
    """Runs a row; the dictionary that is written for it. `known`: the runs of the rows before."""
    check_row(row)
    paired = "theirs" in row
    rounds = rounds or row.get("rounds", MIN_ROUNDS)
    ours, ratios = [], []
    for entries in run_rounds(row, programs, rounds, known):
        got = {side: metric_of(entry, row["metric"], row["id"]) * row.get("scale", 1)
               for side, entry in entries.items()}
        ours.append(got["ours"])
        if paired:
            above, below = row["ratio"].split("/")
            if got[below] == 0:
                raise BadRow(f"{row['id']}: {below} measured 0: there is no ratio")
            ratios.append(got[above] / got[below])
    return {
        "id": row["id"], "name": row["name"], "value": statistics.median(ours),
        "unit": row["unit"], "against": row.get("against"),
        "ratio": statistics.median(ratios) if paired else None, "goal": row["goal"],
        "rounds": rounds if paired else None,
        "min": min(ratios) if paired else None, "max": max(ratios) if paired else None,
    }


def meets(goal, number):
    """Whether the number meets the goal; None where nothing is asked."""
    match = GOAL.match(goal)
    if not match:
        return None
    bound = float(match.group(2).replace(",", ""))
    return {">=": number >= bound, "<=": number <= bound, "=": number == bound}[match.group(1)]


def short(number):
    if number is None:
        return "-"
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def verdict(row, result):
    met = meets(row["goal"], result["value"] if result["ratio"] is None else result["ratio"])
    if "floor" in row and meets(row["floor"], result["value"]) is False:
        met = False
    return {None: "", True: "met", False: "MISSED"}[met]


def table(rows, results):
    lines = [("id", "value", "unit", "ratio", "min..max", "goal", "", "against")]
    for row, result in zip(rows, results):
        spread = "-" if result["ratio"] is None else f"{short(result['min'])}..{short(result['max'])}"
        goal = result["goal"] + (f", value {row['floor']}" if "floor" in row else "")
        lines.append((result["id"], short(result["value"]), result["unit"], short(result["ratio"]),
                      spread, goal, verdict(row, result), result["against"] or "-"))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
                     for line in lines)


def loses(row, result):
    """Whether a rival beats us, in a row that asks for nothing."""
    if result["ratio"] is None or row["goal"] != "printed":
        return False
    return result["ratio"] < 1 if row["ratio"] == "theirs/ours" else result["ratio"] > 1


def reasons(rows, results):
    """Why: a line for each row that misses its goal or loses, and says why."""
    return [f"why {row['id']}: {row['why']}" for row, result in zip(rows, results)
            if "why" in row and (verdict(row, result) == "MISSED" or loses(row, result))]


def write(path, results):
    """All or nothing, so that a reader never sees half a file."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)
        file.write("\n")
    os.replace(path + ".new", path)


def main():
    parser = argparse.ArgumentParser(description="Runs the benchmarks of one area.")
    parser.add_argument("--programs", required=True, help="the build directory of the benchmarks")
    parser.add_argument("--out", required=True, help="where the numbers are written")
    parser.add_argument("--rounds", type=int, help="instead of each row's own")
    parser.add_argument("--only", help="run the row of this id alone")
    parser.add_argument("manifest")
    arguments = parser.parse_args()
    with open(arguments.manifest, encoding="utf-8") as file:
        rows = json.load(file)["rows"]
    ids = [row.get("id") for row in rows]
    if len(set(ids)) != len(ids):
        sys.exit(f"{arguments.manifest}: an id stands twice")
    if arguments.only:
        rows = [row for row in rows if row["id"] == arguments.only]
        if not rows:
            sys.exit(f"{arguments.manifest}: no row '{arguments.only}'; valid: {' '.join(ids)}")
    measured, results, failures, known = [], [], 0, {}
    for row in rows:
        try:
            results.append(measure(row, arguments.programs, arguments.rounds, known))
            measured.append(row)
        except Absent as error:
            print(error)
        except BadRow as error:
            print(f"bench: {error}", file=sys.stderr)
            failures += 1
        write(arguments.out, results)
    print(table(measured, results))
    for line in reasons(measured, results):
        print(line)
    print(f"written: {arguments.out}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
