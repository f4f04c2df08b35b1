# SPDX-License-Identifier: Apache-2.0
"""What a restricted PickleSerializer lets through: exact names, and nothing else."""

import collections
import decimal
import fractions
import io
import pickle
import sys
import types
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import TIMEOUT

import net_queue as nq
from net_queue.utils.stream import PickleSerializer as FromStream
from net_queue.utils.stream import Stream
from net_queue.utils.streamtools import PickleSerializer


def load(octets, *arguments, **options):
    return PickleSerializer(*arguments, **options).load(Stream.frombytes(octets))


def named(module, name, protocol=4):
    """A pickle of nothing but a name."""
    if protocol < 4:
        return b"\x80\x02" + f"c{module}\n{name}\n.".encode()
    texts = (b"\x8c" + bytes([len(text.encode())]) + text.encode() for text in (module, name))
    return b"\x80\x04" + b"".join(texts) + b"\x93."


def assert_refused(octets, *arguments, **options):
    with pytest.raises(pickle.UnpicklingError, match="not allowed"):
        load(octets, *arguments, **options)


def test_the_serializers_are_the_same_at_both_places():
    assert FromStream is PickleSerializer


PLAIN = [None, True, 1, -2**70, 1.5, "text", b"octets", [1, [2]], (1, (2,)), {"a": {1: None}}]


def test_nothing_allowed_is_plain_data():
    for thing in PLAIN:
        assert load(pickle.dumps(thing, 5), []) == thing
    assert_refused(pickle.dumps(uuid.UUID(int=1)), [])
    assert_refused(pickle.dumps(bytearray(3), 4), [])
    assert load(pickle.dumps(bytearray(3), 5), []) == bytearray(3)
    assert load(pickle.dumps({1, 2}, 5), ()) == {1, 2}


@pytest.mark.parametrize("protocol", range(6))
def test_exact_names(protocol):
    fraction = fractions.Fraction(3, 4)
    octets = pickle.dumps(fraction, protocol)
    helpers = ["copyreg._reconstructor", "builtins.object"] if protocol < 2 else []
    assert load(octets, ["fractions.Fraction", *helpers]) == fraction
    for wrong in (["fractions.Fractio"], ["fractions.Fraction.x"], ["Fraction"],
                  ["xfractions.Fraction"], ["fractions"[:-1]], ["decimal"], ["decimal.Decimal"]):
        assert_refused(octets, wrong)


def test_whole_modules():
    for thing in (fractions.Fraction(3, 4), decimal.Decimal("1.5")):
        octets = pickle.dumps(thing)
        assert load(octets, [type(thing).__module__]) == thing
        assert load(octets, restrict=[type(thing).__module__, "uuid"]) == thing
    # What a module has only imported is not its own.
    for module, name in (("fractions", "Decimal"), ("fractions", "math"), ("fractions", "re"),
                         ("uuid", "os"), ("uuid", "sys"), ("decimal", "sys"),
                         ("collections", "_sys"), ("collections", "_chain")):
        assert_refused(named(module, name), [module])


NEVER = ("eval exec getattr setattr delattr __import__ open compile globals locals vars dir input "
         "breakpoint exit quit help print id hasattr __build_class__ __loader__ __spec__ super "
         "type classmethod staticmethod property memoryview.__class__ callable iter next").split()


@pytest.mark.parametrize("name", NEVER)
def test_builtins_as_a_whole_are_values(name):
    for protocol in (2, 4):
        assert_refused(named("builtins", name, protocol), ["builtins"])
        assert_refused(named("__builtin__", name, protocol), ["builtins"])


def test_builtins_as_a_whole_has_the_classes_of_values():
    for thing in (range(3), complex(1, 2), slice(1), bytearray(5), frozenset({1}),
                  ValueError("text")):
        loaded = load(pickle.dumps(thing, 4), ["builtins"])
        assert type(loaded) is type(thing) and str(loaded) == str(thing)


def test_only_classes_pass_from_builtins():
    passed = [name for name in dir(__import__("builtins"))
              if _passes(named("builtins", name), ["builtins"])]
    assert {"int", "set", "range", "ValueError"} <= set(passed)
    assert all(isinstance(getattr(__import__("builtins"), name), type) for name in passed)


def _passes(octets, *arguments):
    try:
        load(octets, *arguments)
    except pickle.UnpicklingError:
        return False
    return True


@pytest.mark.parametrize("names", [["uuid"], ["uuid.UUID"], ["uuid.UUID.__init__"],
                                   ["uuid.UUID.__init__.__globals__"], lambda *_: True])
def test_dotted_names_never_pass(names):
    for name in ("UUID.__init__", "UUID.__init__.__globals__", "UUID.hex", "UUID."):
        assert_refused(named("uuid", name), names)
        assert_refused(named("uuid", name, 2), names)


def test_names_that_are_cut_elsewhere():
    for module, name in (("", "uuid.UUID"), ("uuid.UUID", ""), ("uuid.", "UUID"),
                         (".uuid", "UUID")):
        assert_refused(named(module, name), ["uuid.UUID"])


def test_submodules_are_not_imported():
    for name in ("__main__", "main", "tool", "decoder"):
        sys.modules.pop(f"json.{name}", None) if name != "decoder" else None
        before = set(sys.modules)
        with pytest.raises(pickle.UnpicklingError):
            load(named("json", name), ["json", "unittest"])
        assert f"json.{name}" not in set(sys.modules) - before
    with pytest.raises(pickle.UnpicklingError):
        load(named("unittest", "__main__"), ["unittest"])
    assert "unittest.__main__" not in sys.modules


def test_a_module_that_was_not_allowed_is_not_imported():
    sys.modules.pop("this", None)
    assert_refused(named("this", "s"), ["uuid"])
    assert "this" not in sys.modules


@pytest.mark.parametrize("module", ["os", "subprocess", "pickle", "importlib", "ctypes", "sys",
                                    "codecs", "logging", "_io"])
def test_modules_that_run_things_are_refused_as_a_whole(module):
    with pytest.raises(ValueError, match="whole"):
        PickleSerializer([module])
    PickleSerializer([f"{module}.name"])


@pytest.mark.parametrize("names", ["uuid.UUID", b"uuid.UUID", [1], [""], [None], 7])
def test_names_of_the_wrong_type(names):
    with pytest.raises(TypeError):
        PickleSerializer(names)


def test_restrict_and_allow_are_one():
    octets = pickle.dumps(uuid.UUID(int=1))
    assert load(octets, allow=["uuid.UUID"]) == load(octets, restrict=["uuid.UUID"])
    with pytest.raises(TypeError):
        PickleSerializer([], allow=[])
    assert_refused(octets, allow=[])


def test_a_callable():
    asked = []

    def allow(module, name):
        asked.append((module, name))
        return name == "Fraction"

    for argument in ({"allow": allow}, {"restrict": allow}):
        assert load(pickle.dumps(fractions.Fraction(1, 3)), **argument) == fractions.Fraction(1, 3)
        assert_refused(pickle.dumps(uuid.UUID(int=1)), **argument)
    assert ("fractions", "Fraction") in asked and ("uuid", "UUID") in asked


def test_what_a_callable_raises_comes_through():
    with pytest.raises(LookupError, match="from allow"):
        def allow(module, name):
            raise LookupError("from allow")
        load(pickle.dumps(uuid.UUID(int=1)), allow=allow)


def test_allow_by_name():
    allow = PickleSerializer.allow_by_name(["uuid.UUID", "fractions"])
    assert allow("uuid", "UUID") and allow("fractions", "Fraction")
    assert not allow("uuid", "uuid4") and not allow("fractions", "gcd")
    assert load(pickle.dumps(uuid.UUID(int=1)), allow=allow) == uuid.UUID(int=1)


def test_names_of_python_2():
    assert load(b"c__builtin__\nset\n((lp0\nI1\natR.", ["builtins.set"]) == {1}
    assert_refused(b"c__builtin__\nset\n((lp0\nI1\natR.", ["builtins.list"])
    assert load(named("UserDict", "UserDict", 2), ["collections.UserDict"]) \
        is collections.UserDict


def test_a_module_named_as_one_of_python_2s_is_itself():
    mine = types.ModuleType("commands")  # in Python 2 what is now subprocess
    mine.Popen = type("Popen", (), {"__module__": "commands"})
    sys.modules["commands"] = mine
    try:
        for protocol in (2, 4):
            octets = named("commands", "Popen", protocol)
            assert load(octets, ["commands.Popen"]) is mine.Popen
            assert_refused(octets, ["commands"[:-1]])
    finally:
        del sys.modules["commands"]


def test_persistent_hooks():
    here = {"stdout": io.StringIO(), "stdin": io.StringIO()}
    names = {id(value): name for name, value in here.items()}
    serializer = PickleSerializer(dump=lambda item: names.get(id(item)), load=here.__getitem__)
    data = [here["stdout"], {"in": here["stdin"]}, "stdout", bytes(100_000)]
    loaded = serializer.load(serializer.dump(data))
    assert loaded == data and loaded[0] is here["stdout"] and loaded[1]["in"] is here["stdin"]
    with pytest.raises(pickle.UnpicklingError, match="persistent"):
        PickleSerializer([]).load(serializer.dump(data))
    with pytest.raises(pickle.UnpicklingError, match="persistent"):
        PickleSerializer().load(serializer.dump(data))
    restricted = PickleSerializer([], load=here.__getitem__)
    assert restricted.load(serializer.dump(data)) == data
    with pytest.raises(KeyError):
        PickleSerializer(load={}.__getitem__).load(serializer.dump(data))


def test_over_a_queue(link):
    serializer = PickleSerializer(["uuid.UUID"])
    options = nq.SerializationOptions(serializer.load, serializer.dump)
    server, client = link.pair(serialization=options)
    client.put(fractions.Fraction(1, 3))
    client.put(uuid.UUID(int=1))
    with pytest.raises(pickle.UnpicklingError, match="'fractions.Fraction' is not allowed"):
        server.get(timeout=TIMEOUT)
    assert server.get(timeout=TIMEOUT).data == uuid.UUID(int=1)


@settings(max_examples=30, deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
                    | st.text() | st.binary(),
                    lambda inner: st.lists(inner) | st.tuples(inner, inner)
                    | st.dictionaries(st.text(), inner)), st.integers(0, 5))
def test_any_plain_data_passes(data, protocol):
    helpers = [] if protocol > 2 else ["_codecs.encode", "builtins.bytes"]
    assert load(pickle.dumps(data, protocol), helpers) == data
