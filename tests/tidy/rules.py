# SPDX-License-Identifier: Apache-2.0
"""The rules of tidy.py's tables, each a function that yields findings about one file."""

import ast
import re
from typing import Callable, Iterator, NamedTuple

import scan
import tidy

CPP = (".cpp", ".hpp", ".hpp.in")
BUILD = (".cmake", ".cmake.in", "CMakeLists.txt", ".pc.in")
# Paths of somebody's machine, spelt so that this line is none.
_HOMES = "|".join(("wo" "rk", "ro" "ot", "tmp/bu" "ild"))
_MACHINE = re.compile(rf"(?<![\w.$}}*-])/(?:{_HOMES})\b")
_TODO = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b(?!\(#\d+\))")
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


class Finding(NamedTuple):
    rule: str
    line: int
    text: str


class File(NamedTuple):
    name: str
    source: str
    present: Callable[[str], bool]  # is there a file of this name in the project?

    @property
    def is_cpp(self) -> bool:
        return self.name.endswith(CPP)

    @property
    def is_script(self) -> bool:
        return self.source.startswith("#!")

    @property
    def is_code(self) -> bool:
        return self.is_cpp or self.is_script or self.name.endswith((".py", ".sh") + BUILD)

    @property
    def is_test(self) -> bool:
        return re.search(tidy.TESTS, self.name) is not None

    @property
    def kinds(self) -> set[str]:
        """The kinds of file that tidy.BANNED speaks of."""
        if self.is_test:
            return {"test"}
        if not self.name.startswith(("src/", "include/")):
            return {"tool"}
        return {"library", self.name.split("/")[1]}

    @property
    def folder(self) -> str | None:
        """The folder of src/ it belongs to, None outside src/ and include/."""
        parts = self.name.split("/")
        if parts[0] == "include":
            return tidy.PUBLIC.get(parts[-1].removesuffix(".in").removesuffix(".hpp"), "unknown")
        if parts[0] != "src" or len(parts) < 3:
            return None
        return _folder_of(parts[1:])


def _folder_of(parts: list[str]) -> str:
    """`parts` of a path within src/: ["transport", "tcp", "a.hpp"] is in transport/tcp."""
    return "/".join(parts[:2]) if parts[0] == "transport" and len(parts) > 2 else parts[0]


def _line_of(source: str, at: int) -> int:
    return source.count("\n", 0, at) + 1


def _includes(file: File) -> Iterator[tuple[int, str, str]]:
    for match in _INCLUDE.finditer(scan.without_comments(file.source)):
        yield _line_of(file.source, match.start()), match[1], match[2]


def lengths(file: File) -> Iterator[Finding]:
    if not file.is_code:
        return
    lines = file.source.splitlines()
    if len(lines) > tidy.LIMITS["file"]:
        yield Finding("length", len(lines), f"{len(lines)} lines: does the file hold two ideas?")
    for number, line in enumerate(lines, 1):
        if len(line) > tidy.LIMITS["columns"]:
            yield Finding("columns", number, f"{len(line)} columns: clang-format wraps them")


def function_lengths(file: File) -> Iterator[Finding]:
    spans: list[tuple[str, int, int]] = []
    if file.is_cpp:
        spans = list(scan.functions(file.source))
    elif file.name.endswith(".py"):
        spans = [
            (node.name, node.lineno, node.end_lineno or node.lineno)
            for node in ast.walk(ast.parse(file.source))
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    for name, first, last in spans:
        if last - first + 1 > tidy.LIMITS["function"]:
            yield Finding("function", first, f"{last - first + 1} lines, cut it up: {name}")


def first_lines(file: File) -> Iterator[Finding]:
    if not file.is_code:
        return
    lines = file.source.splitlines()
    first = lines[1:2] if file.is_script else lines[:1]
    if lines and not (first and "SPDX-License-Identifier: Apache-2.0" in first[0]):
        yield Finding("spdx", 1, "begin with SPDX-License-Identifier: Apache-2.0")
    if file.name.endswith((".hpp", ".hpp.in")) and "#pragma once" not in lines:
        yield Finding("pragma", 1, "a header says #pragma once")


def own_header_first(file: File) -> Iterator[Finding]:
    match = re.fullmatch(r"src/(.+)\.cpp", file.name)
    if not match or file.is_test:
        return
    own = [match[1] + ".hpp"] if file.present(f"src/{match[1]}.hpp") else []
    public = "net_queue/" + match[1].split("/")[-1] + ".hpp"
    own += [public] if file.present(f"include/{public}") else []
    included = list(_includes(file))
    if own and included and included[0][2] not in own:
        yield Finding("own", included[0][0], f"include {own[0]} first: it must stand alone")


def banned(file: File) -> Iterator[Finding]:
    if not file.is_cpp:
        return
    code = scan.code(file.source)
    for ban in tidy.BANNED:
        if not file.kinds & set(ban.where):
            continue
        for match in re.finditer(ban.pattern, code):
            yield Finding(ban.rule, _line_of(code, match.start()),
                          f"{match[0].strip()}: {ban.instead}")


def todos(file: File) -> Iterator[Finding]:
    if not file.is_code or file.name.startswith("tests/tidy/"):
        return
    for number, line in enumerate(file.source.splitlines(), 1):
        match = _TODO.search(line)
        if match:
            yield Finding("todo", number, f"{match[1]} without an issue: write TODO(#N)")


def memory_orders(file: File) -> Iterator[Finding]:
    if not file.is_cpp or file.is_test or "memory_order_" not in file.source:
        return
    reasoned = scan.comment_lines(file.source)
    reasoned |= {line + above for line in reasoned for above in (1, 2, 3)}
    lines = file.source.splitlines()
    for function in scan.functions(file.source):
        for number in range(function.first_line, function.last_line + 1):
            if "here and below" in lines[number - 1]:  # ... in this function
                reasoned.update(range(number, function.last_line + 1))
    for number, line in enumerate(scan.code(file.source).splitlines(), 1):
        if "memory_order_" in line and number not in reasoned:
            yield Finding("order", number, "say beside it, or up to 3 lines above, why it suffices")


def _target_of(name: str) -> str | None:
    """The folder behind an #include, None if it is none of ours."""
    parts = name.split("/")
    if parts[0] == "net_queue":
        return tidy.PUBLIC.get(parts[-1].removesuffix(".hpp"), "unknown")
    if parts[0] == "testing":
        return "testing"
    return _folder_of(parts) if parts[0] in tidy.ARROWS and len(parts) > 1 else None


def _may_include(folder: str, target: str, file: File) -> bool:
    if target in (folder, "unknown"):
        return target == folder
    if target == "testing" or target.startswith("transport/") and folder.startswith("transport/"):
        return file.is_test
    allowed = tidy.ARROWS.get(folder, tidy.ARROWS.get(folder.split("/")[0] + "/*", ()))
    return target in allowed or target.split("/")[0] + "/*" in allowed and "/" in target


def arrows(file: File) -> Iterator[Finding]:
    folder = file.folder
    if folder is None or not file.is_cpp:
        return
    if folder.split("/")[0] not in tidy.ARROWS:
        yield Finding("arrow", 1, f"{folder}: not in the tables of tests/tidy/tidy.py")
        return
    for line, quote, name in _includes(file):
        target = _target_of(name)
        if target is None and quote == '"':
            yield Finding("arrow", line, f'"{name}": write the path from src/: "folder/file.hpp"')
        elif target is not None and not _may_include(folder, target, file):
            yield Finding("arrow", line, f"{folder} may not include {target} ({name})")


def system_headers(file: File) -> Iterator[Finding]:
    if file.folder in (None, tidy.SYSTEM_FOLDER) or file.is_test:
        return
    for line, _, name in _includes(file):
        if re.fullmatch(tidy.SYSTEM_HEADERS, name):
            yield Finding("system", line, f"<{name}>: system calls stand in src/io alone")


def kept_headers(file: File) -> Iterator[Finding]:
    for line, _, name in _includes(file):
        for pattern, folder in tidy.KEPT_HEADERS:
            if file.folder not in (None, folder) and re.fullmatch(pattern, name):
                yield Finding("kept", line, f"<{name}>: only src/{folder} may include it")


def machine_paths(file: File) -> Iterator[Finding]:
    for number, line in enumerate(file.source.splitlines(), 1):
        match = _MACHINE.search(line)
        if match:
            yield Finding("machine", number, f"{match[0]}: a path of somebody's machine")


RULES = (lengths, function_lengths, first_lines, own_header_first, banned, todos, memory_orders,
         arrows, system_headers, kept_headers, machine_paths)


def check(name: str, source: str, present: Callable[[str], bool]) -> Iterator[Finding]:
    """All findings about one file of the project."""
    file = File(name, source, present)
    for rule in RULES:
        yield from rule(file)


def impure_symbols(listing: str) -> list[str]:
    """What nm lists as undefined and tidy.IMPURE forbids."""
    pattern = re.compile("_{0,2}(?:" + "|".join(tidy.IMPURE) + ")")
    found = set()
    for line in listing.splitlines():
        match = re.match(r"\s+[Uw] (.+)", line)
        symbol = match[1].split("@")[0] if match else ""
        if symbol and pattern.match(symbol):
            found.add(symbol)
    return sorted(found)
