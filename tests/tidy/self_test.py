# SPDX-License-Identifier: Apache-2.0
"""Proves that each rule can fail, and that what looks like a breach of it passes."""

import rules
import scan
import tidy

SPDX = "// SPDX-License-Identifier: Apache-2.0\n"
HASH = "# SPDX-License-Identifier: Apache-2.0\n"
LONG = "    x();\n" * 70
SOURCE, HEADER, TEST = "src/session/a.cpp", "src/session/a.hpp", "src/session/a_test.cpp"

# rule, file, what must be found there, what must not
CASES = (
    ("length", SOURCE, "int i;\n" * 500, "int i;\n" * 499),
    ("columns", SOURCE, "//" + "x" * 99, "//" + "ä" * 98),
    ("columns", "cmake/a.cmake", "#" + "x" * 100, "# short"),
    ("function", SOURCE, "void f() {\n" + LONG + "}\n", "void f() {\n" + LONG[9 * 2:] + "}\n"),
    ("function", SOURCE, "namespace a {\nA::A() : b_{1}, c_(2) {\n" + LONG + "}\n}\n",
     "namespace a {\n" + "void f() {}\n" * 99 + "}\n"),
    ("function", SOURCE, "template <class T>\nauto f(T t) -> int {\n" + LONG + "}\n",
     "template <class T>\nclass A final : B {\n" + "  void f() const;\n" * 99 + "};\n"),
    ("function", TEST, 'TEST_CASE("a { b") {\n' + LONG + "}\n",
     "constexpr int t[] = {\n" + "1'000,\n" * 99 + "};\nenum class E {\n" + "a,\n" * 99 + "};\n"),
    ("function", "tools/a.py", "def f():\n" + "    x()\n" * 70, "def f():\n" + "    x()\n" * 69),
    ("own", SOURCE, '#include <vector>\n#include "session/a.hpp"\n',
     '// #include <vector>\n#include "session/a.hpp"\n#include <vector>\n'),
    ("sleep", TEST, "std::this_thread::sleep_for(1s);", '// sleep_for(1)\nf("sleep(1)");'),
    ("sleep", "tests/a.cpp", "sleep(1);", "network.sleep(1);"),
    ("print", SOURCE, "std::cerr << 1;", "std::snprintf(b, n, f);"),
    ("print", SOURCE, 'printf("a");', 'log("printf()");'),
    ("end", SOURCE, "std::abort();", "transport.abort(); f::exit();"),
    ("end", SOURCE, "exit(1);", "on_exit(1);"),
    ("memory", SOURCE, "auto a = new A;", "#include <new>\nA(const A&) = delete; // new A"),
    ("memory", SOURCE, "delete a;", "return std::shared_ptr<A>(new A());"),
    ("memory", SOURCE, "std::free(a);", "pool.free(a); renew(a);"),
    ("capture", SOURCE, "f([=] { g(); });", "f([a = b] { g(); });"),
    ("capture", TEST, "f([=, this] { g(); });", "a[i] = 3;"),
    ("endl", "tools/nq/a.cpp", "out << std::endl;", "out << '\\n';"),
    ("detach", TEST, "thread.detach();", "thread.join(); self->detach();"),
    ("detach", SOURCE, "std::thread(std::move(f)).detach();", "detach();"),
    ("clock", SOURCE, "auto n = std::chrono::steady_clock::now();", "steady_clock::time_point t;"),
    ("clock", "src/buffer/a.cpp", "system_clock::time_point t;", "Clock::now();"),
    ("random", SOURCE, "std::random_device d;", "std::mt19937_64 r(seed);"),
    ("random", SOURCE, "x = rand();", "strand(); operand();"),
    ("unbounded", SOURCE, "strcpy(a, b);", "my_strcpy(a, b);"),
    ("todo", SOURCE, "// TODO: later", "// TODO(#12): later"),
    ("todo", "scripts/a.sh", "# FIXME", "# fixed"),
    ("order", SOURCE, "// why\n\n\n\na.load(std::memory_order_relaxed);",
     "// why\n\n\na.load(std::memory_order_relaxed);"),
    ("order", SOURCE, "\n\n\na.load(std::memory_order_relaxed);",
     "a.load(std::memory_order_relaxed);  // why"),
    ("order", SOURCE, "void f() {\n// here and below\n}\n\n\nvoid g() {\nmemory_order_relaxed;\n}",
     "void f() {\n// here and below\n\n\n\n\nmemory_order_relaxed;\n}"),
    ("arrow", SOURCE, '#include "io/reactor.hpp"\n', '#include "buffer/pool.hpp"\n'),
    ("arrow", SOURCE, "#include <net_queue/queue.hpp>\n", "#include <net_queue/stream.hpp>\n"),
    ("arrow", SOURCE, '#include "frame.hpp"\n', '#include "session/frame.hpp"\n'),
    ("arrow", SOURCE, '#include "testing/model.hpp"\n', "#include <vector>\n"),
    ("arrow", "src/buffer/a.cpp", '#include "session/a.hpp"\n', '#include "buffer/a.hpp"\n'),
    ("arrow", "src/io/a.cpp", '#include "communicator/a.hpp"\n', '#include "handoff/a.hpp"\n'),
    ("arrow", "src/transport/tcp/a.cpp", '#include "transport/mqtt/a.hpp"\n',
     '#include "transport/tcp/a.hpp"\n#include "transport/transport.hpp"\n'),
    ("arrow", "src/transport/tcp/a.cpp", '#include "session/a.hpp"\n', '#include "io/a.hpp"\n'),
    ("arrow", "src/communicator/a.cpp", '#include "a.hpp"\n', '#include "transport/tcp/a.hpp"\n'),
    ("arrow", "include/net_queue/stream.hpp", "#include <net_queue/value.hpp>\n",
     "#include <net_queue/uuid.hpp>\n"),
    ("system", SOURCE, "#include <sys/socket.h>\n", "#include <sys/types.h>\n"),
    ("kept", "src/transport/tcp/a.cpp", "#include <grpcpp/channel.h>\n",
     "#include <grp.h>\n"),
    ("kept", "src/io/a.cpp", "#include <sys/mman.h>\n", "#include <sys/socket.h>\n"),
    ("system", "src/communicator/a.cpp", "#include <unistd.h>\n", "#include <thread>\n"),
    ("machine", "README.md", "see /" + "work/a", "see build/work/a, net/" + "work"),
    ("machine", "scripts/a.sh", "cd /" + "root/a", "${tree}/" + "root"),
)

IMPURE = (
    "pthread_create@GLIBC_2.34", "clock_gettime@GLIBC_2.17", "getrandom@GLIBC_2.25",
    "std::chrono::_V2::steady_clock::now()", "epoll_wait", "socket", "recv", "sendmsg", "read",
    "__read_chk", "write", "writev", "open64", "close", "time", "printf", "__printf_chk",
    "std::random_device::_M_getval()", "std::cout", "std::thread::join()", "getenv", "rand",
)
PURE = (
    "memcpy@GLIBC_2.14", "operator new(unsigned long)", "nq::Stream::read(unsigned long)",
    "nq::detail::SendHalf::close()", "__assert_fail", "std::__throw_length_error(char const*)",
    "_Unwind_Resume", "__snprintf_chk_of_ours", "sendable(int)::x", "reader", "timers",
)


def _rules_found(name: str, source: str) -> set[str]:
    return {finding.rule for finding in rules.check(name, source, lambda path: path == HEADER)}


def _failures_of_cases() -> list[str]:
    failures = []
    for rule, name, bad, good in CASES:
        start = SPDX if name.endswith("pp") else HASH
        if name.endswith(".hpp"):
            start += "#pragma once\n"
        if rule not in _rules_found(name, start + bad):
            failures.append(f"{rule}: not found in {bad[:60]!r}")
        if rule in _rules_found(name, start + good):
            failures.append(f"{rule}: wrongly found in {good[:60]!r}")
    return failures


def _failures_of_first_lines() -> list[str]:
    expected = (
        (HEADER, SPDX, {"pragma"}),
        (HEADER, "#pragma once\n", {"spdx"}),
        (HEADER, SPDX + "#pragma once\n", set()),
        ("scripts/test", "#!/usr/bin/env bash\n" + HASH, set()),
        ("scripts/test", "#!/usr/bin/env bash\n", {"spdx"}),
        ("src/session/CMakeLists.txt", "project(x)\n", {"spdx"}),
        ("src/unheard_of/a.cpp", SPDX, {"arrow"}),
    )
    return [
        f"{name}: found {found}, expected {rules_} in {source!r}"
        for name, source, rules_ in expected
        if (found := _rules_found(name, source)) != rules_]


def _failures_of_symbols() -> list[str]:
    def found(symbol: str) -> bool:
        return bool(rules.impure_symbols(f"a.cpp.o:\n                 U {symbol}\n"))

    return [f"purity: missed {symbol}" for symbol in IMPURE if not found(symbol)] + [
        f"purity: wrongly found {symbol}" for symbol in PURE if found(symbol)]


def _failures_of_scan() -> list[str]:
    source = 'auto a = R"(} // ")"; /* { */ int b = 1\'000; char c = \'"\'; // "\nf();\n'
    code = scan.code(source)
    failures = []
    if "}" in code or "{" in code or "f();" not in code or len(code) != len(source):
        failures.append(f"scan: {code!r}")
    if scan.comment_lines("a\n/* b\nc */\nd // e\n") != {2, 3, 4}:
        failures.append("scan: comment_lines")
    return failures


def run() -> int:
    """Prints what fails; 1 if anything does."""
    failures = (_failures_of_cases() + _failures_of_first_lines() + _failures_of_symbols()
                + _failures_of_scan())
    untested = {ban.rule for ban in tidy.BANNED} - {case[0] for case in CASES}
    failures += [f"{rule}: has no case in self_test.py" for rule in sorted(untested)]
    for failure in failures:
        print(failure)
    print(f"tidy self-test: {len(CASES)} cases, {len(failures)} failures")
    return 1 if failures else 0
