# SPDX-License-Identifier: Apache-2.0
"""Many threads, many messages; nothing is lost, and nothing is kept."""

import collections
import gc
import os
import resource
import sys
import threading
import weakref

import numpy
import pytest
from support import TIMEOUT, eventually, finish, start

THREADS = 8
EACH = 2500  # of 8 threads: 20,000 messages each way


def resident_bytes():
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def test_eight_threads_each_way(tcp):
    server, client = tcp.pair()
    got = {server: collections.defaultdict(list), client: collections.defaultdict(list)}
    left = {server: THREADS * EACH, client: THREADS * EACH}
    lock = threading.Lock()
    errors = []

    def put(queue, peers, thread):
        for number in range(EACH):
            queue.put((thread, number), *peers)

    def get(queue):
        while True:
            with lock:
                if left[queue] == 0:
                    return
                left[queue] -= 1
            thread, number = queue.get(timeout=TIMEOUT).data
            with lock:
                got[queue][thread].append(number)

    def guarded(function, *arguments):
        try:
            function(*arguments)
        except BaseException as error:
            errors.append(error)

    # One getter for each queue sees the order; more of them only that nothing is lost.
    calls = [(put, client, (), thread) for thread in range(THREADS)]
    calls += [(put, server, (client.id,), thread) for thread in range(THREADS)]
    calls += [(get, server), *[(get, client)] * THREADS]
    threads = [threading.Thread(target=guarded, args=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
    assert got[server] == {thread: list(range(EACH)) for thread in range(THREADS)}
    assert {thread: sorted(numbers) for thread, numbers in got[client].items()} \
        == {thread: list(range(EACH)) for thread in range(THREADS)}


def test_peers_come_and_go_in_threads(link):
    server = link.server()
    errors = []

    def visit(number):
        try:
            with link.client() as client:
                client.put(number)
                assert client.get(timeout=TIMEOUT).data == -number
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for _ in threads:
        peer, number = server.get(timeout=TIMEOUT)
        server.put(-number, peer)
    for thread in threads:
        thread.join(TIMEOUT)
    assert not errors
    eventually(lambda: server.peers() == [], "the end of all visits")


def send(server, client, count, message):
    """Round after round, so that nothing piles up."""
    for _ in range(count // 500):
        for _ in range(500):
            client.put(message)
        for _ in range(500):
            server.get(timeout=TIMEOUT)


def test_nothing_grows_over_100_000_messages(tcp):
    server, client = tcp.pair()
    message = {"key": [1, 2.5, "text"], "uuid": client.id}
    send(server, client, 20_000, message)
    gc.collect()
    objects, size = len(gc.get_objects()), resident_bytes()
    counts = [sys.getrefcount(thing) for thing in (message, client.id, None.__class__)]
    send(server, client, 100_000, message)
    gc.collect()
    assert [sys.getrefcount(thing) for thing in (message, client.id, None.__class__)] == counts
    assert len(gc.get_objects()) - objects < 100
    assert resident_bytes() - size < 8 << 20


def test_nothing_grows_with_futures_and_callbacks(tcp):
    server, client = tcp.pair()

    def round(count):
        told = []
        for number in range(count):
            client.put(number).add_done_callback(told.append)
        for _ in range(count):
            server.get(timeout=TIMEOUT)
        eventually(lambda: len(told) == count, "all callbacks")

    round(2000)
    gc.collect()
    objects = len(gc.get_objects())
    for _ in range(5):
        round(2000)
    gc.collect()
    assert len(gc.get_objects()) - objects < 200


@pytest.mark.parametrize("size", [100, 1 << 20])
def test_lent_objects_come_back(tcp, size):
    server, client = tcp.pair()
    lent = {"bytes": bytes(size), "bytearray": bytearray(size),
            "array": numpy.zeros(size, dtype="u1")}
    counts = {name: sys.getrefcount(lent[name]) for name in lent}
    for _ in range(20):
        for name in lent:
            client.put(lent[name])
            server.get(timeout=TIMEOUT)
    for name in lent:
        eventually(lambda: sys.getrefcount(lent[name]) == counts[name],
                   f"{name} back, {sys.getrefcount(lent[name])} against {counts[name]}")
    lent["bytearray"].append(1)  # no buffer of it is left anywhere


def test_received_memory_is_let_go_of(tcp):
    server, client = tcp.pair()
    size = 32 << 20
    client.put(numpy.zeros(size, dtype="u1"))
    array = server.get(timeout=TIMEOUT).data
    before = resident_bytes()
    del array
    client.put(1)
    server.get(timeout=TIMEOUT)
    eventually(lambda: resident_bytes() <= before - size // 2, "the array's memory given back")


class Array(numpy.ndarray):
    """One that can be watched."""


def test_a_buffer_is_let_go_of_though_nobody_calls_the_queue(tcp):
    server, client = tcp.pair()
    array = numpy.zeros(4 << 20, dtype="u1").view(Array)
    gone = weakref.ref(array)
    client.put(array)
    del array
    eventually(lambda: gone() is None, "the array's end, in a main thread that runs Python")


def test_a_buffer_is_let_go_of_while_the_main_thread_waits_in_get(tcp):
    server, client = tcp.pair()
    ended = threading.Event()
    array = numpy.zeros(4 << 20, dtype="u1").view(Array)
    weakref.finalize(array, ended.set)
    client.put(array)
    del array
    told = []
    watcher = threading.Thread(
        target=lambda: (told.append(ended.wait(TIMEOUT)), server.put("go on", client.id)))
    watcher.start()
    assert client.get(timeout=TIMEOUT).data == "go on"
    watcher.join()
    assert told == [True]


def test_a_future_that_nobody_has_lets_go_too(tcp):
    server, client = tcp.pair()
    gone = []
    for _ in range(50):
        array = numpy.zeros(1 << 20, dtype="u1").view(Array)
        gone.append(weakref.ref(array))
        client.put(array).add_done_callback(lambda _: None)
    del array
    for _ in range(50):
        server.get(timeout=TIMEOUT)
    eventually(lambda: not any(array() is not None for array in gone), "all arrays' end")


HEAVY = """
import re, sys, numpy, net_queue as nq
server = nq.new("tcp", "server", nq.CommunicatorOptions(netloc=("127.0.0.1", 0)))
print(server.options.netloc.port, flush=True)
array = server.get().data
size = array.nbytes
assert (array[::4096] == 7).all() and array.flags.writeable
with open("/proc/self/status") as status:
    peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read())[1]) * 1024
print(size, peak)
server.put("thanks")
server.close()
"""
SENDER = """
import sys, numpy, net_queue as nq
with nq.new(options=nq.CommunicatorOptions(netloc=("127.0.0.1", int(sys.argv[1])))) as queue:
    queue.put(numpy.full(int(sys.argv[2]), 7, dtype="u1"))
    queue.get()
"""


@pytest.mark.heavy
def test_an_array_of_3_gib_takes_a_tenth_more_at_most():
    size = 3 << 30
    free = os.sysconf("SC_AVPHYS_PAGES") * resource.getpagesize()
    if free < 2.5 * size:
        pytest.skip(f"needs {2.5 * size / 2**30:.1f} GiB of free memory, not {free / 2**30:.1f}")
    server = start(HEAVY)
    port = server.stdout.readline().strip()
    finish(start(SENDER, port, size), timeout=120)
    arrived, peak = map(int, finish(server, timeout=120).split())
    assert arrived == size and peak <= 1.1 * size, peak / size
