"""Adds up what the tests labelled `vectors` printed, one line per family of official vectors.

    vectors.py --folder DIR --report JUNIT.xml

Tests print `vectors: FAMILY: passed 12, failed 0, skipped 1 (why)` (tests/vectors/family.h). Families
that lie in DIR and that no test reads are listed as skipped. Status 1 if a vector failed, if none ran,
or if a family that a test reads was skipped.
"""

import argparse
import json
import os
import re
import sys
import xml.etree.ElementTree as ElementTree

LINE = re.compile(r"^vectors: (\S+): passed (\d+), failed (\d+), skipped (\d+)(?: \((.*)\))?$", re.M)
NOT_YET = "no test reads them yet"

# leanSpec's kinds of tests, by a key that only they have.
LEAN_KEYS = [("anchorState", "fork_choice"), ("blocks", "state_transition"),
             ("handlerName", "gossipsub_handler"), ("endpoint", "api_endpoint"),
             ("finalizedSlot", "justifiability")]


def lean_family(vector):
    """As tests/vectors/lean.h has it; from what is in the file, not from its path."""
    if "typeName" in vector:
        return "ssz"
    codec = vector.get("codec")
    if isinstance(codec, dict):
        kind = codec.get("kind", "codec")
        return codec.get("decoder", kind) if kind == "decode_failure" else kind
    for key, family in LEAN_KEYS:
        if key in vector:
            return family
    if "operation" in vector:
        return "slot_clock" if "config" in vector else "sync"
    return "other"


def family_of(vector, name):
    """Of a JSON file; None for what is no vector."""
    if not isinstance(vector, dict):
        return None
    if "leanEnv" in vector:
        return "lean/" + lean_family(vector)
    if "testGroups" in vector:
        return "wycheproof/" + re.sub(r"_test\.json$", "", name)
    return None


def families_in(folder):
    """How many vectors of each family lie below the folder: for wycheproof, cases."""
    counts = {}
    for path, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if not name.endswith(".json"):
                continue
            try:
                with open(os.path.join(path, name), encoding="utf-8") as file:
                    vector = json.load(file)
            except (OSError, ValueError):
                continue
            family = family_of(vector, name)
            if family is not None:
                counts[family] = counts.get(family, 0) + vector.get("numberOfTests", 1)
    return counts


def printed(report):
    """{family: [passed, failed, skipped, reasons]} of all tests; several may read one family."""
    results = {}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        for family, passed, failed, skipped, why in LINE.findall(case.findtext("system-out") or ""):
            row = results.setdefault(family, [0, 0, 0, set()])
            for i, count in enumerate((passed, failed, skipped)):
                row[i] += int(count)
            if why:
                row[3].add(why)
    return results


def main():
    parser = argparse.ArgumentParser(description="Adds up the results of official vectors.")
    parser.add_argument("--folder", required=True)
    parser.add_argument("--report", required=True)
    arguments = parser.parse_args()
    results = printed(arguments.report)
    bad = []
    for family, (passed, failed, skipped, _) in results.items():
        if failed:
            bad.append(f"{family}: {failed} failed")
        elif not passed:
            bad.append(f"{family}: it is implemented, and none of it ran ({skipped} skipped)")
    for family, count in families_in(arguments.folder).items():
        row = results.setdefault(family, [0, 0, 0, set()])
        missing = count - sum(row[:3])
        if sum(row[:3]) and missing > 0:
            bad.append(f"{family}: {missing} of {count} vectors were not run")
        if missing > 0:
            row[2] += missing
            row[3].add(NOT_YET)
    print(f"{'family':44} {'passed':>7} {'failed':>7} {'skipped':>7}")
    for family in sorted(results):
        passed, failed, skipped, reasons = results[family]
        why = f"  {'; '.join(sorted(reasons))}" if skipped else ""
        print(f"{family:44} {passed:>7} {failed:>7} {skipped:>7}{why}")
    if not any(row[0] for row in results.values()):
        bad.append(f"no vector in {arguments.folder} was run")
    for message in bad:
        print(f"vectors: {message}", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
