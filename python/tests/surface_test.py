# SPDX-License-Identifier: Apache-2.0
"""Every name of the package, where programs look for it."""

import concurrent.futures
import dataclasses
import enum
import importlib
import inspect
import io
import shutil
import subprocess
import uuid

import pytest
from support import PACKAGE, ROOT

import net_queue as nq

PROTOCOLS = ["tcp", "mqtt", "grpc", "gprc"]
MODULES = ["net_queue", "net_queue.core", "net_queue.core.comm", "net_queue.core.client",
           "net_queue.core.server", "net_queue.utils", "net_queue.utils.stream",
           "net_queue.utils.streamtools",
           *(f"net_queue.{protocol}{part}" for protocol in PROTOCOLS
             for part in ("", ".client", ".server"))]

POSITIONAL = {
    nq.CommunicatorOptions: ["id", "netloc", "connection", "serialization", "security", "workers"],
    nq.ConnectionOptions: ["get_merge", "put_merge", "efficient_size", "transport_size",
                           "queue_size", "message_size"],
    nq.SerializationOptions: ["load", "dump"],
    nq.SecurityOptions: ["key", "certificate"],
    nq.EventOptions: [],
}
NAMES = {
    "net_queue": "Protocol Purpose new CommunicatorOptions ConnectionOptions SerializationOptions "
                 "SecurityOptions EventOptions NetworkLocation Message core tcp mqtt grpc gprc "
                 "utils __version__",
    "net_queue.core": "Communicator Message CommunicatorOptions ConnectionOptions "
                      "SerializationOptions SecurityOptions EventOptions NetworkLocation comm "
                      "client server",
    "net_queue.utils.stream": "Stream PickleSerializer BytesSerializer BufferSerializer "
                              "StreamSerializer",
    "net_queue.utils.streamtools": "PickleSerializer BytesSerializer",
}
METHODS = ("put get close id options try_get peers stats aget aput __enter__ __exit__ __aenter__ "
           "__aexit__ __aiter__").split()
STREAM = ("nchunks nbytes empty readchunk unreadchunk writechunk unwritechunk peekchunk readchunks "
          "writechunks update clear copy tobytes frombytes read read1 readinto readinto1 readline "
          "readlines write writelines __iter__ __next__ __enter__ __exit__ __bytes__ __copy__ "
          "fileno seek tell detach").split()


@pytest.mark.parametrize("module", MODULES)
def test_modules_can_be_imported(module):
    assert importlib.import_module(module).__doc__


@pytest.mark.parametrize("module", NAMES)
def test_names(module):
    for name in NAMES[module].split():
        assert hasattr(importlib.import_module(module), name), name


@pytest.mark.parametrize("module", MODULES)
def test_all_is_there_and_has_help(module):
    module = importlib.import_module(module)
    for name in module.__all__:
        thing = getattr(module, name)
        assert inspect.getdoc(thing), f"{module.__name__}.{name}"
        if not inspect.isclass(thing):
            continue
        for member, value in vars(thing).items():
            public = not member.startswith("_")
            if public and (inspect.isroutine(value) or isinstance(value, property)):
                assert inspect.getdoc(getattr(thing, member)), f"{name}.{member}"


@pytest.mark.parametrize("options", POSITIONAL)
def test_options_are_frozen_dataclasses_with_slots_and_these_positions(options):
    assert dataclasses.is_dataclass(options) and options.__dataclass_params__.frozen
    assert "__slots__" in vars(options) and not hasattr(options(), "__dict__")
    parameters = inspect.signature(options).parameters.values()
    assert [parameter.name for parameter in parameters
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD] == POSITIONAL[options]
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters
               if parameter.name not in POSITIONAL[options])


def test_protocols_and_purposes():
    assert issubclass(nq.Protocol, enum.StrEnum) and issubclass(nq.Purpose, enum.StrEnum)
    assert [*nq.Protocol] == ["tcp", "mqtt", "grpc"] and [*nq.Purpose] == ["server", "client"]
    assert (nq.Protocol.TCP, nq.Protocol.MQTT, nq.Protocol.GRPC) == ("tcp", "mqtt", "grpc")
    assert (nq.Purpose.SERVER, nq.Purpose.CLIENT) == ("server", "client")


def test_network_location():
    assert issubclass(nq.NetworkLocation, tuple)
    assert nq.NetworkLocation() == ("127.0.0.1", 51966)
    assert str(nq.NetworkLocation("host", 1)) == "host:1"
    host, port = nq.NetworkLocation("host", 1)
    assert (host, port) == ("host", 1)


def test_a_message_is_a_tuple():
    assert issubclass(nq.Message, tuple) and nq.Message._fields == ("peer", "data")
    peer, data = nq.Message(uuid.UUID(int=1), "text")
    assert (peer, data) == (uuid.UUID(int=1), "text")
    assert nq.core.Message is nq.Message


def test_new(tcp):
    parameters = inspect.signature(nq.new).parameters
    assert {name: parameter.default for name, parameter in parameters.items()} == {
        "protocol": nq.Protocol.TCP, "purpose": nq.Purpose.CLIENT, "options": None}
    for protocol, purpose in (("tcp", "server"), (nq.Protocol.TCP, nq.Purpose.SERVER)):
        with nq.new(protocol, purpose, tcp.options("server")) as server:
            assert isinstance(server, nq.tcp.server.Communicator)
    for wrong in ({"protocol": "udp"}, {"purpose": "spectator"}):
        with pytest.raises(ValueError):
            nq.new(**wrong)
    with pytest.raises(TypeError):
        nq.new(options=7)


def test_classes(link):
    module = importlib.import_module(f"net_queue.{link.protocol}")
    for purpose, made in (("server", link.server()), ("client", link.client())):
        concrete = getattr(module, purpose).Communicator
        assert type(made) is concrete and isinstance(made, nq.core.Communicator)
        assert isinstance(made, getattr(nq.core, purpose).Communicator)
        assert issubclass(concrete, nq.core.comm.Communicator)
        assert repr(made).startswith(f"<net_queue {link.protocol} {purpose} {made.id}")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_concrete_classes_can_be_constructed(protocol, tcp):
    module = importlib.import_module(f"net_queue.{protocol}.client")
    server = tcp.server()  # nobody's business: to be there suffices
    with module.Communicator(nq.CommunicatorOptions(netloc=server.options.netloc)) as queue:
        assert isinstance(queue, nq.core.client.Communicator)
        queue.close(timeout=0)


def test_the_abstract_ones_cannot():
    for abstract in (nq.core.Communicator, nq.core.client.Communicator,
                     nq.core.server.Communicator):
        with pytest.raises(TypeError, match="abstract"):
            abstract()


def test_the_old_spelling():
    assert nq.gprc is nq.grpc
    assert importlib.import_module("net_queue.gprc.server") is nq.grpc.server


def test_ids(tcp):
    first, second = tcp.server(), tcp.server()
    assert isinstance(first.id, uuid.UUID) and first.id != second.id
    assert first.options.id == first.id
    options = tcp.options("server", id=uuid.UUID(int=5))
    with nq.new("tcp", "server", options) as one, nq.new("tcp", "server", options) as other:
        assert one.id == other.id == uuid.UUID(int=5)
    assert nq.CommunicatorOptions().id != nq.CommunicatorOptions().id


def test_methods(tcp):
    server, client = tcp.pair()
    for name in METHODS:
        assert hasattr(server, name), name
    future = client.put(1)
    assert isinstance(future, concurrent.futures.Future)
    assert hasattr(future, "futures") and hasattr(future, "cancel")
    for name in ("id", "options"):
        with pytest.raises(AttributeError):
            setattr(server, name, None)


def test_stream():
    stream = nq.utils.stream.Stream
    assert issubclass(stream, io.BufferedIOBase)
    for name in STREAM:
        assert hasattr(stream, name), name


def test_wrong_files_raise_as_python_does(tcp, tmp_path, authority):
    import ssl
    missing = str(tmp_path / "missing")
    with pytest.raises(FileNotFoundError, match="missing"):
        tcp.server(security=nq.SecurityOptions(missing, missing))
    (tmp_path / "empty").touch()
    with pytest.raises(ssl.SSLError, match="^certificate .*/empty: "):
        tcp.server(security=nq.SecurityOptions(tmp_path / "empty", tmp_path / "empty"))
    odd = tmp_path / "na\udcffme"  # no UTF-8
    odd.write_bytes((authority / "authority.pem").read_bytes())
    tcp.server()
    tcp.client(security=nq.SecurityOptions(certificate=odd))


@pytest.mark.parametrize("protocol", ["tcp", "grpc"])
def test_a_server_that_is_not_trusted(protocol, authority):
    import ssl
    own = nq.SecurityOptions(authority / "expired.key", authority / "expired.pem")
    server = nq.new(protocol, "server",
                    nq.CommunicatorOptions(netloc=("127.0.0.1", 0), security=own))
    client = nq.new(protocol, "client", nq.CommunicatorOptions(
        netloc=server.options.netloc,
        security=nq.SecurityOptions(certificate=authority / "authority.pem")))
    future = client.put("a secret")
    for call in (client.get, future.result):
        with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
            call()
    client.close()
    assert not server.peers()
    server.close(timeout=10)


@pytest.mark.parametrize("protocol", ["tcp", "grpc"])
def test_an_address_that_nobody_knows(protocol):
    unknown = "x" * 64 + ".invalid"  # too long a name for anybody to be asked
    with pytest.raises(ConnectionError, match=f'look up the address of "{unknown}"'):
        nq.new(protocol, "server", nq.CommunicatorOptions(netloc=(unknown, 0)))


def test_a_port_in_use(tcp):
    server = tcp.server()
    with pytest.raises(OSError) as caught:
        nq.new("tcp", "server", server.options)
    import errno
    assert caught.value.errno == errno.EADDRINUSE


@pytest.mark.skipif(shutil.which("mypy") is None, reason="needs Debian's mypy")
@pytest.mark.parametrize("what", ["package", "examples"])
def test_mypy_strict(what, tmp_path):
    if what == "package":
        paths = [PACKAGE / "net_queue"]
    else:
        paths = sorted((ROOT / "examples").rglob("*.py"))
        if not paths:
            pytest.skip("no examples in Python")
    checked = subprocess.run(
        ["mypy", "--strict", "--no-incremental", "--cache-dir", tmp_path, *paths],
        env={"PATH": "/usr/bin:/bin", "MYPYPATH": str(PACKAGE)}, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_typed():
    assert (PACKAGE / "net_queue" / "py.typed").exists()
