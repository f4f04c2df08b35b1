# SPDX-License-Identifier: Apache-2.0
"""What a queue calls back: events, authorize, the log; and callbacks that do what they like."""

import gc
import logging
import socket
import threading
import weakref

import pytest
from support import TIMEOUT, Link, eventually, met

import net_queue as nq


def test_events(link):
    told = []
    events = nq.EventOptions(ini=lambda peer: told.append(("ini", peer)),
                             fin=lambda peer: told.append(("fin", peer)))
    server = link.server(events=events)
    client = link.client()
    eventually(lambda: told == [("ini", client.id)], "the client's ini")
    client.close(timeout=TIMEOUT)
    eventually(lambda: told == [("ini", client.id), ("fin", client.id)], "its fin")


def test_a_clients_events(link):
    told = []
    events = nq.EventOptions(ini=lambda peer: told.append(("ini", peer)),
                             fin=lambda peer: told.append(("fin", peer)))
    server = link.server()
    client = link.client(events=events)
    eventually(lambda: told == [("ini", server.id)], "the server's ini")
    client.close(timeout=TIMEOUT)
    eventually(lambda: told[1:] == [("fin", server.id)], "its fin")


def test_callbacks_run_on_one_thread_and_may_use_the_queue(link):
    threads, answers = [], []

    def welcome(peer):
        threads.append(threading.get_ident())
        server.put("welcome", peer).add_done_callback(
            lambda _: threads.append(threading.get_ident()))
        answers.append(server.get(peer, timeout=TIMEOUT).data)

    ready = threading.Event()
    server = link.server(events=nq.EventOptions(ini=lambda peer: ready.wait() and welcome(peer)))
    ready.set()
    client = link.client()
    client.put("thanks")
    assert client.get(timeout=TIMEOUT).data == "welcome"
    eventually(lambda: answers == ["thanks"], "the answer")
    eventually(lambda: len(threads) == 2, "the callback of the put")
    assert threads[0] == threads[1] != threading.get_ident()


@pytest.mark.parametrize("timeout", [None, 0, 5])
def test_close_in_a_callback(tcp, timeout):
    reports = []
    server = tcp.server()
    opened = threading.Event()  # the callback may come before there is a name for the client

    def close(_):
        opened.wait(TIMEOUT)
        reports.append(client.close(timeout=timeout))

    client = tcp.client(events=nq.EventOptions(ini=close))
    opened.set()
    eventually(lambda: reports, "close in a callback")
    with pytest.raises(ConnectionAbortedError):
        client.get(timeout=TIMEOUT)
    assert client.close().clean == reports[0].clean


def test_close_in_a_done_callback(tcp):
    server, client = tcp.pair()
    reports = []
    client.put(1).add_done_callback(lambda _: reports.append(client.close()))
    eventually(lambda: reports, "close in a done callback")
    assert reports[0].clean and server.get(timeout=TIMEOUT).data == 1


def test_an_event_that_raises_is_told_and_harms_nobody(tcp, capsys, monkeypatch):
    told = []
    monkeypatch.setattr("sys.unraisablehook", lambda what: told.append(what.exc_type))
    server, client = tcp.pair(events=nq.EventOptions(ini=lambda _: 1 // 0))
    eventually(lambda: told == [ZeroDivisionError] * 2, "both exceptions")
    client.put(1)
    assert server.get(timeout=TIMEOUT).data == 1


def test_authorize_refuses(tcp):
    asked = []

    def authorize(peer, certificate, address):
        asked.append((peer, certificate, address))
        return peer == welcome.id

    ready = threading.Event()
    server = tcp.server(authorize=lambda *about: ready.wait() and authorize(*about))
    welcome, other = tcp.client(), tcp.client()
    ready.set()
    other.put("not this")
    welcome.put("this")
    assert server.get(timeout=TIMEOUT) == (welcome.id, "this")
    with pytest.raises(ConnectionResetError):
        other.get(timeout=TIMEOUT)
    assert server.peers() == [welcome.id]
    assert {peer for peer, _, _ in asked} == {welcome.id, other.id}
    assert all(shown is None and "127.0.0.1" in address for _, shown, address in asked)


def test_authorize_that_raises_refuses(tcp, monkeypatch):
    told = []
    monkeypatch.setattr("sys.unraisablehook", lambda what: told.append(what.exc_type))
    server = tcp.server(authorize=lambda *about: {}["nobody"])
    client = tcp.client()
    with pytest.raises(ConnectionResetError):
        client.get(timeout=TIMEOUT)
    assert server.peers() == [] and told == [KeyError]


def test_authorize_sees_the_certificate(authority, request):
    link = Link("tls", authority)
    request.addfinalizer(link.close)
    asked = []
    server = link.server(
        authorize=lambda *about: asked.append(about) or True,
        security=nq.SecurityOptions(authority / "server.key", authority / "server.pem",
                                    client_authority=authority / "authority.pem"))
    client = link.client(security=nq.SecurityOptions(
        cert=authority / "authority.pem", client_key=authority / "client.key",
        client_certificate=authority / "client.pem"))
    met(server, client)
    ((peer, certificate, address),) = asked
    assert peer == client.id and address.startswith("127.0.0.1")
    assert isinstance(certificate, nq.Certificate)
    assert "CN=client" in certificate.subject and certificate.pem.startswith("-----BEGIN")


def test_the_log_hook(tcp):
    lines = []
    server = tcp.server(log=lambda *line: lines.append(line))
    # A stranger, whose octets are no text either.
    with socket.create_connection(server.options.netloc) as stranger:
        stranger.sendall(b"\xff\xfe GET / HTTP/1.1\r\n\r\n" * 4)
        eventually(lambda: server.stats().strangers_dropped, "a stranger dropped")
    eventually(lambda: lines, "a line in the log")
    for level, category, text in lines:
        assert level in ("debug", "info", "warning", "error")
        assert isinstance(category, str) and isinstance(text, str) and text


def test_the_log_is_pythons_without_a_hook(tcp, caplog):
    caplog.set_level(logging.DEBUG, "net_queue")
    server = tcp.server()
    with socket.create_connection(server.options.netloc) as stranger:
        stranger.sendall(bytes(100))
        eventually(lambda: any(record.name == "net_queue" for record in caplog.records),
                   "a record of the logger net_queue")


def test_options_are_as_they_were_given(tcp):
    server = tcp.server()
    assert server.options.log is None and server.options.events == nq.EventOptions()
    assert server.options.netloc.port > 0


def test_hooks_are_let_go_of(tcp, collected):
    class Callback:
        def __call__(self, *_):
            return True

    hooks = [Callback() for _ in range(4)]
    server = tcp.server(authorize=hooks[0], log=hooks[1],
                        events=nq.EventOptions(ini=hooks[2], fin=hooks[3]))
    client = tcp.client()
    met(server, client)
    client.close()
    server.close()
    tcp._made.clear()
    gone = [weakref.ref(hook) for hook in hooks]
    del server, client, hooks
    collected()
    eventually(lambda: not any(hook() for hook in gone), "the hooks' end")


def test_a_communicator_that_nobody_has_is_closed(tcp, collected):
    server = tcp.server()
    client = nq.new("tcp", "client", tcp.options("client"))
    met(server, client)
    gone = weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None
    eventually(lambda: server.peers() == [], "the goodbye of a client that nobody has")
    server.put(1)


def test_what_such_a_one_had_queued_arrives(link):
    server = link.server()
    for number in range(20):
        nq.new(link.protocol, "client", link.options("client")).put(number)
    assert sorted(server.get(timeout=TIMEOUT).data for _ in range(20)) == list(range(20))
