"""The gate for regressions: instructions of sans-IO benchmarks, counted by valgrind.

    instructions.py --programs BUILD_DIR --out FILE bench/AREA.json

Counts the rows of a manifest (format: bench.py) that have "instructions": {"function": "BM_Name",
"at_most": N}: the instructions of one call of that benchmark function, its own preparation
included, for one iteration. Callgrind counts as cachegrind does, and can start where the function
does, so nothing else of the process is in it: the count is the same in each run, however busy the
machine is. It differs with the compiler and with the CPU's features: the limits hold for Debian
12's g++, and leave 3 % of room.

A count over its limit fails the run. One that is 10 % under it is pointed out: lower the limit.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

import bench

ROOM_TO_LOWER = 0.9


def count(row, programs):
    """Instructions of one call of the row's benchmark function."""
    spec = row["ours"]
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "callgrind")
        # The shortest possible run: Google Benchmark tries one iteration first, and that is enough.
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
                   f"--toggle-collect=*{row['instructions']['function']}*",
                   os.path.join(programs, spec["program"]), *spec.get("args", []),
                   f"--benchmark_filter={bench.filter_of(spec)}", "--benchmark_format=json",
                   "--benchmark_min_time=0.000000001"]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, check=False, timeout=600)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise bench.BadRow(f"{row['id']}: {error}") from error
        if done.returncode != 0 or not os.path.exists(out):
            raise bench.BadRow(f"{row['id']}: status {done.returncode}\n{done.stderr[-2000:]}")
        with open(out, encoding="utf-8") as file:
            match = re.search(r"^(?:summary|totals): (\d+)", file.read(), re.M)
    counted = int(match.group(1)) if match else 0
    if counted == 0:
        raise bench.BadRow(f"{row['id']}: '{row['instructions']['function']}' was not called")
    return counted


def verdict(counted, limit):
    if counted > limit:
        return f"OVER by {100 * counted / limit - 100:.1f} %"
    return "met" if counted > limit * ROOM_TO_LOWER else "met: lower the limit"


def main():
    parser = argparse.ArgumentParser(description="Counts the instructions of benchmarks.")
    parser.add_argument("--programs", required=True, help="the build directory of the benchmarks")
    parser.add_argument("--out", required=True, help="where the counts are written")
    parser.add_argument("manifest")
    arguments = parser.parse_args()
    with open(arguments.manifest, encoding="utf-8") as file:
        rows = [row for row in json.load(file)["rows"] if "instructions" in row]
    counts, failures = [], 0
    for row in rows:
        try:
            bench.check_row(row)
            counted = count(row, arguments.programs)
        except bench.BadRow as error:
            print(f"instructions: {error}", file=sys.stderr)
            failures += 1
            continue
        limit = row["instructions"]["at_most"]
        failures += counted > limit
        counts.append({"id": row["id"], "instructions": counted, "at_most": limit})
        print(f"{row['id']}: {counted:,} of {limit:,} instructions: {verdict(counted, limit)}")
    bench.write(arguments.out, counts)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
