"""Lists the tests that were skipped, with their reasons, from ctest's JUnit files.

    skipped.py FILE...
"""

import os
import re
import sys
import xml.etree.ElementTree as ElementTree


def reason_of(case):
    output = case.findtext("system-out") or ""
    # GoogleTest prints `file:line: Skipped`, then the reason, then `[  SKIPPED ] name`.
    match = re.search(r"^[^\n]*: Skipped\n(.*?)\[  SKIPPED \]", output, re.S | re.M)
    text = " ".join(match.group(1).split()) if match else ""
    if case.get("status") == "disabled":
        text = "disabled"
    return text or "no reason given"


def skipped_in(path):
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        if case.get("status") in ("notrun", "disabled"):
            yield case.get("name"), reason_of(case)


def main(paths):
    found = []
    for path in paths:
        tier = os.path.splitext(os.path.basename(path))[0]
        if os.path.exists(path):
            found += [(tier, name, reason) for name, reason in skipped_in(path)]
    print(f"\nskipped tests: {len(found)}")
    for tier, name, reason in found:
        print(f"  {tier}  {name}: {reason}")


if __name__ == "__main__":
    main(sys.argv[1:])
