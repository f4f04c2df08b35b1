# SPDX-License-Identifier: Apache-2.0
"""The options: positions, defaults, what they refuse and with which words."""

import copy
import dataclasses
import decimal
import enum
import inspect
import math
import pathlib
import pickle
import sys
import typing
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from net_queue.core import options as nq

CLASSES = [nq.BrokerOptions, nq.CommunicatorOptions, nq.ConnectionOptions, nq.EventOptions,
           nq.SecurityOptions, nq.SerializationOptions]


class Index:
    """An integer that is no int, as numpy's are."""

    def __index__(self):
        return 4096


class TestShape:
    @pytest.mark.parametrize("cls, positional", [
        (nq.CommunicatorOptions, "id netloc connection serialization security workers"),
        (nq.ConnectionOptions, "get_merge put_merge efficient_size transport_size queue_size "
                               "message_size"),
        (nq.SerializationOptions, "load dump"),
        (nq.SecurityOptions, "key certificate"),
        (nq.BrokerOptions, ""),
        (nq.EventOptions, ""),
    ])
    def test_positions(self, cls, positional):
        parameters = inspect.signature(cls).parameters.values()
        kinds = {p.name: p.kind for p in parameters}
        assert [n for n, k in kinds.items() if k == inspect.Parameter.POSITIONAL_OR_KEYWORD] \
            == positional.split()
        assert set(kinds.values()) <= {inspect.Parameter.POSITIONAL_OR_KEYWORD,
                                       inspect.Parameter.KEYWORD_ONLY}
        assert list(cls.__match_args__) == positional.split()

    @pytest.mark.parametrize("cls", CLASSES)
    def test_frozen_with_slots(self, cls):
        made = cls()
        for field in dataclasses.fields(cls):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(made, field.name, None)
        assert not hasattr(made, "__dict__")

    @pytest.mark.parametrize("cls", CLASSES)
    def test_replaced_copied_and_pickled_they_are_equal(self, cls):
        made = cls()
        for same in (dataclasses.replace(made), copy.copy(made), copy.deepcopy(made),
                     pickle.loads(pickle.dumps(made))):
            assert same == made
            assert hash(same) == hash(made)

    @pytest.mark.parametrize("cls", CLASSES)
    def test_every_field_is_explained_and_every_hint_resolves(self, cls):
        for field in dataclasses.fields(cls):
            assert field.name in cls.__doc__
        assert typing.get_type_hints(cls)
        assert typing.get_type_hints(cls.__init__)

    def test_defaults(self):
        made = nq.CommunicatorOptions()
        assert made.netloc == ("127.0.0.1", 51966)
        assert made.connection == nq.ConnectionOptions(
            True, True, 64 * 1024, 4 * 1024**2, 2**30, 2**40,
            on_oversize="split", on_full="block", receive_bytes=64 * 1024**2)
        assert made.serialization == nq.SerializationOptions(None, None)
        assert made.security is None
        assert made.workers == 1
        assert made.busy_poll == 1e-4
        assert (made.connect_timeout, made.session_expiry, made.handshake_timeout) == (30, 120, 10)
        assert (made.lost_sessions, made.lost_bytes) == (10_000, 16 * 1024**2)
        assert made.close_timeout is made.authorize is made.log is None
        assert made.events == nq.EventOptions(ini=None, fin=None)
        assert made.broker == nq.BrokerOptions(
            user="", password="", payload_size=40 * 1024, keep_alive=30)
        security = nq.SecurityOptions()
        assert {getattr(security, f.name) for f in dataclasses.fields(security)} == {None}


class TestEnums:
    @pytest.mark.parametrize("cls, values", [
        (nq.Protocol, ["tcp", "mqtt", "grpc"]), (nq.Purpose, ["server", "client"]),
        (nq.OnOversize, ["split", "refuse"]),
        (nq.OnFull, ["block", "drop_newest", "drop_oldest"])])
    def test_values(self, cls, values):
        assert issubclass(cls, enum.StrEnum)
        assert [str(member) for member in cls] == values
        assert [member.name for member in cls] == [value.upper() for value in values]

    def test_names_become_members(self):
        made = nq.ConnectionOptions(on_oversize="refuse", on_full="drop_oldest")
        assert made.on_oversize is nq.OnOversize.REFUSE
        assert made.on_full is nq.OnFull.DROP_OLDEST

    @pytest.mark.parametrize("name, allowed", [
        ("on_oversize", "'split' or 'refuse'"),
        ("on_full", "'block' or 'drop_newest' or 'drop_oldest'")])
    def test_other_names(self, name, allowed):
        with pytest.raises(ValueError, match=f"^{name}: {allowed}, not 'wait'$"):
            nq.ConnectionOptions(**{name: "wait"})
        with pytest.raises(TypeError, match=f"^{name}: an On.* or its name, not None"):
            nq.ConnectionOptions(**{name: None})


class TestNetworkLocation:
    @pytest.mark.parametrize("location, text", [
        (nq.NetworkLocation(), "127.0.0.1:51966"),
        (nq.NetworkLocation("example.org", 80), "example.org:80"),
        (nq.NetworkLocation("::1", 80), "[::1]:80"),
        (nq.NetworkLocation("[::1]", 80), "[::1]:80"),
        (nq.NetworkLocation("", 0), ":0")])
    def test_text(self, location, text):
        assert str(location) == f"{location}" == text

    def test_a_plain_tuple(self):
        netloc = nq.CommunicatorOptions(netloc=("::1", Index())).netloc
        assert type(netloc) is nq.NetworkLocation
        assert netloc == ("::1", 4096)
        assert type(netloc.port) is int

    @pytest.mark.parametrize("netloc, error, text", [
        ("127.0.0.1:80", TypeError, "netloc: a NetworkLocation or a tuple"),
        (("host",), TypeError, "netloc: "),
        (["host", 80], TypeError, "netloc: "),
        (None, TypeError, "netloc: "),
        ((None, 80), TypeError, "netloc.host: a str, not None"),
        (("a\0b", 80), ValueError, "netloc.host: "),
        (("host", "80"), TypeError, r"netloc.port: an int, not '80' \(str\)"),
        (("host", True), TypeError, "netloc.port: an int"),
        (("host", -1), ValueError, "netloc.port: at least 0, not -1"),
        (("host", 65536), ValueError, "netloc.port: at most 65535, not 65536")])
    def test_refused(self, netloc, error, text):
        with pytest.raises(error, match="^" + text):
            nq.CommunicatorOptions(netloc=netloc)


# Class, field, name in messages, least, most.
SIZES = [
    (nq.ConnectionOptions, "efficient_size", "efficient_size", 0, sys.maxsize),
    (nq.ConnectionOptions, "transport_size", "transport_size", 64, sys.maxsize),
    (nq.ConnectionOptions, "queue_size", "queue_size", 1, sys.maxsize),
    (nq.ConnectionOptions, "message_size", "message_size", 16, sys.maxsize),
    (nq.ConnectionOptions, "receive_bytes", "receive_bytes", 1, sys.maxsize),
    (nq.BrokerOptions, "payload_size", "broker.payload_size", 64, sys.maxsize),
    (nq.CommunicatorOptions, "workers", "workers", 1, 1024),
    (nq.CommunicatorOptions, "lost_sessions", "lost_sessions", 0, sys.maxsize),
    (nq.CommunicatorOptions, "lost_bytes", "lost_bytes", 0, sys.maxsize),
]
# The same of times.
TIMES = [
    (nq.CommunicatorOptions, "busy_poll", "busy_poll", 0, 60),
    (nq.CommunicatorOptions, "connect_timeout", "connect_timeout", 0.001, 1e9),
    (nq.CommunicatorOptions, "session_expiry", "session_expiry", 0, 1e9),
    (nq.CommunicatorOptions, "handshake_timeout", "handshake_timeout", 0.001, 1e9),
    (nq.CommunicatorOptions, "close_timeout", "close_timeout", 0, 1e9),
    (nq.BrokerOptions, "keep_alive", "broker.keep_alive", 0, 65535),
]


@pytest.mark.parametrize("cls, field, name, least, most", SIZES)
class TestSizes:
    def test_range(self, cls, field, name, least, most):
        for value in (least, most):
            assert getattr(cls(**{field: value}), field) == value
        with pytest.raises(ValueError, match=f"^{name}: at least {least}, not {least - 1}$"):
            cls(**{field: least - 1})
        with pytest.raises(ValueError, match=f"^{name}: at most {most}, not {most + 1}$"):
            cls(**{field: most + 1})

    @pytest.mark.parametrize("value", [True, 100.0, "100", None, decimal.Decimal(100)])
    def test_type(self, cls, field, name, least, most, value):
        with pytest.raises(TypeError, match=f"^{name}: an int, not .*{type(value).__name__}"):
            cls(**{field: value})

    @settings(deadline=None, print_blob=True)
    @given(value=st.integers(0, 2**64))
    def test_accepted_is_what_is_in_range(self, cls, field, name, least, most, value):
        if least <= value <= most:
            assert getattr(cls(**{field: value}), field) == value
        else:
            with pytest.raises(ValueError, match=f"^{name}: .* not {value}$"):
                cls(**{field: value})


@pytest.mark.parametrize("cls, field, name, least, most", TIMES)
class TestTimes:
    def test_range(self, cls, field, name, least, most):
        for value in (least, most, 1, 1.0, decimal.Decimal(2)):
            kept = getattr(cls(**{field: value}), field)
            assert kept == value
            assert type(kept) is float
        beyond = (least - 1e-6, -1, most + 1, 10**400, -10**400, math.inf, math.nan)
        for value in beyond:
            with pytest.raises(ValueError, match=f"^{name}: from .* to .* seconds, not"):
                cls(**{field: value})

    @pytest.mark.parametrize("value", [True, "1", b"1", object()])
    def test_type(self, cls, field, name, least, most, value):
        with pytest.raises(TypeError, match=f"^{name}: seconds, as a float or an int, not"):
            cls(**{field: value})

    def test_none_is_for_close_timeout_alone(self, cls, field, name, least, most):
        if field == "close_timeout":
            assert cls(close_timeout=None).close_timeout is None
        else:
            with pytest.raises(TypeError, match=f"^{name}: "):
                cls(**{field: None})


class TestConnection:
    def test_integers_of_other_libraries(self):
        made = nq.ConnectionOptions(transport_size=Index())
        assert type(made.transport_size) is int
        assert made.transport_size == 4096

    @pytest.mark.parametrize("name", ["get_merge", "put_merge"])
    def test_flags(self, name):
        for value in (True, False, 0, 1):
            assert getattr(nq.ConnectionOptions(**{name: value}), name) is bool(value)
        for value in (2, -1, 1.0, "True", None):
            with pytest.raises(TypeError, match=f"^{name}: True or False, not"):
                nq.ConnectionOptions(**{name: value})


class TestSecurity:
    def test_cert_is_another_word(self):
        made = nq.SecurityOptions("key.pem", cert="cert.pem")
        assert made == nq.SecurityOptions("key.pem", "cert.pem")
        assert made.cert == made.certificate == "cert.pem"
        assert nq.SecurityOptions(certificate="a", cert="a").cert == "a"
        with pytest.raises(TypeError, match="^cert: another word .*'b'.*'a'"):
            nq.SecurityOptions(certificate="a", cert="b")

    def test_replace(self):
        made = nq.SecurityOptions("key.pem", cert="old.pem")
        assert dataclasses.replace(made, certificate="new.pem") \
            == nq.SecurityOptions("key.pem", "new.pem")
        assert dataclasses.replace(nq.SecurityOptions("key.pem"), cert="new.pem").cert == "new.pem"

    @pytest.mark.parametrize("name", [
        "key", "certificate", "cert", "client_authority", "client_key", "client_certificate"])
    def test_paths(self, name):
        other = {"client_key": {"client_certificate": "x"},
                 "client_certificate": {"client_key": "x"}}.get(name, {})
        for value in ("a.pem", pathlib.Path("a.pem")):
            assert getattr(nq.SecurityOptions(**{name: value}, **other), name) is value
        for value in ("", "a\0b"):
            with pytest.raises(ValueError, match=f"^{name}: the path of a file"):
                nq.SecurityOptions(**{name: value}, **other)
        for value in (5, b"a.pem", True):
            with pytest.raises(TypeError, match=f"^{name}: a path"):
                nq.SecurityOptions(**{name: value}, **other)

    def test_a_clients_key_and_certificate_go_together(self):
        with pytest.raises(ValueError, match="^client_certificate: needed with client_key"):
            nq.SecurityOptions(client_key="key.pem")
        with pytest.raises(ValueError, match="^client_key: needed with client_certificate"):
            nq.SecurityOptions(client_certificate="cert.pem")


class TestBroker:
    @pytest.mark.parametrize("name", ["user", "password"])
    def test_text(self, name):
        for value in ("", "x" * 65535, "ü" * 32767):
            assert getattr(nq.BrokerOptions(**{name: value}), name) == value
        for value in ("x" * 65536, "ü" * 32768):
            with pytest.raises(ValueError, match=f"^broker.{name}: at most 65535 octets, not"):
                nq.BrokerOptions(**{name: value})
        with pytest.raises(ValueError, match=f"^broker.{name}: text that UTF-8 can"):
            nq.BrokerOptions(**{name: "\udc80"})
        with pytest.raises(TypeError, match=f"^broker.{name}: a str, not bytes$"):
            nq.BrokerOptions(**{name: b"secret"})

    def test_the_password_is_shown_nowhere(self):
        made = nq.CommunicatorOptions(broker=nq.BrokerOptions(user="me", password="secret"))
        assert "me" in repr(made)
        assert "secret" not in repr(made)
        with pytest.raises(ValueError) as raised:
            nq.BrokerOptions(password="secret\udc80")
        assert "secret" not in str(raised.value)

    def test_keep_alive_in_whole_seconds(self):
        assert nq.BrokerOptions(keep_alive=0).keep_alive == 0
        with pytest.raises(ValueError, match="^broker.keep_alive: whole seconds, not 0.5$"):
            nq.BrokerOptions(keep_alive=0.5)


class TestCommunicator:
    def test_a_default_id_is_new_each_time_and_a_given_one_stays(self):
        first, second = nq.CommunicatorOptions(), nq.CommunicatorOptions()
        assert first.id != second.id
        assert first.id.version == 4
        assert dataclasses.replace(first, workers=2).id == first.id
        given_id = uuid.uuid1()
        assert nq.CommunicatorOptions(given_id).id is given_id

    @pytest.mark.parametrize("name, value, wanted", [
        ("id", None, "a UUID"), ("id", "1" * 32, "a UUID"), ("connection", None, "a Connection"),
        ("connection", {}, "a Connection"), ("serialization", None, "a Serialization"),
        ("security", ("key", "cert"), "a SecurityOptions"), ("broker", None, "a BrokerOptions"),
        ("events", print, "an EventOptions")])
    def test_types(self, name, value, wanted):
        with pytest.raises(TypeError, match=f"^{name}: {wanted}.*, not"):
            nq.CommunicatorOptions(**{name: value})

    def test_nil_is_nobody(self):
        with pytest.raises(ValueError, match="^id: the nil UUID"):
            nq.CommunicatorOptions(uuid.UUID(int=0))

    @pytest.mark.parametrize("cls, field, name", [
        (nq.SerializationOptions, "load", "load"), (nq.SerializationOptions, "dump", "dump"),
        (nq.EventOptions, "ini", "events.ini"), (nq.EventOptions, "fin", "events.fin"),
        (nq.CommunicatorOptions, "authorize", "authorize"),
        (nq.CommunicatorOptions, "log", "log")])
    def test_hooks(self, cls, field, name):
        assert getattr(cls(**{field: print}), field) is print
        with pytest.raises(TypeError, match=f"^{name}: something to call, or None, not 'print'"):
            cls(**{field: "print"})
