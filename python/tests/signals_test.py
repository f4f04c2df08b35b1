# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C, and other signals, while a program waits."""

import signal

import pytest
from programs import PAIR
from support import TIMEOUT, finish, outputs, run, start, wait_for_line

BLOCKED = {
    "get": "server.get()",
    "get with a timeout": "server.get(timeout=60)",
    "get from a peer": "server.get(me.id)",
    "result": "stuck().result()",
    "exception": "stuck().exception(60)",
    "close": "server.close()",
    "close with a timeout": "server.close(timeout=60)",
    "the end of with": "\n  with server: pass",
}
STUCK = """
me = met(client(connection=nq.ConnectionOptions(receive_bytes=1)))
for _ in range(3): server.put(1, me.id).result(10)
def stuck():
    return server.put(bytes(64 << 20), me.id)
"""


@pytest.mark.parametrize("call", BLOCKED)
def test_ctrl_c_ends_it_at_once(call):
    process = start(PAIR + STUCK + f"""
signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
began = time.monotonic()
try:
  signal.setitimer(signal.ITIMER_REAL, 0.1)
  {BLOCKED[call]}
except KeyboardInterrupt:
  print("interrupted", time.monotonic() - began < {TIMEOUT / 4})
me.close(timeout=0)
server.close(timeout=0)
""")
    assert finish(process) == "interrupted True\n"


def test_ctrl_c_from_outside():
    process = start(PAIR + "print('ready', flush=True)\nserver.get()")
    wait_for_line(process, "ready")
    process.send_signal(signal.SIGINT)
    _, err = outputs(process, TIMEOUT)
    assert process.returncode == -signal.SIGINT and err.endswith("\nKeyboardInterrupt\n")


def test_after_a_handler_that_returns_get_goes_on():
    assert run(PAIR + """
handled = []
signal.signal(signal.SIGUSR1, lambda *_: handled.append(1))
me = client()
def later():
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGUSR1)
        while not handled: time.sleep(0.001)
    me.put("a message")
threading.Thread(target=later).start()
print(server.get().data, bool(handled))
me.close(); server.close()
""") == "a message True\n"


def test_what_a_handler_raises_comes_out_of_get():
    assert run(PAIR + """
def handler(*_): raise LookupError("from a handler")
signal.signal(signal.SIGALRM, handler)
try:
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    server.get()
except LookupError as error:
    print(error)
""") == "from a handler\n"


def test_signals_lose_no_message():
    assert run(PAIR + """
me = met(client())
def disturb():
    for number in range(2000):
        if number % 20 == 0: os.kill(os.getpid(), signal.SIGUSR1)
        me.put(number)
got, hits = [], []
signal.signal(signal.SIGUSR1, lambda *_: hits.append(1))
thread = threading.Thread(target=disturb); thread.start()
while len(got) < 2000: got.append(server.get(timeout=10).data)
thread.join()
print(got == list(range(2000)), bool(hits))
me.close(); server.close()
""") == "True True\n"
