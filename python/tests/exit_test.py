# SPDX-License-Identifier: Apache-2.0
"""The end of a program, with whatever it has not ended itself."""

import pytest
from programs import PAIR, TIMES, again_and_again
from support import TIMEOUT, outputs, run, start

ENDS = {
    "open communicators": "me = met(client())",
    "messages queued": "me = met(client())\nfor number in range(50): me.put(number)",
    "a daemon thread in get": """
me = met(client())
for queue in (server, me):
    threading.Thread(target=queue.get, daemon=True).start()
""",
    "daemon threads at work": """
me = met(client())
class Thing:
    def __init__(self): self.items = [1, 2.5, "text"] * 20
    def __reduce__(self): return (Thing, ())
def put():
    while True: me.put([Thing() for _ in range(20)])
def get():
    while True: server.get()
for target in (put, get, put, get):
    threading.Thread(target=target, daemon=True).start()
time.sleep(0.1)
""",
    "a daemon thread in a future": """
me = met(client(connection=nq.ConnectionOptions(receive_bytes=1)))
for _ in range(3): server.put(1, me.id).result(10)
future = server.put(bytes(64 << 20), me.id)
def wait():
    try:
        future.result()
    except ConnectionResetError:
        pass  # as the client's close may be known here before the program ends
threading.Thread(target=wait, daemon=True).start()
me.close(timeout=0)
""",
    "a daemon thread in close": """
me = met(client())
threading.Thread(target=server.close, daemon=True).start()
""",
    "a callback that runs": """
begun = threading.Event()
def callback(_):
    begun.set()
    end = time.monotonic() + 0.2
    while time.monotonic() < end: sum(range(1000))
me = client(events=nq.EventOptions(ini=callback))
begun.wait()
""",
    "many callbacks": """
me = met(client())
for number in range(2000):
    me.put(number).add_done_callback(lambda future: [future.result(), str(future)])
""",
    "a log at the end": """
import logging
me = met(client(log=lambda *_: time.sleep(0.01)))
""",
    "a coroutine that waits": """
import asyncio
me = met(client())
async def main():
    task = asyncio.create_task(server.aget())
    await asyncio.sleep(0.01)
asyncio.run(main())
""",
    "no peer": """
me = nq.new(options=nq.CommunicatorOptions(netloc=("127.0.0.1", 1)))
server.close()
""",
    "a reference in a cycle": """
me = met(client())
class Holder: pass
holder = Holder(); holder.me, holder.holder = me, holder
del me, holder
""",
    "one that an atexit function uses": """
import atexit
me = met(client())
@atexit.register
def last():
    me.put("last").result(10)
    assert server.get(timeout=10).data == "last"
""",
    "one that a __del__ closes": """
class Owner:
    def __init__(self): self.me = met(client())
    def __del__(self): self.me.close(timeout=1)
owner = Owner()
sys.modules["owner"] = owner
""",
    "arrays that are views of messages": """
import numpy
me = met(client())
for _ in range(4): me.put(numpy.zeros(100_000))
arrays = [server.get().data for _ in range(4)]
sent = [me.put(array) for array in arrays]
""",
}


@pytest.mark.parametrize("end", ENDS)
def test_a_program_ends(end):
    again_and_again(PAIR + ENDS[end])


def test_a_callback_that_never_ends_ends_with_the_program():
    run(PAIR + """
begun = threading.Event()
def callback(_):
    begun.set()
    while True: sum(range(1000))
me = client(events=nq.EventOptions(ini=callback))
begun.wait()
""")


@pytest.mark.parametrize("protocol", ["grpc", "mqtt"])
def test_a_program_ends_over_other_transports(protocol, request):
    host, port = "127.0.0.1", 0
    if protocol == "mqtt":
        broker = request.getfixturevalue("broker")
        host, port = broker.host, broker.port
    again_and_again(f"""
import sys, threading
import net_queue as nq
server = nq.new("{protocol}", "server", nq.CommunicatorOptions(netloc=("{host}", {port})))
me = nq.new("{protocol}", "client", nq.CommunicatorOptions(netloc=server.options.netloc))
me.put("text")
server.get(timeout=10)
threading.Thread(target=me.get, daemon=True).start()
""", at_once=1 if protocol == "mqtt" else 2)  # a broker has one server


def test_what_was_queued_at_the_end_of_a_program_arrives(tcp):
    server = tcp.server()
    host, port = server.options.netloc
    again_and_again("""
import sys
import net_queue as nq
me = nq.new(options=nq.CommunicatorOptions(netloc=(sys.argv[1], int(sys.argv[2]))))
for number in range(10): me.put(number)
me.put(bytes(3_000_000))
""", host, port)
    messages = [server.get(timeout=10) for _ in range(TIMES * 11)]
    for sender in {peer for peer, _ in messages}:
        assert [data for peer, data in messages if peer == sender] \
            == [*range(10), bytes(3_000_000)]


def test_an_exception_ends_a_program_without_waiting():
    process = start(PAIR + "me = met(client())\nwith server, me:\n  raise KeyError")
    _, err = outputs(process, TIMEOUT)
    assert process.returncode == 1 and err.endswith("\nKeyError\n")
