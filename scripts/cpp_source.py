"""A C++ file as lint sees it: lines without comments and strings, functions, and waivers.

It reads text, not C++: enough for a code base that clang-format keeps in shape.
"""

import re
from dataclasses import dataclass

# `// lint: allow(rule): reason`, on the line it excuses or on the one above.
WAIVER = re.compile(r"lint: allow\(([a-z-]+)\)(?::\s*(\S.*))?")

_TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"([^()\\ ]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])*'",
    re.S,
)
_CONTROL = re.compile(r"^\s*(?:else\b|do\b|(?:if|for|while|switch|catch)\b)")
_SCOPE = re.compile(r"\b(?:namespace|class|struct|union|enum|extern)\b[^()=]*$")


def strip(text):
    """Blanks comments and the insides of strings; keeps every line break and column."""

    def blank(match):
        token = match.group(0)
        spaced = re.sub(r"[^\n]", " ", token)
        if token[0] == "/":
            return spaced
        return token[0] + spaced[1:-1] + token[-1] if len(spaced) > 1 else spaced

    return _TOKEN.sub(blank, text)


@dataclass
class Function:
    first: int  # line of the signature, from 1
    last: int  # line of the closing brace

    @property
    def lines(self):
        return self.last - self.first + 1


def functions(code):
    """The functions at namespace or class level of stripped code; a lambda inside is a part."""
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group(0)),
                  code, flags=re.M)
    found, stack = [], []
    line, begin, begin_line = 1, 0, 1
    for at, char in enumerate(code):
        if char == "\n":
            line += 1
        elif char == "{":
            kind = _kind_of_brace(code[begin:at], stack)
            stack.append((kind, begin_line))
            if kind != "initializer":
                begin = at + 1
        elif char == "}" and stack:
            kind, first = stack.pop()
            if kind == "function":
                found.append(Function(first, line))
            if kind != "initializer":
                begin = at + 1
        elif char == ";" and not _in_parentheses(code[begin:at]):
            begin = at + 1
        if not code[begin:at + 1].strip():
            begin_line = line
    return found


def _in_parentheses(text):
    return text.count("(") > text.count(")")


def _kind_of_brace(head, stack):
    if any(kind == "function" for kind, _ in stack):
        return "block"
    if _in_parentheses(head):
        return "initializer"  # an argument or a default value
    if "(" not in head or _SCOPE.search(head):
        return "scope" if _SCOPE.search(head) else "initializer" if "=" in head else "scope"
    if re.search(r"\)\s*(?:noexcept\s*)?:[^:]", head) and re.search(r"[\w>]\s*$", head):
        return "initializer"  # a member in a constructor's list: `: size_{0}`
    if re.search(r"=\s*(?:[\w:<>, ]*)$", head) and not re.search(r"operator\s*=+\s*$", head):
        return "initializer"
    return "block" if _CONTROL.match(head) else "function"


class Source:
    """One file; `path` is relative to the top, with forward slashes."""

    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.lines = text.split("\n")
        self.code = strip(text) if path.endswith((".h", ".cc", ".c")) else text
        self.code_lines = self.code.split("\n")
        self.folder = path.split("/")[0] if "/" in path else ""

    def waived(self, rule, line):
        """Whether `rule` is excused, with a reason, on this line or the one above."""
        for number in (line, line - 1):
            if 0 < number <= len(self.lines):
                match = WAIVER.search(self.lines[number - 1])
                if match and match.group(1) == rule and match.group(2):
                    return True
        return False

    def matches(self, pattern):
        """(line, matched text) of each match of a compiled pattern in the stripped code."""
        for number, line in enumerate(self.code_lines, 1):
            for match in pattern.finditer(line):
                yield number, match.group(0)
