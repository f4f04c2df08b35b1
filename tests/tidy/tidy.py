#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The rules of this code base that a machine can check.

usage: tidy.py [--archive libnq_session.a] [file ...]      (default: every file of the project)
       tidy.py --self-test

Prints path:line: [rule] what and what instead; ends with 1 if there is anything to print.
The tables below are the rules; CONTRIBUTING.md has the reasons.
"""

import argparse
import pathlib
import subprocess
import sys
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]

LIMITS = {"file": 500, "function": 70, "columns": 100}

# Which folders of src/ a folder may include, besides itself. Nothing includes communicator.
# A transport sees the common transport/ headers but never another transport. Tests (*_test.cpp)
# may also use testing/, and lay one transport over another.
ARROWS = {
    "buffer": (),
    "pickle": ("buffer",),
    "session": ("buffer",),
    "handoff": ("buffer",),
    "io": ("buffer", "handoff"),
    "transport": ("buffer", "handoff", "io"),
    "transport/*": ("buffer", "handoff", "io", "transport"),
    "communicator": ("buffer", "pickle", "session", "handoff", "io", "transport", "transport/*"),
}

# The folder that stands behind each public header.
PUBLIC = {
    "error": "buffer", "message": "buffer", "options": "buffer", "stream": "buffer",
    "uuid": "buffer", "version": "buffer",
    "pickle": "pickle", "serializer": "pickle", "value": "pickle",
    "communicator": "communicator", "future": "communicator", "queue": "communicator",
    "net_queue": "communicator",
}


# Files that are tests or serve them.
TESTS = r"_test\.cpp$|^tests/|^testing/|/conformance\w*\.[ch]pp$|_script\.hpp$"


class Ban(NamedTuple):
    rule: str
    pattern: str      # searched in code with comments and string contents blanked
    instead: str
    where: tuple      # kinds of file: library, session, buffer, test, tool


LIBRARY = ("library",)
ANYWHERE = ("library", "test", "tool")

BANNED = (
    Ban("sleep", r"\b(?:sleep_for|sleep_until|usleep|nanosleep)\s*\(|(?<![\w.>])sleep\s*\(",
        "wait for a condition, or use virtual time", ("library", "test")),
    Ban("print", r"\b(?:printf|fprintf|puts|fputs|putchar|perror)\s*\(|\bstd::(?:cout|cerr|clog)\b",
        "tell the log hook: the library never prints", LIBRARY),
    Ban("end", r"(?<![\w.>:])(?:std::|::)?(?:abort|exit|_exit|quick_exit|terminate)\s*\(",
        "return a Result, or assert an own bug: the library never ends the process", LIBRARY),
    Ban("memory", r"(?<!operator )(?<!<)(?<!>\()\bnew\b(?!\s*\[\])|(?<!= )(?<!operator )\bdelete\b"
        r"|(?<![\w.>])(?:malloc|calloc|realloc|free)\s*\(",
        "std::make_unique, std::make_shared, a container, or BufferPool", LIBRARY),
    Ban("capture", r"\[\s*=\s*[,\]]", "name what the lambda takes", ANYWHERE),
    Ban("endl", r"\bstd::endl\b", "'\\n': endl flushes", ANYWHERE),
    Ban("detach", r"thread[^;{}]*(?:\.|->)detach\s*\(",
        "give the thread an owner that joins it", ANYWHERE),
    Ban("clock", r"\b(?:steady|high_resolution)_clock::now\b|\bsystem_clock\b|\bclock_gettime\s*\(",
        "time is an argument here", ("session", "buffer")),
    Ban("random", r"\brandom_device\b|\bgetrandom\s*\(|(?<![\w.>:])s?rand\s*\(",
        "the seed is an argument here", ("session", "buffer")),
    Ban("unbounded", r"\b(?:strcpy|strcat|sprintf|vsprintf|gets|strtok|alloca)\s*\(",
        "std::string, std::span, std::to_chars", ANYWHERE),
)

# Headers of system calls and of TLS, and the only folder of src/ that may include them.
SYSTEM_HEADERS = (
    r"sys/(?!types\.h|mman\.h)[\w./]+|unistd\.h|fcntl\.h|poll\.h|netdb\.h|netinet/[\w.]+"
    r"|arpa/[\w.]+|pthread\.h|signal\.h|linux/[\w.]+|ifaddrs\.h|openssl/[\w.]+"
)
SYSTEM_FOLDER = "io"

# Headers that one folder of src/ keeps to itself: of a library, of memory.
KEPT_HEADERS = ((r"grpc(?:pp)?/[\w./]+", "transport/grpc"), (r"sys/mman\.h", "buffer"))

# The session is pure: none of these among the undefined symbols of its archive.
IMPURE = (
    r"pthread_|sem_|futex|syscall$|clone$|fork$|thrd_|mtx_|cnd_",                  # threads
    r"std::thread|std::condition_variable|std::this_thread|std::jthread",
    r"clock$|clock_|gettimeofday|time$|nanosleep|usleep|sleep$|timerfd",            # clocks
    r"std::chrono::_V2::\w+_clock::now",
    r"getrandom|getentropy|s?rand$|s?random$|std::random_device",                  # randomness
    r"socket|epoll_|p?poll$|p?select$|accept4?$|bind$|connect$|listen$|shutdown$",  # input, output
    r"recv(?:from|m?msg)?(?:_chk)?$|send(?:to|m?msg|file(?:64)?)?$|read_chk$|p?readv?$|p?writev?$",
    r"open(?:at)?(?:64)?$|close$|eventfd|fcntl|ioctl",
    r"fopen|fclose|fread|fwrite|f?puts|putchar|v?f?printf|perror|getenv",
    r"std::cout|std::cerr|std::clog|std::basic_[io]?fstream|std::filesystem",
)


class Exemption(NamedTuple):
    rule: str
    path: str
    reason: str


# Each is used, or the tidy test fails.
EXEMPT = (
    Exemption("system", "src/buffer/uuid.cpp", "an identity needs the system's entropy"),
    Exemption("random", "src/buffer/uuid.cpp", "the same; the session is given its Uuid"),
    Exemption("system", "src/handoff/bias.cpp", "a fence for other threads: membarrier(2)"),
    Exemption("sleep", "src/handoff/bias.cpp", "for a favourite of lower priority, to get out"),
    Exemption("detach", "src/handoff/callbacks.cpp", "stopped from a callback: can't join itself"),
    Exemption("detach", "src/io/resolver.cpp", "getaddrinfo can't be interrupted, only abandoned"),
    Exemption("memory", "src/buffer/pool.cpp", "the one allocator: blocks grow by realloc"),
    Exemption("kept", "src/io/pacing_test.cpp", "memory that can't be read, so that a send fails"),
)


def files_of_project() -> list[str]:
    """What git tracks or would track; without git, everything but build directories."""
    listing = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode == 0 and listing.stdout:
        return [name for name in listing.stdout.splitlines() if (ROOT / name).is_file()]
    return [
        str(path.relative_to(ROOT)) for path in ROOT.rglob("*")
        if path.is_file() and path.relative_to(ROOT).parts[0] not in ("build", ".git")]


def check_files(names: list[str], whole_project: bool) -> list[str]:
    import rules

    findings, used = [], set()
    for name in names:
        try:
            source = (ROOT / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a corpus or another binary file
        present = lambda path: (ROOT / path).is_file()
        for finding in rules.check(name, source, present):
            exempt = [e for e in EXEMPT if (e.rule, e.path) == (finding.rule, name)]
            used.update(exempt)
            if not exempt:
                findings.append(f"{name}:{finding.line}: [{finding.rule}] {finding.text}")
    if whole_project:
        findings += [
            f"{e.path}: [exempt] nothing to exempt from {e.rule} any more: remove it from tidy.py"
            for e in EXEMPT if e not in used]
    return findings


def check_archive(path: str) -> list[str]:
    import rules

    listing = subprocess.run(
        ["nm", "--undefined-only", "--demangle", path], capture_output=True, text=True, check=True)
    return [
        f"{path}: [purity] {symbol}: the session is given time, seed and octets as arguments"
        for symbol in rules.impure_symbols(listing.stdout)]


def main() -> int:
    parser = argparse.ArgumentParser(description="Checks the rules of this code base.")
    parser.add_argument("--archive", help="the session's archive, for its undefined symbols")
    parser.add_argument("--self-test", action="store_true", help="prove that each rule can fail")
    parser.add_argument("files", nargs="*", help="relative to the project")
    arguments = parser.parse_args()
    if arguments.self_test:
        import self_test

        return self_test.run()
    names = arguments.files or files_of_project()
    findings = check_files(names, whole_project=not arguments.files)
    if arguments.archive:
        findings += check_archive(arguments.archive)
    for finding in findings:
        print(finding)
    print(f"tidy: {len(names)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    # Under its own name too, so that rules.py reads the tables of this very module.
    sys.modules["tidy"] = sys.modules["__main__"]
    sys.exit(main())
