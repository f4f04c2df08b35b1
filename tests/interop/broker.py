# SPDX-License-Identifier: Apache-2.0
"""A mosquitto of one's own, and clients of it that do as they are told."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import uuid

import paho.mqtt.client as paho

TIMEOUT = 60
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"


def find_mosquitto():
    program = shutil.which("mosquitto", path=_PATH)
    if program is None:
        raise FileNotFoundError("mosquitto is not installed (Debian: apt-get install mosquitto)")
    return program


class Broker:
    """On a free port of the loopback, without bound on what it queues; answers once it is made.
    With `users`, a dict of passwords, lets in nobody else, and with `access`, an access list, only
    to what that says; with `own`, the files of a certificate and its key, speaks TLS."""

    def __init__(self, users=None, own=None, access=None):
        self.folder = tempfile.TemporaryDirectory()
        self.host = "127.0.0.1"
        self.users = users or {}
        self.own = own
        self.access = access
        for _ in range(5):
            with socket.create_server((self.host, 0)) as server:
                self.port = server.getsockname()[1]
            if self.start():
                return
        raise RuntimeError("mosquitto does not start")

    def start(self):
        lines = [f"listener {self.port} {self.host}", "max_queued_messages 0", "log_type error"]
        if os.geteuid() == 0:
            lines.append("user root")
        if self.own:
            lines += [f"certfile {self.own[0]}", f"keyfile {self.own[1]}"]
        if self.users:
            passwords = os.path.join(self.folder.name, "passwords")
            open(passwords, "w", encoding="ascii").close()
            for user, password in self.users.items():
                subprocess.run(["mosquitto_passwd", "-b", passwords, user, password], check=True,
                               env={"PATH": _PATH})
            lines.append(f"password_file {passwords}")
        else:
            lines.append("allow_anonymous true")
        if self.access:
            access = os.path.join(self.folder.name, "acl")
            with open(access, "w", encoding="ascii") as file:
                file.write(self.access)
            lines.append(f"acl_file {access}")
        config = os.path.join(self.folder.name, "mosquitto.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        # It ends with this process, even with one that is killed.
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", find_mosquitto(), "-c",
                                         config], stderr=subprocess.DEVNULL)
        return self._answers()

    def _answers(self):
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            try:
                self.process.wait(0.01)
                return False  # Somebody else took the port.
            except subprocess.TimeoutExpired:
                pass
            try:
                socket.create_connection((self.host, self.port), TIMEOUT).close()
                return True
            except ConnectionRefusedError:
                pass
        raise TimeoutError("mosquitto does not answer")

    def stop(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.stop()
        self.folder.cleanup()


class BrokerClient:
    """A connection with a broker; `received(topic, payload)` is called on a thread of its own."""

    def __init__(self, broker, name=None, received=None, user=None):
        self._subscribed = threading.Event()
        self._connected = threading.Event()
        self.client = paho.Client(name or uuid.uuid4().hex, clean_session=True)
        self.client.max_queued_messages_set(0)
        self.client.on_connect = lambda *_: self._connected.set()
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        if user is not None:
            self.client.username_pw_set(user, broker.users[user])
        if received is not None:
            self.client.on_message = lambda _, __, it: received(it.topic, it.payload)
        self.client.connect(broker.host, broker.port)
        self.client.loop_start()
        if not self._connected.wait(TIMEOUT):
            raise TimeoutError("the broker does not let us in")

    def subscribe(self, pattern):
        self._subscribed.clear()
        self.client.subscribe(pattern, qos=0)
        if not self._subscribed.wait(TIMEOUT):
            raise TimeoutError("the broker does not take the subscription")

    def publish(self, topic, payload, retain=False):
        """Returns once the socket has it."""
        self.client.publish(topic, payload, qos=0, retain=retain).wait_for_publish(TIMEOUT)

    def vanish(self):
        """Leaves without a word, once what was published is gone."""
        self.client.loop_stop()
        self.client.socket().close()

    def disconnect(self):
        self.client.disconnect()
        self.client.loop_stop()
