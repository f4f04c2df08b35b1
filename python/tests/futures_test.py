# SPDX-License-Identifier: Apache-2.0
"""What put returns is a concurrent.futures.Future like any other."""

import asyncio
import concurrent.futures
import gc
import threading
import time
import uuid
import weakref

import numpy
import pytest
from support import TIMEOUT, eventually, met

import net_queue as nq

STRANGER = uuid.UUID(int=7)
# A message that does not go out in one piece while nobody reads, so that one behind it stays.
BIG = 64 << 20


@pytest.fixture
def stuck(tcp):
    """A server whose client stopped reading, with a message under way."""
    server, client = tcp.pair(connection=nq.ConnectionOptions(receive_bytes=1))
    for _ in range(3):
        server.put(1, client.id).result(TIMEOUT)
    big = server.put(bytes(BIG), client.id)
    return server, client, big


def test_it_is_one():
    assert issubclass(nq.Future, concurrent.futures.Future)


def test_a_result_in_time(stuck):
    server, client, big = stuck
    for wait in (big.result, big.exception):
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            wait(0.05)
        assert 0.05 <= time.monotonic() - began < TIMEOUT / 2
    assert not big.done() and not big.cancelled()
    assert "pending" in repr(big)
    for _ in range(4):
        client.get(timeout=TIMEOUT)
    assert big.result(TIMEOUT) is None and big.exception() is None
    assert big.done() and not big.running() and "done" in repr(big)


def test_cancel_takes_back_what_is_queued(stuck):
    server, client, big = stuck
    second, third = server.put("second", client.id), server.put("third", client.id)
    assert second.cancel()
    assert second.cancelled() and second.done() and second.cancel()
    for call in (second.result, second.exception):
        with pytest.raises(concurrent.futures.CancelledError):
            call(TIMEOUT)
    for _ in range(3):
        client.get(timeout=TIMEOUT)
    assert len(client.get(timeout=TIMEOUT).data) == BIG
    assert client.get(timeout=TIMEOUT).data == "third"
    assert third.result(TIMEOUT) is None and not third.cancel() and not third.cancelled()


def test_cancel_of_what_is_done(tcp):
    server, client = tcp.pair()
    future = client.put(1)
    future.result(TIMEOUT)
    assert not future.cancel() and future.done() and not future.cancelled()


def test_a_cancelled_one_tells_those_who_wait(stuck):
    server, client, big = stuck
    future = server.put("never", client.id)
    told = []
    future.add_done_callback(told.append)
    assert future.cancel()
    done, pending = concurrent.futures.wait([future, big], TIMEOUT, "FIRST_COMPLETED")
    assert done == {future} and pending == {big}
    eventually(lambda: told == [future], "the callback")


def test_done_callbacks(link):
    server, client = link.pair()
    told = []
    future = client.put(1)
    for _ in range(3):
        future.add_done_callback(lambda future: told.append((future, future.exception(0))))
    eventually(lambda: len(told) == 3, "three callbacks")
    assert told == [(future, None)] * 3
    future.add_done_callback(lambda _: told.append("late"))
    assert told[-1] == "late"
    failed = client.put(1, STRANGER)
    failed.add_done_callback(lambda future: told.append(type(future.exception(0))))
    eventually(lambda: told[-1] is ConnectionResetError, "the failure")


def test_a_callback_after_close(tcp):
    server, client = tcp.pair()
    before = client.put(1)
    client.close(timeout=TIMEOUT)
    after = client.put(1)
    told = []
    for future in (before, after):
        future.add_done_callback(lambda future: told.append(type(future.exception(0))))
    assert told == [type(None), ConnectionAbortedError]


def test_what_a_callback_raises_is_logged_and_others_go_on(tcp, caplog):
    server, client = tcp.pair()
    told = []
    future = client.put(1)
    future.add_done_callback(lambda _: 1 // 0)
    future.add_done_callback(told.append)
    eventually(lambda: told, "the callback after the one that failed")
    eventually(lambda: "ZeroDivisionError" in caplog.text, "a line in the log")


def test_wait_and_as_completed(link):
    server, client = link.pair()
    futures = [client.put(number) for number in range(50)]
    assert concurrent.futures.wait(futures, TIMEOUT).done == set(futures)
    assert set(concurrent.futures.as_completed(futures, TIMEOUT)) == set(futures)
    mixed = [client.put(1), client.put(2, STRANGER)]
    done = concurrent.futures.wait(mixed, TIMEOUT, concurrent.futures.FIRST_EXCEPTION).done
    assert mixed[1] in done


def test_wrap_future(link):
    server, client = link.pair()

    async def main():
        await asyncio.wait_for(asyncio.wrap_future(client.put(1)), TIMEOUT)
        with pytest.raises(ConnectionResetError) as caught:
            await asyncio.wait_for(asyncio.wrap_future(client.put(1, STRANGER)), TIMEOUT)
        assert caught.value.args == (STRANGER,)
        futures = [asyncio.wrap_future(client.put(number)) for number in range(20)]
        assert await asyncio.wait_for(asyncio.gather(*futures), TIMEOUT) == [None] * 20

    asyncio.run(main())


def test_wrap_future_hands_a_cancel_on(stuck):
    server, client, big = stuck
    future = server.put("never", client.id)

    async def main():
        wrapped = asyncio.wrap_future(future)
        wrapped.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wrapped

    asyncio.run(main())
    assert future.cancelled()


def test_aput_taken_back(stuck):
    server, client, big = stuck

    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(server.aput("never", client.id), 0.05)

    asyncio.run(main())
    server.put("last", client.id)
    for _ in range(4):
        client.get(timeout=TIMEOUT)
    assert client.get(timeout=TIMEOUT).data == "last"


def test_many_threads_wait_for_one(stuck):
    server, client, big = stuck
    results = []
    calls = [big.result, big.exception, lambda: concurrent.futures.wait([big], TIMEOUT).not_done,
             lambda: next(concurrent.futures.as_completed([big], TIMEOUT)).result()] * 3
    threads = [threading.Thread(target=lambda call=call: results.append(call())) for call in calls]
    for thread in threads:
        thread.start()
    for _ in range(4):
        client.get(timeout=TIMEOUT)
    for thread in threads:
        thread.join(TIMEOUT)
    assert [result or None for result in results] == [None] * len(calls)


def test_broadcast_waits_for_the_last(tcp):
    server, slow = tcp.pair(connection=nq.ConnectionOptions(receive_bytes=1))
    quick = tcp.client()
    met(server, quick)
    for _ in range(3):
        server.put(1, slow.id).result(TIMEOUT)
    future = server.put(bytes(BIG))
    assert len(quick.get(timeout=TIMEOUT).data) == BIG
    parts = future.futures
    assert parts[quick.id].result(TIMEOUT) is None
    assert not parts[slow.id].done() and not future.done()
    for _ in range(4):
        slow.get(timeout=TIMEOUT)
    assert future.result(TIMEOUT) is None and parts[slow.id].done()


def test_dropping_one_cancels_nothing(stuck):
    server, client, big = stuck
    dropped = weakref.ref(server.put("dropped", client.id))
    gc.collect()
    assert dropped() is None
    for _ in range(4):
        client.get(timeout=TIMEOUT)
    assert client.get(timeout=TIMEOUT).data == "dropped"


def test_it_outlives_its_queue(tcp):
    server, client = tcp.pair()
    sent, failed = client.put(1), client.put(2, STRANGER)
    sent.result(TIMEOUT)
    client.close(timeout=TIMEOUT)
    assert sent.result() is None and isinstance(failed.exception(), ConnectionResetError)


def test_an_array_may_be_changed_once_it_is_done(tcp):
    server, client = tcp.pair()
    array = numpy.zeros(1 << 20, dtype="u1")
    for number in range(10):
        array[:] = number
        client.put(array).result(TIMEOUT)
    for number in range(10):
        got = server.get(timeout=TIMEOUT).data
        assert (got == number).all()


def test_its_attributes_are_those_of_any_future(tcp):
    server, client = tcp.pair()
    future = client.put(1)
    with pytest.raises(AttributeError, match="no attribute 'frobnicate'"):
        future.frobnicate
    with pytest.raises(TypeError):
        future.futures[STRANGER] = None
