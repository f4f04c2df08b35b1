# SPDX-License-Identifier: Apache-2.0
"""The two programs of the specification, as they stand there."""

import socket

import pytest
from support import environment, finish, start

import net_queue as nq

SERVER = """\
import net_queue as nq
with nq.new(purpose=nq.Purpose.SERVER) as queue:
    message = queue.get()
    queue.put("Hello, Client!")
"""
CLIENT = """\
import net_queue as nq
with nq.new(purpose=nq.Purpose.CLIENT) as queue:
    queue.put("Hello, Server!")
    message = queue.get()
"""
# What was got, told after the programs' own text.
TELL = 'print(type(message).__name__, message.data)\n'

OPTIONS = """\
import sys
import net_queue as nq
protocol, host, port, key, certificate = sys.argv[1:]
options = nq.CommunicatorOptions(
    netloc=nq.NetworkLocation(host, int(port)),
    connection=nq.ConnectionOptions(get_merge=True, put_merge=True, efficient_size=1 << 16,
                                    transport_size=1 << 20, queue_size=1000, message_size=1 << 30),
    serialization=nq.SerializationOptions(
        load=nq.utils.streamtools.PickleSerializer().load,
        dump=nq.utils.streamtools.PickleSerializer().dump),
    security=nq.SecurityOptions(key or None, certificate) if certificate else None,
    workers=2)
"""
SERVER_WITH_OPTIONS = OPTIONS + """\
with nq.new(protocol, nq.Purpose.SERVER, options) as queue:
    print("port", queue.options.netloc.port, flush=True)
    message = queue.get()
    queue.put("Hello, Client!", message.peer)
""" + TELL
CLIENT_WITH_OPTIONS = OPTIONS + """\
with nq.new(protocol, nq.Purpose.CLIENT, options) as queue:
    queue.put("Hello, Server!").result()
    message = queue.get()
""" + TELL


@pytest.mark.parametrize("server_first", [True, False])
def test_the_two_programs(server_first):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 51966))
        except OSError:
            pytest.skip("somebody else has port 51966, the default")
    programs = [SERVER + TELL, CLIENT + TELL]
    texts = ["Message Hello, Server!\n", "Message Hello, Client!\n"]
    if not server_first:
        programs.reverse()
        texts.reverse()
    processes = [start(program) for program in programs]
    assert [finish(process) for process in processes] == texts


@pytest.mark.parametrize("kind", ["tcp", "tls", "grpc", "grpc over tls", "mqtt"])
def test_with_options(kind, request):
    protocol = "tcp" if kind == "tls" else kind.partition(" ")[0]
    host, port = "127.0.0.1", 0
    server_files = client_files = ["", ""]
    if kind.endswith("tls"):
        folder = request.getfixturevalue("authority")
        server_files = [folder / "server.key", folder / "server.pem"]
        client_files = ["", folder / "authority.pem"]
    if kind == "mqtt":
        broker = request.getfixturevalue("broker")
        host, port = broker.host, broker.port
    server = start(SERVER_WITH_OPTIONS, protocol, host, port, *server_files)
    port = server.stdout.readline().split()[1]
    client = start(CLIENT_WITH_OPTIONS, protocol, host, port, *client_files)
    assert finish(client) == "Message Hello, Client!\n"
    assert finish(server) == "Message Hello, Server!\n"


def test_the_environment_finds_the_package_under_test():
    assert finish(start("import net_queue, sys; sys.stdout.write(net_queue.__file__)")) \
        .startswith(environment()["PYTHONPATH"])


def test_the_default_is_a_client_of_the_default_place():
    with nq.new() as client:
        assert isinstance(client, nq.tcp.client.Communicator)
        assert client.options.netloc == ("127.0.0.1", 51966)
        client.close(timeout=0)
