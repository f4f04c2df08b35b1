# SPDX-License-Identifier: Apache-2.0
"""fork: a child is told that its parent's queues are not its own, and may open some."""

import pytest
from programs import PAIR, again_and_again
from support import outputs, start

CHILD = """
me = met(client())
future = me.put(1)
child = os.fork()
if child == 0:
    refused = 0
    for call in (lambda: me.put(1), lambda: me.get(timeout=1), me.try_get, me.peers, me.stats,
                 me.close, server.get, server.close, future.result, future.done, future.cancel,
                 lambda: future.add_done_callback(print), lambda: future.futures):
        try:
            call()
        except RuntimeError as error:
            refused += "fork" in str(error)
    del me, server, future
    mine = nq.new("tcp", "server", nq.CommunicatorOptions(netloc=("127.0.0.1", 0)))
    own = nq.new("tcp", "client", nq.CommunicatorOptions(netloc=mine.options.netloc))
    own.put("child").add_done_callback(lambda _: None)
    fine = mine.get(timeout=10).data == "child"
    own.close()
    END
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 13
me.put("parent").result(10)
assert [server.get(timeout=10).data for _ in range(2)] == [1, "parent"]
me.close()
assert server.close().clean
"""


@pytest.mark.parametrize("end", ["os._exit(refused if fine else 1)",
                                 "sys.exit(refused if fine else 1)"])
def test_fork(end):
    again_and_again(PAIR + CHILD.replace("END", end))


def test_fork_while_threads_are_at_work():
    again_and_again(PAIR + """
me = met(client())
stop = threading.Event()
def put():
    while not stop.is_set():
        me.put("text").add_done_callback(lambda _: None)
        server.get(timeout=10)
threads = [threading.Thread(target=put) for _ in range(3)]
for thread in threads: thread.start()
for _ in range(5):
    child = os.fork()
    if child == 0:
        mine = nq.new("tcp", "server", nq.CommunicatorOptions(netloc=("127.0.0.1", 0)))
        own = nq.new("tcp", "client", nq.CommunicatorOptions(netloc=mine.options.netloc))
        told = threading.Event()
        own.put("child").add_done_callback(lambda _: told.set())
        assert mine.get(timeout=10).data == "child" and told.wait(10)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
for thread in threads: thread.join()
""")


def test_multiprocessing_by_fork():
    again_and_again(PAIR + """
import multiprocessing
def work(netloc, queue):
    try:
        queue.put(1)
        refused = False
    except RuntimeError:
        refused = True
    with nq.new(options=nq.CommunicatorOptions(netloc=netloc)) as own:
        own.put(("child", refused))
me = met(client())
process = multiprocessing.get_context("fork").Process(target=work,
                                                      args=(server.options.netloc, me))
process.start()
assert server.get(timeout=10).data == ("child", True)
process.join()
assert process.exitcode == 0
""")


def test_a_child_that_hangs_fails_a_test_and_does_not_hang_it():
    process = start("import os, signal\nif os.fork() == 0: signal.pause()")
    with pytest.raises(AssertionError, match="did not end"):
        outputs(process, timeout=1)
