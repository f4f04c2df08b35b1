# SPDX-License-Identifier: Apache-2.0
"""What the rules need to know about a C++ source file, without a compiler."""

import re
from typing import Iterator, NamedTuple

_TOKEN = re.compile(
    r"""
      (?P<line_comment>//(?:\\\n|[^\n])*)
    | (?P<block_comment>/\*.*?\*/)
    | (?P<raw>(?:u8|[uUL])?R"(?P<delimiter>[^()\\\s]{0,16})\(.*?\)(?P=delimiter)")
    | (?P<string>"(?:\\.|[^"\\\n])*")
    | (?P<number>\b\d(?:'?[\w.])*)
    | (?P<character>'(?:\\.|[^'\\\n])*')
    """,
    re.VERBOSE | re.DOTALL,
)
_PREPROCESSOR = re.compile(r"^[ \t]*#(?:\\\n|[^\n])*", re.MULTILINE)
_LABEL = re.compile(r"^(?:\s*(?:public|private|protected)\s*:(?!:))+")
_SCOPE = re.compile(
    r"^(?:(?:inline|typedef|static|const|constexpr)\s+)*(?:namespace|class|struct|union|extern)\b"
)
_BODY = re.compile(r"(?:\)|\}|\b(?:const|noexcept|override|final|mutable|try)|->[^;{}()]*|&)\s*$")


class Function(NamedTuple):
    name: str
    first_line: int
    last_line: int


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def without_comments(source: str) -> str:
    """The source with each comment blanked; lines and columns stay where they are."""
    keep = lambda m: _blank(m[0]) if m.lastgroup and m.lastgroup.endswith("comment") else m[0]
    return _TOKEN.sub(keep, source)


def code(source: str) -> str:
    """The source with comments and the contents of strings and characters blanked."""

    def blank(match: re.Match) -> str:
        kind = match.lastgroup
        if match["number"]:
            return match[0].replace("'", "_")
        if kind and kind.endswith("comment"):
            return _blank(match[0])
        return match[0][0] + _blank(match[0][1:-1]) + match[0][-1]

    return _TOKEN.sub(blank, source)


def comment_lines(source: str) -> set[int]:
    """Numbers of the lines on which some comment stands."""
    lines: set[int] = set()
    for match in _TOKEN.finditer(source):
        if match["line_comment"] or match["block_comment"]:
            first = source.count("\n", 0, match.start()) + 1
            lines.update(range(first, first + match[0].count("\n") + 1))
    return lines


def _skip_template(head: str) -> str:
    """`head` without a leading `template <...>`, whose parameters may say `class`."""
    match = re.match(r"\s*template\s*<", head)
    while match:
        depth, end = 1, match.end()
        while end < len(head) and depth > 0:
            depth += {"<": 1, ">": -1}.get(head[end], 0)
            end += 1
        head = head[end:]
        match = re.match(r"\s*template\s*<", head)
    return head


def _kind(head: str) -> str:
    """What the block that `head` opens is: scope, function or other (an initialiser, an enum)."""
    head = _skip_template(_LABEL.sub("", head)).strip()
    if _SCOPE.match(head) and not head.endswith(")"):
        return "scope"
    if _BODY.search(head) and not re.match(r"enum\b", head):
        return "function"
    return "other"


def functions(source: str) -> Iterator[Function]:
    """Function bodies at namespace and class scope; what is nested in one belongs to it."""
    text = _PREPROCESSOR.sub(lambda m: _blank(m[0]), code(source))
    kinds: list[str] = []
    head_start = 0
    parentheses = 0
    opened: list[tuple[str, int]] = []
    for match in re.finditer(r"[{}();]", text):
        token, at = match[0], match.start()
        inside = "function" in kinds
        if token in "()":
            parentheses += 0 if inside else {"(": 1, ")": -1}[token]
        elif token == "{":
            head = text[head_start:at]
            kind = "other" if inside or parentheses else _kind(head)
            kinds.append(kind)
            start = head_start + len(head) - len(head.lstrip())
            opened.append((head, start))
        elif token == "}" and kinds:
            kind = kinds.pop()
            head, start = opened.pop()
            if kind == "function":
                first = text.count("\n", 0, start) + 1
                name = " ".join(head.split())[:60]
                yield Function(name, first, text.count("\n", 0, at) + 1)
            if kind == "other" and "function" not in kinds:
                continue  # an initialiser: the head goes on, as in `A() : a_{1} {`
        if token in "{};" and "function" not in kinds and not parentheses:
            head_start = at + 1
