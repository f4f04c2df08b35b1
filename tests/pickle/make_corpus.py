# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of fuzz/corpus/pickle_reader: one small pickle for each kind of value.

Usage: make_corpus.py DIRECTORY
"""

import collections
import datetime
import decimal
import pathlib
import pickle
import sys
import uuid

import numpy

SHARED = [1, "two"]
VALUES = {
    "scalars": [None, True, False, 0, -1, 300, 70000, 1 << 40, -(1 << 70), 1.5, 2j],
    "text": ["", "abc", "é€\U0001f600", "\ud800", "a\\b\n'"],
    "bytes": [b"", b"\x00\xff", bytearray(b"xyz")],
    "containers": ([], (), {}, set(), frozenset(), [1, (2, 3)], {"k": {1: 2}}, {1, 2},
                   frozenset("a")),
    "shared": [SHARED, SHARED, (SHARED,)],
    "uuid": uuid.UUID("12345678-1234-5678-9234-567812345678"),
    "datetime": [datetime.date(2024, 2, 29), datetime.time(1, 2, 3, 4, fold=1),
                 datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc),
                 datetime.timedelta(-1, 2, 3),
                 datetime.timezone(datetime.timedelta(hours=1), "X")],
    "decimal": [decimal.Decimal("-1.50"), decimal.Decimal("NaN")],
    "numpy": [numpy.arange(3), numpy.float32(1.5), numpy.zeros((2, 2), ">i2", "F"),
              numpy.array(["ab"]), numpy.datetime64("2020-01-01"), numpy.array([b"x"])],
    "fields": numpy.zeros(1, [("a", "i4")]),
    "objects": [collections.OrderedDict(a=1), collections.deque([1], 2), range(3), int,
                ValueError("x")],
}


def main():
    target = pathlib.Path(sys.argv[1])
    for name, value in VALUES.items():
        for protocol in (0, 2, 4, 5):
            (target / f"{name}_{protocol}").write_bytes(pickle.dumps(value, protocol))


if __name__ == "__main__":
    main()
