"""What the rules of CONTRIBUTING.md forbid, checked.

    lint.py [--root DIR] [--only RULE] [--list]

Prints `path:line: rule: what is wrong`, one finding a line; status 1 if there is one. A finding is
excused by `lint: allow(rule): reason` in a comment on its line or the line above. Each rule has
a bad sample in tests/project/lint_test.cc.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys

from cpp_source import WAIVER, Source, functions

MAX_FILE_LINES = 700
MAX_FUNCTION_LINES = 70
CODE_FILES = (".h", ".cc", ".c", ".py", ".sh", ".cmake", ".js", ".mjs", ".ts", ".rs")

# What each folder may include, besides itself.
LAYERS = {
    "base": [],
    "loop": ["base"],
    "crypto": ["base"],
    "codec": ["base", "crypto"],
    "discovery": ["base", "loop", "crypto", "codec"],
    "rlpx": ["base", "loop", "crypto", "codec"],
    "libp2p": ["base", "loop", "crypto", "codec"],
    "gossip": ["base", "loop", "crypto", "codec", "libp2p"],
    "reqresp": ["base", "loop", "crypto", "codec", "libp2p"],
    "chain": ["base", "crypto", "codec"],
    "node": ["base", "loop", "crypto", "codec", "discovery", "rlpx", "libp2p", "gossip", "reqresp",
             "chain"],
}
# Where code runs on a reactor: all but node/, which starts up and talks to the user.
STRICT = [folder for folder in LAYERS if folder != "node"]
UNORDERED = r"unordered_(?:multi)?(?:map|set)"

# (rule, folders, pattern, what is wrong). One match on one line of stripped code.
FORBIDDEN = [
    ("no-lock", STRICT,
     r"\b(?:std::)?(?:recursive_|shared_|timed_)*mutex\b|\bcondition_variable(?:_any)?\b"
     r"|\b(?:lock_guard|unique_lock|scoped_lock|shared_lock)\b"
     r"|\b(?:counting|binary)_semaphore\b|\bstd::(?:latch|barrier)\b"
     r"|#\s*include\s*<(?:semaphore(?:\.h)?|latch|barrier)>"
     r"|\bsem_(?:t\b|(?:init|open|post|wait|timedwait|clockwait)\s*\()"
     r"|\bpthread_(?:mutex|cond|rwlock|barrier|spin)_\w+",
     "a reactor never blocks"),
    ("no-atomic-shared-ptr", STRICT, r"\batomic\s*<\s*(?:std::)?shared_ptr\b",
     "it locks inside"),
    ("no-std-function", STRICT, r"\bstd::function\b",
     "it allocates; use a function pointer with a context, or a template"),
    ("no-std-random", STRICT,
     r"#\s*include\s*<random>|\bstd::(?:mt19937\w*|random_device|default_random_engine|\w+_distribution"
     r"|shuffle)\b|\b(?:s?rand|random|drand48)\s*\(\s*\)|\bsrand\s*\(|\b(?:RAND_bytes|arc4random)\b",
     "randomness comes from Rng&"),
    ("no-sleep", STRICT, r"\bsleep_(?:for|until)\b|\b(?:usleep|(?:clock_)?nanosleep)\s*\(|(?<!\w)::sleep\s*\(",
     "a reactor never blocks"),
    ("no-clock", [folder for folder in STRICT if folder != "loop"],
     r"\b(?:system|steady|high_resolution)_clock\b|\b(?:clock_gettime|gettimeofday|timespec_get)\b"
     r"|\btime\s*\(\s*(?:nullptr|NULL|0)\s*\)|\b__?rdtscp?\b",
     "the time is a parameter: Now"),
    ("no-implicit-fetch", STRICT + ["node"],
     r"\bEVP_(?:sha\d\w*|md5|ripemd160|aes_\w+|chacha20\w*|get_digestbyname|get_cipherbyname)\s*\("
     r"|\b(?:SHA1|SHA224|SHA256|SHA384|SHA512|MD5|HMAC|EVP_Digest|EVP_Q_\w+)\s*\(",
     "it looks the algorithm up under a lock on each call; fetch once, at start-up"),
    ("no-exceptions", STRICT, r"\b(?:throw|try|catch)\b", "errors are values: Result, Status"),
    ("no-iostream", STRICT + ["node"],
     r"#\s*include\s*<iostream>|\bstd::(?:cout|cerr|clog|endl)\b",
     "it blocks, and is initialised before main"),
    ("no-pointer-order", STRICT,
     r"\b(?:std::)(?:map|set|multimap|multiset)\s*<\s*(?:const\s+)?\w+(?:::\w+)*\s*(?:const\s*)?\*",
     "the order of addresses differs from run to run"),
]
FORBIDDEN = [(rule, folders, re.compile(pattern), why) for rule, folders, pattern, why in FORBIDDEN]

# Written so that this file does not contain what it looks for.
ELSEWHERE = re.compile(
    r"(?<![\w.~}$/])/(?:work|home|root|Users)/\w|\.\./shared/"
    r"|\b(?:registry\.npmjs\.org|registry\.yarnpkg\.com|pypi\.org|pythonhosted\.org"
    r"|(?:static|index)?\.?\bcrates\.io|proxy\.golang\.org)\b")


def check_forbidden(source):
    for rule, folders, pattern, why in FORBIDDEN:
        if source.folder in folders:
            for line, text in source.matches(pattern):
                yield line, rule, f"{text.strip()}: {why}"


def check_size(source):
    count = len(source.lines) - (source.lines[-1] == "")
    if source.path.endswith(CODE_FILES) or source.path in ("dev", "CMakeLists.txt"):
        if count > MAX_FILE_LINES:
            excused = any(source.waived("file-size", line) for line in range(1, 21))
            if not excused:
                yield 1, "file-size", f"{count} lines; at most {MAX_FILE_LINES}"
    if source.path.endswith((".h", ".cc", ".c")):
        for function in functions(source.code):
            # The reason may stand above the signature or anywhere inside.
            inside = range(function.first, function.last + 1)
            if function.lines > MAX_FUNCTION_LINES and not any(
                    source.waived("function-size", line) for line in inside):
                yield (function.first, "function-size",
                       f"{function.lines} lines; at most {MAX_FUNCTION_LINES}")


INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def includes(source):
    """(line, bracket, path) of each include; from the text, since strings are stripped."""
    for number, line in enumerate(source.lines, 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1), match.group(2)


def check_layers(source):
    for line, bracket, path in includes(source):
        if path == "liburing.h" and source.path != "loop/ring.cc" and source.folder != "bench":
            yield line, "one-liburing", "only loop/ring.cc includes liburing.h"
        if bracket == "<" or source.folder not in LAYERS:
            continue
        folder = path.split("/")[0]
        if "/" not in path or ".." in path.split("/"):
            yield line, "layers", f'"{path}": include paths start at the top'
        elif folder != source.folder and folder not in LAYERS[source.folder]:
            allowed = ", ".join(LAYERS[source.folder]) or "nothing"
            yield line, "layers", f'{source.folder}/ must not use "{path}"; it may use: {allowed}'


ALIAS = re.compile(rf"\busing\s+(\w+)\s*=\s*(?:std::)?{UNORDERED}\b")


def unordered_names(code):
    """Names of variables and members whose type is an unordered container, or an alias of one."""
    names = set()
    types = [UNORDERED] + [re.escape(alias) for alias in ALIAS.findall(code)]
    for match in re.finditer(rf"\b(?:{'|'.join(types)})\b", code):
        at, depth = match.end(), 0
        while at < len(code) and (depth or code[at] == "<"):
            depth += {"<": 1, ">": -1}.get(code[at], 0)
            at += 1
        found = re.match(r"\s*[&*]?\s*(\w+)", code[at:])
        if found:
            names.add(found.group(1))
    return names


def check_unordered(source, names):
    if not names or source.folder not in STRICT:
        return
    name = rf"(?:{'|'.join(map(re.escape, sorted(names)))})"
    walk = re.compile(rf"\bfor\s*\([^;]*?[^:]:[^:](?:[^;]*(?:\.|->|\s|\*))?{name}\)"
                      rf"|\b{name}(?:\.|->)c?begin\(\)")
    code = source.code
    for match in walk.finditer(code):
        line = code.count("\n", 0, match.start()) + 1
        yield line, "no-unordered-walk", "its order differs from run to run"


def check_elsewhere(source):
    for number, line in enumerate(source.lines, 1):
        match = ELSEWHERE.search(line)
        if match:
            yield number, "elsewhere", f"'{match.group(0)}' names a place outside the project"


NAMED_TEST = re.compile(r"[\w./-]+_test\.cc\b")


def check_unlisted_tests(sources):
    """A test that no CMakeLists.txt names is never built, and nobody misses it."""
    listed = set()
    for source in sources:
        if os.path.basename(source.path) == "CMakeLists.txt":
            text = re.sub(r"#.*", "", "\n".join(source.lines))
            listed |= {os.path.normpath(os.path.join(os.path.dirname(source.path), name))
                       for name in NAMED_TEST.findall(text)}
    for source in sources:
        if source.folder == "tests" and source.path.endswith("_test.cc"):
            if source.path not in listed and not source.waived("unlisted-test", 1):
                yield source.path, 1, "unlisted-test", "no CMakeLists.txt names it: it never runs"


def check_waivers(source):
    for number, line in enumerate(source.lines, 1):
        match = WAIVER.search(line)
        if match and source.folder != "scripts" and (
                match.group(1) not in RULES or not match.group(2)):
            yield number, "waiver", "lint: allow(rule): reason, with a rule of --list and a reason"


def check_format(root, sources):
    """clang-format's own verdict, one finding a file; skipped where it is not installed."""
    tool = shutil.which("clang-format-19")
    paths = [s.path for s in sources if s.path.endswith((".h", ".cc", ".c"))]
    if tool is None or not paths or not os.path.exists(os.path.join(root, ".clang-format")):
        if paths and os.path.exists(os.path.join(root, ".clang-format")):
            print("lint: clang-format-19 is not installed: format is not checked", file=sys.stderr)
        return
    done = subprocess.run([tool, "--dry-run", "-Werror", "--ferror-limit=1", *paths], cwd=root,
                          stderr=subprocess.PIPE, text=True, check=False)
    for match in re.finditer(r"^([^\s:]+):(\d+):\d+: error: ", done.stderr, re.M):
        yield match.group(1), int(match.group(2)), "format", "run ./dev format"


RULES = sorted({rule for rule, *_ in FORBIDDEN} | {
    "file-size", "function-size", "one-liburing", "layers", "no-unordered-walk", "elsewhere",
    "waiver", "format", "unlisted-test"})


def tracked(root):
    """Paths of the files of the project: what git tracks or would; without git, all files."""
    command = ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, capture_output=True, check=False) if os.path.exists(
        os.path.join(root, ".git")) else None
    if done is not None and done.returncode == 0:
        return sorted({path for path in done.stdout.decode().split("\0") if path})
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in ("build", ".git")]
        found += [os.path.relpath(os.path.join(folder, name), root) for name in files]
    return sorted(found)


def read(root, path):
    """The file, or None where it is gone, a link or not text."""
    full = os.path.join(root, path)
    if os.path.islink(full) or not os.path.isfile(full):
        return None
    with open(full, "rb") as file:
        data = file.read()
    if b"\0" in data[:4096]:
        return None
    return Source(path, data.decode("utf-8", "replace"))


def lint(root):
    sources = [source for source in (read(root, path) for path in tracked(root)) if source]
    by_stem = {}
    for source in sources:
        if source.path.endswith((".h", ".cc")):
            stem = source.path.rsplit(".", 1)[0]
            by_stem.setdefault(stem, set()).update(unordered_names(source.code))
    for source in sources:
        findings = list(check_size(source)) + list(check_elsewhere(source))
        findings += list(check_waivers(source))
        if source.path.endswith((".h", ".cc", ".c")):
            findings += list(check_forbidden(source)) + list(check_layers(source))
            findings += check_unordered(source, by_stem.get(source.path.rsplit(".", 1)[0]))
        for line, rule, what in sorted(findings):
            if not source.waived(rule, line):
                yield source.path, line, rule, what
    yield from check_unlisted_tests(sources)
    yield from check_format(root, sources)


def main():
    parser = argparse.ArgumentParser(description="Checks the rules of CONTRIBUTING.md.")
    top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser.add_argument("--root", default=top, help="the tree to check (default: this one)")
    parser.add_argument("--only", choices=RULES, help="report this rule alone")
    parser.add_argument("--list", action="store_true", help="name the rules")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(RULES))
        return 0
    count = 0
    for path, line, rule, what in lint(arguments.root):
        if arguments.only in (None, rule):
            print(f"{path}:{line}: {rule}: {what}")
            count += 1
    print(f"lint: {count} finding{'s' if count != 1 else ''}", file=sys.stderr)
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
