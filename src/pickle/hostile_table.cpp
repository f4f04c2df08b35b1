// SPDX-License-Identifier: Apache-2.0
#include "pickle/hostile_table.hpp"

#include "pickle/test_support.hpp"

namespace nq::testing {

namespace {

constexpr std::size_t k_many = 3'000'000;

/// `index` as LONG_BINPUT and LONG_BINGET have it.
std::string number4(std::uint32_t number) {
    std::string octets;
    for (int shift = 0; shift < 32; shift += 8)
        octets.push_back(static_cast<char>(number >> shift));
    return octets;
}

std::string sparse_memo() {
    std::string octets = "N";
    for (std::uint32_t i = 1; i < 500'000; ++i) octets += "r" + number4(i * 7919);
    return octets;
}

std::string sparse_memo_of_lists() {
    std::string octets;
    for (std::uint32_t i = 1; i < 500'000; ++i) octets += "]r" + number4(i * 7919);
    return octets;
}

/// Dense entries after sparse ones, which they must not follow into the sparse part.
std::string memo_behind_sparse() {
    std::string octets = "N";
    for (std::uint32_t i = 1; i < 1000; ++i) octets += "r" + number4(i * 7'919'000);
    return octets + repeated("\x94", k_many);
}

}  // namespace

std::vector<Hostile> gadgets() {
    return {
        {"os.system", "cos\nsystem\n(S'id'\ntR.", "'os.system'", true},
        {"posix.system", "cposix\nsystem\n(S'id'\ntR.", "'posix.system'", true},
        {"nt.system", "cnt\nsystem\n(S'id'\ntR.", "'nt.system'", true},
        {"eval", "cbuiltins\neval\n(S'1'\ntR.", "'builtins.eval'", true},
        {"eval by its name in Python 2", "c__builtin__\neval\n(S'1'\ntR.", "'builtins.eval'", true},
        {"exec in protocol 4",
         pickle("\x80\x04\x8c\x08"
                "builtins\x8c\x04"
                "exec\x93."),
         "'builtins.exec'", true},
        {"import", "c__builtin__\n__import__\n(S'os'\ntR.", "'builtins.__import__'", true},
        {"getattr", "c__builtin__\ngetattr\n.", "'builtins.getattr'", true},
        {"an instance of Popen", "(isubprocess\nPopen\n.", "'subprocess.Popen'", true},
        {"OBJ of Popen", "(csubprocess\nPopen\nS'id'\no.", "'subprocess.Popen'", true},
        {"NEWOBJ of Popen", "csubprocess\nPopen\n)\x81.", "'subprocess.Popen'", true},
        {"functools.partial", "cfunctools\npartial\n.", "'functools.partial'", true},
        {"operator.attrgetter", "coperator\nattrgetter\n.", "'operator.attrgetter'", true},
        {"import_module", "cimportlib\nimport_module\n.", "'importlib.import_module'", true},
        {"marshal", "cmarshal\nloads\n.", "'marshal.loads'", true},
        {"pickle itself", "cpickle\nloads\n.", "'pickle.loads'", true},
        {"codecs, not _codecs", "ccodecs\nencode\n.", "'codecs.encode'", true},
        {"dotted name", "cuuid\nUUID.__init__.__globals__\n.", "is not allowed", true},
        {"dotted name in protocol 4", pickle("\x80\x04\x8c\x04uuid\x8c\x0dUUID.__init__\x93."),
         "is not allowed", true},
        {"name cut elsewhere", "c\nuuid.UUID\n.", "is not allowed", true},
        {"module and name from the memo",
         pickle("\x80\x04\x8c\x02os\x94"
                "0\x8c\x06system\x94"
                "0h\x00h\x01\x93."),
         "is not allowed", true},
        {"known words in a new pair",
         pickle("\x80\x04\x8c\x04uuid\x8c\x06"
                "encode\x93."),
         "'uuid.encode'", true},
        {"behind a million items", "(" + repeated("N", k_many) + "cos\nsystem\n(tR.", "'os.system'",
         true},
        {"name with line breaks", pickle("\x80\x04\x8c\x03o\ns\x8c\x01x\x93."), "'o?s.x'", true},
    };
}

std::vector<Hostile> lying_lengths() {
    return {
        {"BINBYTES of 4 GiB",
         pickle("B\xff\xff\xff\xff"
                "abc."),
         "octets short"},
        {"BINBYTES8 of 2^63",
         pickle("\x8e\x00\x00\x00\x00\x00\x00\x00\x80"
                "abc."),
         "octets short"},
        {"BINUNICODE of 1 GiB",
         pickle("X\x00\x00\x00\x40"
                "abc."),
         "octets short"},
        {"BINUNICODE8 of 2^64 - 1",
         pickle("\x8d\xff\xff\xff\xff\xff\xff\xff\xff"
                "abc."),
         "octets short"},
        {"BYTEARRAY8 of 2^40",
         pickle("\x96\x00\x00\x00\x00\x00\x01\x00\x00"
                "abc."),
         "octets short"},
        {"LONG1 of 255",
         pickle("\x8a\xff"
                "abc."),
         "octets short"},
        {"LONG4 of 2 GiB",
         pickle("\x8b\xff\xff\xff\x7f"
                "abc."),
         "octets short"},
        {"LONG4 of -1",
         pickle("\x8b\xff\xff\xff\xff"
                "abc."),
         "negative length"},
        {"BINSTRING of -2^31",
         pickle("T\x00\x00\x00\x80"
                "abc."),
         "negative length"},
        {"FRAME of 2^63", pickle("\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x80N."),
         "frame longer than the message"},
        {"half a float", pickle("G\x3f\xf0"), "octets short"},
        {"half an int", pickle("J\x01\x02"), "octets short"},
        {"a line without an end", "I123", "ends inside a line"},
        {"a global of one line", "cuuid\nUUID", "ends inside a line"},
        {"no STOP", "(lp0\n", "before STOP"},
        {"nothing at all", "", "before STOP"},
        {"an int of 5000 digits", "L" + std::string(5000, '1') + "L\n.", "4300 digits"},
        {"a number that is none", "F1.5.5\n.", "no number"},
        {"an int that is none", "I0x10\n.", "no int"},
    };
}

std::vector<Hostile> bombs() {
    return {
        {"memo: millions of entries", "N" + repeated("\x94", k_many) + "R.",
         "nothing on the stack"},
        {"memo: millions of lists", repeated("]\x94", k_many / 2) + ".", "behind"},
        {"memo: sparse entries", sparse_memo() + "0.", "nothing on the stack"},
        {"memo: sparse entries of lists", sparse_memo_of_lists() + ".", "behind"},
        {"memo: dense behind sparse", memo_behind_sparse() + "0.", "nothing on the stack"},
        {"memo: entry 2^32 - 1 that is not there", pickle("j\xff\xff\xff\xff."), "no memo entry"},
        {"memo: index of 2^64", "Np18446744073709551616\n.", "no memo index"},
        {"memo: index below 0", "Np-1\n.", "no memo index"},
        {"memo: millions of references", "Np0\n(" + repeated(pickle("h\0"), k_many) + "NR.",
         "no tuple"},
        {"memo: one entry twice", "Nq\1q\1.", "made twice"},
        {"memo: a mark", "(q\1.", "nothing above the mark"},
        {"stack: millions of items", repeated("N", k_many) + ".", "behind"},
        {"stack: millions of marks", repeated("(", k_many) + ".", "nothing above the mark"},
        {"stack: millions of copies", "]" + repeated("2", k_many) + ".", "behind"},
        {"nesting: open lists", repeated("]", k_many) + repeated("a", k_many - 1), "before STOP"},
        {"nesting: lists beyond the budget", "(" + repeated("]", k_many) + "l.", "object budget"},
        {"instances beyond the budget",
         pickle("cm\nC\nq\0(") + repeated(pickle("h\0)R"), k_many / 4) + "l.", "object budget"},
        {"globals beyond the budget",
         "Vm\nq\1" +
             repeated("h\1h\1\x93"
                      "0",
                      k_many / 6) +
             "I\n.",
         "object budget"},
        {"a str of 3 MB that is none", "X" + number4(k_many) + std::string(k_many, '\xff') + ".",
         "not UTF-8"},
        {"a literal of 3 MB that is none", "V" + std::string(k_many, '\xe9') + "\\u12\n.",
         "no string literal"},
        {"a quoted literal of 3 MB that is none", "S'" + std::string(k_many, 'x') + "\\x1'\n.",
         "no string literal"},
    };
}

std::vector<Hostile> nonsense() {
    return {
        {"unknown opcode", "\x7f.", "unknown opcode 0x7f"},
        {"opcode 0", pickle("\x00."), "unknown opcode 0x00"},
        {"only STOP", ".", "nothing on the stack"},
        {"two values", "NN.", "behind"},
        {"a second pickle", "N.N.", "2 octets follow STOP"},
        {"APPEND to a tuple", ")Na.", "append to what can't be"},
        {"APPEND to nothing", "Na.", "nothing on the stack"},
        {"APPENDS without a mark", "]Ne.", "no mark"},
        {"SETITEM of a list", "]NNs.", "set items of what can't be"},
        {"SETITEMS of one key", "}(Nu.", "a key without a value"},
        {"DICT of one key", "(Nd.", "a key without a value"},
        {"a list as a key", "}]Ns.", "not hashable"},
        {"a dict as a key of many", "}(NN}Nu.", "not hashable"},
        {"a set in a set", "\x8f(\x8f\x90.", "not hashable"},
        {"a bytearray in a frozenset", pickle("(\x96\x00\x00\x00\x00\x00\x00\x00\x00\x91."),
         "not hashable"},
        {"BUILD of a list", "]}b.", "set the state of what can't be"},
        {"BUILD twice", "cm\nC\n)\x81NbNb.", "after its state"},
        {"items after the state", "cm\nC\n)\x81NbNa.", "after its state"},
        {"REDUCE of a str", "Vos.system\n)R.", "no global"},
        {"REDUCE without a tuple", "cm\nC\n]R.", "no tuple"},
        {"REDUCE of a mark", "cm\nC\n(R.", "nothing above the mark"},
        {"NEWOBJ_EX without a dict", "cm\nC\n))\x92.", "no dict"},
        {"STACK_GLOBAL of ints", pickle("K\x01K\x02\x93."), "no str"},
        {"a global of 300 octets", "c" + std::string(300, 'm') + "\nC\n.", "longer than 255"},
        {"a global of 300 octets in protocol 4",
         pickle("X\x2c\x01\x00\x00") + std::string(300, 'm') +
             pickle("\x8c\x01"
                    "C\x93."),
         "longer than 255"},
        {"OBJ without a class", "(o.", "without a class"},
        {"a list in itself",
         pickle("]q\x00h\x00"
                "a."),
         "cyclic"},
        {"a list in itself by DUP", "]2a.", "cyclic"},
        {"a list in its tuple",
         pickle("]q\x00h\x00\x85"
                "a."),
         "cyclic"},
        {"a dict in itself", pickle("}q\x00Nh\x00s."), "cyclic"},
        {"an instance in its state",
         pickle("cm\nC\n)\x81q\x00h\x00"
                "b."),
         "cyclic"},
        {"a list in itself by two entries",
         pickle("]q\x00q\x01h\x01"
                "a."),
         "cyclic"},
        {"overlong UTF-8", pickle("X\x02\x00\x00\x00\xc0\x80."), "not UTF-8"},
        {"a Python 2 string of 0xff", pickle("U\x01\xff."), "not ASCII"},
        {"a literal without quotes", "Sabc\n.", "no string literal"},
        {"half an escape", "V\\u12\n.", "no string literal"},
        {"a code point beyond Unicode", "V\\U00110000\n.", "no string literal"},
    };
}

std::vector<Hostile> unsupported() {
    return {
        {"protocol 6", pickle("\x80\x06N."), "protocol 6"},
        {"persistent id", "P123\n.", "persistent ids"},
        {"binary persistent id", "NQ.", "persistent ids"},
        {"EXT1", pickle("\x82\x01."), "extension codes"},
        {"EXT2", pickle("\x83\x01\x00."), "extension codes"},
        {"EXT4", pickle("\x84\x01\x00\x00\x00."), "extension codes"},
        {"out-of-band buffer", "\x97.", "out-of-band buffers"},
        {"read-only buffer", "N\x98.", "out-of-band buffers"},
    };
}

}  // namespace nq::testing
