# SPDX-License-Identifier: Apache-2.0
"""What put, get and close promise, over each transport."""

import queue
import threading
import time
import uuid

import numpy
import pytest
from support import TIMEOUT, eventually, met, stats_of

import net_queue as nq

STRANGER = uuid.UUID(int=7)


class Unpicklable:
    def __reduce__(self):
        raise ValueError("not to be pickled")


def fail_to_load():
    raise LookupError("not to be loaded")


class Unloadable:
    def __reduce__(self):
        return fail_to_load, ()


def in_thread(function, *arguments, **named):
    """Runs it in a thread; the result is what it returned, or what it raised."""
    results = []

    def run():
        try:
            results.append(function(*arguments, **named))
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def join():
        thread.join(TIMEOUT)
        assert results, f"{function} did not return"
        return results[0]

    return join


# Put and get.


def test_messages_arrive_in_order_both_ways(link):
    server, client = link.pair()
    for number in range(300):
        client.put(number)
        server.put(-number, client.id)
    for number in range(300):
        assert server.get(timeout=TIMEOUT) == nq.Message(client.id, number)
        assert client.get(timeout=TIMEOUT) == nq.Message(server.id, -number)


def test_a_message_put_before_the_server_is_there_arrives(tcp):
    server = tcp.server()
    location = server.options.netloc
    server.close(timeout=0)
    client = tcp.client()
    future = client.put("early")
    server = nq.new("tcp", "server", nq.CommunicatorOptions(netloc=location))
    assert server.get(timeout=TIMEOUT).data == "early"
    future.result(TIMEOUT)
    client.close(timeout=TIMEOUT)
    assert server.close(timeout=TIMEOUT).clean


def test_large_messages(link):
    server, client = link.pair()
    data = [numpy.random.default_rng(size).bytes(size) for size in (0, 65_535, 65_536, 9_000_001)]
    for octets in data:
        client.put(octets)
        server.put(octets, client.id)
    for octets in data:
        assert server.get(timeout=TIMEOUT).data == octets
        assert client.get(timeout=TIMEOUT).data == octets


def test_get_from_a_peer(link):
    server = link.server()
    clients = [link.client() for _ in range(3)]
    met(server, *clients)
    for number in range(3):
        for client in clients:
            client.put(number).result(TIMEOUT)
    for client in reversed(clients):
        for number in range(3):
            assert server.get(client.id, timeout=TIMEOUT) == (client.id, number)
    with pytest.raises(queue.Empty):
        server.get(*(client.id for client in clients), timeout=0)


def test_get_from_peers_takes_the_first(link):
    server = link.server()
    first, second, third = (link.client() for _ in range(3))
    met(server, first, second, third)
    third.put("not this")
    eventually(lambda: stats_of(server, third.id).unread_messages, "the third client's message")
    second.put("this")
    assert server.get(first.id, second.id, timeout=TIMEOUT) == (second.id, "this")
    assert server.get(timeout=TIMEOUT) == (third.id, "not this")


def test_get_in_time(link):
    server, client = link.pair()
    began = time.monotonic()
    with pytest.raises(queue.Empty):
        server.get(timeout=0.05)
    assert 0.05 <= time.monotonic() - began < TIMEOUT / 2
    for nothing in (lambda: server.get(timeout=0), server.try_get, client.try_get,
                    lambda: server.try_get(client.id), lambda: server.get(STRANGER, timeout=0.01)):
        with pytest.raises(queue.Empty):
            nothing()
    client.put(1)
    assert eventually(lambda: stats_of(server, client.id).unread_messages, "a message") == 1
    assert server.try_get(client.id).data == 1


@pytest.mark.parametrize("timeout", [-1, -0.001, float("nan")])
def test_no_time_is_refused_whatever_there_is_to_get(tcp, timeout):
    server, client = tcp.pair()
    for _ in range(2):
        with pytest.raises(ValueError, match="timeout"):
            server.get(timeout=timeout)
        client.put(1).result(TIMEOUT)
        eventually(lambda: stats_of(server, client.id).unread_messages, "the message")
    with pytest.raises(TypeError):
        server.get(timeout="soon")
    assert server.get(timeout=float("inf")).data == 1


def test_arguments_of_the_wrong_type(tcp):
    server, client = tcp.pair()
    for wrong in (str(client.id), client.id.bytes, None, 1):
        for call in (lambda: server.put(1, wrong), lambda: server.get(wrong),
                     lambda: server.try_get(client.id, wrong)):
            with pytest.raises(TypeError, match="uuid.UUID"):
                call()

    class Short(uuid.UUID):
        bytes = b"short"

    with pytest.raises(ValueError, match="16"):
        server.put(1, Short(int=1))


def test_broadcast(link):
    server = link.server()
    clients = [link.client() for _ in range(3)]
    met(server, *clients)
    future = server.put(["to", "all"])
    future.result(TIMEOUT)
    for client in clients:
        assert client.get(timeout=TIMEOUT) == (server.id, ["to", "all"])
    assert set(future.futures) == {client.id for client in clients}
    for each in future.futures.values():
        assert isinstance(each, nq.Future) and each.done() and each.result(0) is None
    some = server.put("some", clients[2].id, clients[0].id)
    assert list(some.futures) == [clients[2].id, clients[0].id]
    assert [client.get(timeout=TIMEOUT).data for client in clients[::2]] == ["some"] * 2
    with pytest.raises(queue.Empty):
        clients[1].get(timeout=0.05)


def test_put_to_nobody_is_done(tcp):
    server = tcp.server()
    future = server.put("nobody is here")
    assert future.result(0) is None and not future.futures


def test_unknown_peer(link):
    server, client = link.pair()
    future = server.put(1, client.id, STRANGER)
    with pytest.raises(ConnectionResetError) as caught:
        future.result(TIMEOUT)
    assert caught.value.args == (STRANGER,) and caught.value.__notes__
    assert future.futures[client.id].result(TIMEOUT) is None
    assert future.futures[STRANGER].exception(TIMEOUT).args == (STRANGER,)
    assert client.get(timeout=TIMEOUT).data == 1
    with pytest.raises(ConnectionResetError):
        client.put(1, STRANGER).result(TIMEOUT)
    client.put(2, server.id).result(TIMEOUT)
    assert server.get(timeout=TIMEOUT).data == 2


def test_what_cannot_be_pickled_raises_at_put_and_nothing_is_sent(link):
    server, client = link.pair()
    big = numpy.zeros(100_000)
    for wrong in (Unpicklable(), [big, Unpicklable()], {1: [b"x" * 100_000, lambda: 0]}):
        with pytest.raises(Exception, match="not to be pickled|pickle"):
            client.put(wrong)
    client.put("fine").result(TIMEOUT)
    assert server.get(timeout=TIMEOUT).data == "fine"
    assert stats_of(server, client.id).received_messages == 1


@pytest.mark.parametrize("size", [0, 100_000])
def test_what_cannot_be_loaded_raises_from_get_and_the_session_goes_on(link, size):
    server, client = link.pair()
    client.put([bytes(size), Unloadable()])
    client.put("fine")
    with pytest.raises(LookupError, match="not to be loaded") as caught:
        server.get(timeout=TIMEOUT)
    assert any(str(client.id) in note for note in caught.value.__notes__)
    assert server.get(timeout=TIMEOUT) == (client.id, "fine")


# Close and loss.


def test_after_close(link):
    server, client = link.pair()
    client.put("last")
    assert client.close() == nq.CloseReport(clean=True, undelivered=())
    assert server.get(timeout=TIMEOUT).data == "last"

    def assert_closed(closed):
        for call in (closed.get, closed.try_get, lambda: closed.get(timeout=0.01),
                     lambda: closed.get(server.id), lambda: closed.put(1).result(0)):
            with pytest.raises(ConnectionAbortedError) as caught:
                call()
            assert caught.value.args == (closed.id,) and caught.value.__notes__

    for _ in range(5):
        assert_closed(client)
    for _ in range(3):
        assert in_thread(assert_closed, client)() is None
    assert server.close(timeout=TIMEOUT).clean
    assert_closed(server)


def test_close_hands_out_what_is_left(link):
    server, client = link.pair()
    for number in range(3):
        client.put(number)
    client.close()
    eventually(lambda: stats_of(server, client.id) is None
               or stats_of(server, client.id).unread_messages == 3, "all three")
    server.close(timeout=TIMEOUT)
    assert [server.get().data for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ConnectionAbortedError):
        server.get()


def test_close_again_and_from_several_threads(link):
    server, client = link.pair()
    closes = [in_thread(client.close) for _ in range(4)]
    assert [join().clean for join in closes] == [True] * 4
    assert client.close().clean and client.close(timeout=0).clean


def test_close_waits_for_the_clients_at_most_so_long(link):
    server, client = link.pair()
    began = time.monotonic()
    assert not server.close(timeout=0.1).clean
    assert 0.1 <= time.monotonic() - began < TIMEOUT / 2


def test_close_timeout_is_an_option(tcp):
    server, client = tcp.pair(close_timeout=0.1)
    began = time.monotonic()
    assert not server.close().clean
    assert 0.1 <= time.monotonic() - began < TIMEOUT / 2


def test_another_threads_close_keeps_to_the_timeout(tcp):
    server, client = tcp.pair()
    waiting = in_thread(server.close)
    assert not server.close(timeout=0.05).clean
    assert not waiting().clean


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_close_refuses_what_is_no_time(tcp, timeout):
    server = tcp.server()
    with pytest.raises(ValueError, match="timeout"):
        server.close(timeout=timeout)
    assert server.close().clean


def test_close_while_threads_wait_in_get(link):
    server, client = link.pair()
    gets = [in_thread(client.get), in_thread(client.get, timeout=TIMEOUT),
            in_thread(client.get, server.id)]
    client.close(timeout=TIMEOUT)
    for join in gets:
        error = join()
        assert type(error) in (ConnectionAbortedError, ConnectionResetError), error


def test_the_report_tells_what_was_not_delivered(tcp):
    server, client = tcp.pair(connection=nq.ConnectionOptions(receive_bytes=1 << 16))
    futures = [server.put(bytes(1 << 20), client.id) for _ in range(64)]
    report = server.close(timeout=0.05)
    assert not report.clean
    (undelivered,) = report.undelivered
    assert undelivered.peer == client.id and undelivered.queued_messages > 0
    with pytest.raises((ConnectionAbortedError, ConnectionResetError)):
        futures[-1].result(TIMEOUT)


def test_a_client_whose_server_is_gone(link):
    server, client = link.pair()
    server.put("last", client.id).result(TIMEOUT)
    waiting = in_thread(lambda: [client.get(), client.get()])
    server.close(timeout=0)
    error = waiting()
    assert isinstance(error, ConnectionResetError) and error.args == (server.id,)
    for _ in range(3):
        for call in (client.get, client.try_get, lambda: client.get(server.id),
                     lambda: client.put(1).result(TIMEOUT)):
            with pytest.raises(ConnectionResetError) as caught:
                call()
            assert caught.value.args == (server.id,)


def test_with_closes_and_an_exception_does_not_wait(link):
    server = link.server()
    with link.client() as client:
        client.put("in with")
    with pytest.raises(ConnectionAbortedError):
        client.get()
    assert server.get(timeout=TIMEOUT).data == "in with"
    other = link.client()
    met(server, other)
    began = time.monotonic()
    with pytest.raises(KeyError), server:  # a client is there: close would wait for it
        raise KeyError
    assert time.monotonic() - began < TIMEOUT / 2
