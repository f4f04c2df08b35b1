// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace nq::detail {

// Pickle is a program for a stack machine with a memo (Python's Lib/pickletools.py tells all):
//
//     pickle      = *instruction STOP
//     instruction = opcode argument                  numbers are little-endian:
//     u1 u2 u4 u8 = unsigned of 1, 2, 4, 8 octets    i4 = signed of 4 octets
//     f8          = IEEE 754 double, big-endian
//     counted1 .. counted8 = length octets           length: u1, u4, u8
//     countedi    = length octets                    length: i4, not negative
//     line        = octets LF
//
// MARK is a stack item of its own; "items" below are what stands above the topmost MARK, which
// goes with them.
enum class Op : std::uint8_t {
    // Scalars: push.
    none = 'N',
    new_true = 0x88,
    new_false = 0x89,
    integer = 'I',            // line: decimal, or 00 and 01 for False and True
    binint = 'J',             // i4
    binint1 = 'K',            // u1
    binint2 = 'M',            // u2
    long_text = 'L',          // line: decimal with an "L" at its end
    long1 = 0x8a,             // counted1: two's complement, little-endian
    long4 = 0x8b,             // countedi
    float_text = 'F',         // line
    binfloat = 'G',           // f8
    string = 'S',             // line: a literal of Python 2 in quotes
    binstring = 'T',          // countedi: ASCII
    short_binstring = 'U',    // counted1
    unicode = 'V',            // line: raw-unicode-escape
    binunicode = 'X',         // counted4: UTF-8
    short_binunicode = 0x8c,  // counted1
    binunicode8 = 0x8d,       // counted8
    binbytes = 'B',           // counted4
    short_binbytes = 'C',     // counted1
    binbytes8 = 0x8e,         // counted8
    bytearray8 = 0x96,        // counted8
    // Containers.
    empty_list = ']',
    empty_tuple = ')',
    empty_dict = '}',
    empty_set = 0x8f,
    list = 'l',        // items -> list
    tuple = 't',       // items -> tuple
    tuple1 = 0x85,     // a -> tuple
    tuple2 = 0x86,     // a b -> tuple
    tuple3 = 0x87,     // a b c -> tuple
    dict = 'd',        // items -> dict
    frozenset = 0x91,  // items -> frozenset
    append = 'a',      // list a -> list
    appends = 'e',     // list items -> list
    setitem = 's',     // dict key value -> dict
    setitems = 'u',    // dict items -> dict
    additems = 0x90,   // set items -> set
    // Globals and instances.
    global = 'c',         // line line: module, name
    stack_global = 0x93,  // module name -> global
    reduce = 'R',         // global tuple -> instance
    build = 'b',          // instance state -> instance
    instance = 'i',       // line line; items -> instance
    object = 'o',         // MARK global items -> instance
    newobj = 0x81,        // global tuple -> instance
    newobj_ex = 0x92,     // global tuple dict -> instance
    // The memo.
    put = 'p',          // line: decimal
    binput = 'q',       // u1
    long_binput = 'r',  // u4
    memoize = 0x94,
    get = 'g',          // line: decimal
    binget = 'h',       // u1
    long_binget = 'j',  // u4
    // Control.
    mark = '(',
    pop = '0',
    pop_mark = '1',
    dup = '2',
    proto = 0x80,  // u1
    frame = 0x95,  // u8: octets in the frame that follows
    stop = '.',
    // What needs the other side's program, and is refused.
    persid = 'P',  // line
    binpersid = 'Q',
    ext1 = 0x82,  // u1
    ext2 = 0x83,  // u2
    ext4 = 0x84,  // i4
    next_buffer = 0x97,
    readonly_buffer = 0x98,
};

}  // namespace nq::detail
