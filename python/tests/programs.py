# SPDX-License-Identifier: Apache-2.0
"""Programs that tests run again and again, for what they look for is a race."""

import concurrent.futures
import os

from support import run

#: More finds rarer ones.
TIMES = int(os.environ.get("NQ_TIMES", "6"))

#: What the programs begin with: a server, and how to make clients of it.
PAIR = """\
import os, signal, sys, threading, time
import net_queue as nq
server = nq.new("tcp", "server", nq.CommunicatorOptions(netloc=("127.0.0.1", 0)))
def client(**more):
    return nq.new("tcp", "client", nq.CommunicatorOptions(netloc=server.options.netloc, **more))
def met(queue):
    while queue.id not in server.peers(): time.sleep(0.001)
    return queue
"""


def again_and_again(program, *arguments, at_once=2):
    """Runs a program many times."""
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        runs = [pool.submit(run, program, *arguments) for _ in range(TIMES)]
        return [each.result() for each in runs]
