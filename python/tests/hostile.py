# SPDX-License-Identifier: Apache-2.0
"""The table of hostile pickles of the C++ reader, row by row."""

MANY = 3_000_000


def number4(number):
    """As LONG_BINPUT and LONG_BINGET have it."""
    return number.to_bytes(4, "little")


def sparse_memo():
    return b"N" + b"".join(b"r" + number4(i * 7919) for i in range(1, 500_000))


def sparse_memo_of_lists():
    return b"".join(b"]r" + number4(i * 7919) for i in range(1, 500_000))


def memo_behind_sparse():
    """Dense entries after sparse ones."""
    return (b"N" + b"".join(b"r" + number4(i * 7_919_000 % 2**32) for i in range(1, 1000))
            + b"\x94" * MANY)


GADGETS = {
    "os.system": b"cos\nsystem\n(S'id'\ntR.",
    "posix.system": b"cposix\nsystem\n(S'id'\ntR.",
    "nt.system": b"cnt\nsystem\n(S'id'\ntR.",
    "eval": b"cbuiltins\neval\n(S'1'\ntR.",
    "eval by its name in Python 2": b"c__builtin__\neval\n(S'1'\ntR.",
    "exec in protocol 4": b"\x80\x04\x8c\x08" b"builtins\x8c\x04" b"exec\x93.",
    "import": b"c__builtin__\n__import__\n(S'os'\ntR.",
    "getattr": b"c__builtin__\ngetattr\n.",
    "an instance of Popen": b"(isubprocess\nPopen\n.",
    "OBJ of Popen": b"(csubprocess\nPopen\nS'id'\no.",
    "NEWOBJ of Popen": b"csubprocess\nPopen\n)\x81.",
    "functools.partial": b"cfunctools\npartial\n.",
    "operator.attrgetter": b"coperator\nattrgetter\n.",
    "import_module": b"cimportlib\nimport_module\n.",
    "marshal": b"cmarshal\nloads\n.",
    "pickle itself": b"cpickle\nloads\n.",
    "codecs, not _codecs": b"ccodecs\nencode\n.",
    "dotted name": b"cuuid\nUUID.__init__.__globals__\n.",
    "dotted name in protocol 4": b"\x80\x04\x8c\x04uuid\x8c\x0dUUID.__init__\x93.",
    "name cut elsewhere": b"c\nuuid.UUID\n.",
    "module and name from the memo":
        b"\x80\x04\x8c\x02os\x94" b"0\x8c\x06system\x94" b"0h\x00h\x01\x93.",
    "known words in a new pair": b"\x80\x04\x8c\x04uuid\x8c\x06" b"encode\x93.",
    "behind a million items": b"(" + b"N" * MANY + b"cos\nsystem\n(tR.",
    "name with line breaks": b"\x80\x04\x8c\x03o\ns\x8c\x01x\x93.",
}
LYING_LENGTHS = {
    "BINBYTES of 4 GiB": b"B\xff\xff\xff\xff" b"abc.",
    "BINBYTES8 of 2^63": b"\x8e\x00\x00\x00\x00\x00\x00\x00\x80" b"abc.",
    "BINUNICODE of 1 GiB": b"X\x00\x00\x00\x40" b"abc.",
    "BINUNICODE8 of 2^64 - 1": b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff" b"abc.",
    "BYTEARRAY8 of 2^40": b"\x96\x00\x00\x00\x00\x00\x01\x00\x00" b"abc.",
    "LONG1 of 255": b"\x8a\xff" b"abc.",
    "LONG4 of 2 GiB": b"\x8b\xff\xff\xff\x7f" b"abc.",
    "LONG4 of -1": b"\x8b\xff\xff\xff\xff" b"abc.",
    "BINSTRING of -2^31": b"T\x00\x00\x00\x80" b"abc.",
    "FRAME of 2^63": b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x80N.",
    "half a float": b"G\x3f\xf0",
    "half an int": b"J\x01\x02",
    "a line without an end": b"I123",
    "a global of one line": b"cuuid\nUUID",
    "no STOP": b"(lp0\n",
    "nothing at all": b"",
    "an int of 5000 digits": b"L" + b"1" * 5000 + b"L\n.",
    "a number that is none": b"F1.5.5\n.",
    "an int that is none": b"I0x10\n.",
}
BOMBS = {
    "memo: millions of entries": b"N" + b"\x94" * MANY + b"R.",
    "memo: millions of lists": (b"]\x94") * (MANY // 2) + b".",
    "memo: sparse entries": sparse_memo() + b"0.",
    "memo: sparse entries of lists": sparse_memo_of_lists() + b".",
    "memo: dense behind sparse": memo_behind_sparse() + b"0.",
    "memo: entry 2^32 - 1 that is not there": b"j\xff\xff\xff\xff.",
    "memo: index of 2^64": b"Np18446744073709551616\n.",
    "memo: index below 0": b"Np-1\n.",
    "memo: millions of references": b"Np0\n(" + b"h\x00" * MANY + b"NR.",
    "memo: one entry twice": b"Nq\1q\1.",
    "memo: a mark": b"(q\1.",
    "stack: millions of items": b"N" * MANY + b".",
    "stack: millions of marks": b"(" * MANY + b".",
    "stack: millions of copies": b"]" + b"2" * MANY + b".",
    "nesting: open lists": b"]" * MANY + (b"a") * (MANY - 1),
    "nesting: lists beyond the budget": b"(" + b"]" * MANY + b"l.",
    "instances beyond the budget": b"cm\nC\nq\x00(" + (b"h\x00)R") * (MANY // 4) + b"l.",
    "globals beyond the budget": b"Vm\nq\1" + (b"h\1h\1\x93" b"0") * (MANY // 6) + b"I\n.",
    "a str of 3 MB that is none": b"X" + number4(MANY) + b"\xff" * MANY + b".",
    "a literal of 3 MB that is none": b"V" + b"\xe9" * MANY + b"\\u12\n.",
    "a quoted literal of 3 MB that is none": b"S'" + b"x" * MANY + b"\\x1'\n.",
}
NONSENSE = {
    "unknown opcode": b"\x7f.",
    "opcode 0": b"\x00.",
    "only STOP": b".",
    "two values": b"NN.",
    "a second pickle": b"N.N.",
    "APPEND to a tuple": b")Na.",
    "APPEND to nothing": b"Na.",
    "APPENDS without a mark": b"]Ne.",
    "SETITEM of a list": b"]NNs.",
    "SETITEMS of one key": b"}(Nu.",
    "DICT of one key": b"(Nd.",
    "a list as a key": b"}]Ns.",
    "a dict as a key of many": b"}(NN}Nu.",
    "a set in a set": b"\x8f(\x8f\x90.",
    "a bytearray in a frozenset": b"(\x96\x00\x00\x00\x00\x00\x00\x00\x00\x91.",
    "BUILD of a list": b"]}b.",
    "BUILD twice": b"cm\nC\n)\x81NbNb.",
    "items after the state": b"cm\nC\n)\x81NbNa.",
    "REDUCE of a str": b"Vos.system\n)R.",
    "REDUCE without a tuple": b"cm\nC\n]R.",
    "REDUCE of a mark": b"cm\nC\n(R.",
    "NEWOBJ_EX without a dict": b"cm\nC\n))\x92.",
    "STACK_GLOBAL of ints": b"K\x01K\x02\x93.",
    "a global of 300 octets": b"c" + b"m" * 300 + b"\nC\n.",
    "a global of 300 octets in protocol 4":
        b"X\x2c\x01\x00\x00" + b"m" * 300 + b"\x8c\x01" b"C\x93.",
    "OBJ without a class": b"(o.",
    "a list in itself": b"]q\x00h\x00" b"a.",
    "a list in itself by DUP": b"]2a.",
    "a list in its tuple": b"]q\x00h\x00\x85" b"a.",
    "a dict in itself": b"}q\x00Nh\x00s.",
    "an instance in its state": b"cm\nC\n)\x81q\x00h\x00" b"b.",
    "a list in itself by two entries": b"]q\x00q\x01h\x01" b"a.",
    "overlong UTF-8": b"X\x02\x00\x00\x00\xc0\x80.",
    "a Python 2 string of 0xff": b"U\x01\xff.",
    "a literal without quotes": b"Sabc\n.",
    "half an escape": b"V\\u12\n.",
    "a code point beyond Unicode": b"V\\U00110000\n.",
}
UNSUPPORTED = {
    "protocol 6": b"\x80\x06N.",
    "persistent id": b"P123\n.",
    "binary persistent id": b"NQ.",
    "EXT1": b"\x82\x01.",
    "EXT2": b"\x83\x01\x00.",
    "EXT4": b"\x84\x01\x00\x00\x00.",
    "out-of-band buffer": b"\x97.",
    "read-only buffer": b"N\x98.",
}
ALL = GADGETS | LYING_LENGTHS | BOMBS | NONSENSE | UNSUPPORTED
