# SPDX-License-Identifier: Apache-2.0
"""A peer of the base wire protocol over MQTT, on paho-mqtt.

Written from the page WIRE.md ("Framing", "Session", "MQTT"), behaving as that page says old peers
do, and sharing nothing with the C++ library.

    client hex publishes its stream to c2s/hex, and subscribes to s2c/hex
    a server subscribes to c2s/+; it learns of a client by its first publish
"""

import queue
import threading
import uuid

from broker import BrokerClient
from old_peer import SIZE, frame

TIMEOUT = 60


class Stream:
    """The octets of one direction, as frames."""

    def __init__(self):
        self.octets = bytearray()

    def frames(self, payload):
        """What is whole with this payload."""
        self.octets += payload
        while len(self.octets) >= SIZE.size:
            size = SIZE.unpack_from(self.octets)[0]
            if len(self.octets) < SIZE.size + size:
                return
            whole = bytes(self.octets[SIZE.size:SIZE.size + size])
            del self.octets[:SIZE.size + size]
            yield whole


class Party:
    """One end of one session: sends in slices of `slice_size`, tells what comes."""

    def __init__(self, own_id, publish, slice_size):
        self.own_id = own_id
        self.peer_id = None
        self.identified = threading.Event()
        self.fin_received = threading.Event()
        self.inbox = queue.SimpleQueue()
        self._stream = Stream()
        self._publish = publish
        self._slice_size = slice_size

    def send(self, octets):
        for begin in range(0, len(octets), self._slice_size):
            self._publish(octets[begin:begin + self._slice_size])

    def send_identity(self):
        self.send(frame(self.own_id.bytes))

    def put(self, octets):
        self.send(frame(octets))

    def get(self):
        return self.inbox.get(timeout=TIMEOUT)

    def handle_payload(self, payload):
        for octets in self._stream.frames(payload):
            if self.peer_id is None:
                assert len(octets) == 16, "the first frame is the ini"
                self.peer_id = uuid.UUID(bytes=octets)
                self.identified.set()
            elif octets == self.peer_id.bytes:
                self.fin_received.set()
            else:
                self.inbox.put(octets)


class OldMqttClient(Party):
    def __init__(self, broker, *, own_id=None, slice_size=4 << 20):
        own_id = own_id or uuid.uuid4()
        self.link = BrokerClient(broker, own_id.hex, lambda _, it: self.handle_payload(it))
        topic = f"c2s/{own_id.hex}"
        super().__init__(own_id, lambda octets: self.link.publish(topic, octets), slice_size)
        self.link.subscribe(f"s2c/{own_id.hex}")
        self.send_identity()

    def close(self):
        """Fin, and gone: no DISCONNECT, and the server's fin is not waited for."""
        self.send_identity()
        self.link.vanish()


class OldMqttServer:
    """Answers a fin with what is queued, which is nothing here, and its own."""

    def __init__(self, broker, *, own_id=None, slice_size=4 << 20):
        self.id = own_id or uuid.uuid4()
        self.slice_size = slice_size
        self.welcomes = True  # says its ini
        self.parties = {}
        self.came = queue.SimpleQueue()
        self.link = BrokerClient(broker, self.id.hex, self._handle_payload)
        self._sender = BrokerClient(broker)  # paho must not publish from its own callbacks
        self._work = queue.SimpleQueue()
        self._worker = threading.Thread(target=self._run, daemon=True)
        self._worker.start()
        self.link.subscribe("c2s/+")

    def wait_for_client(self):
        return self.came.get(timeout=TIMEOUT)

    def close(self):
        self.link.disconnect()
        self._sender.disconnect()
        self._work.put(None)

    def _handle_payload(self, topic, payload):
        self._work.put((topic, payload))

    def _run(self):
        while (item := self._work.get()) is not None:
            topic, payload = item
            party = self.parties.get(topic)
            if party is None:
                party = self.parties[topic] = self._welcome(topic.removeprefix("c2s/"))
                self.came.put(party)
            party.handle_payload(payload)
            if party.fin_received.is_set():
                party.send_identity()
                del self.parties[topic]

    def _welcome(self, client):
        party = Party(self.id, lambda octets: self._sender.publish(f"s2c/{client}", octets),
                      self.slice_size)
        if self.welcomes:
            party.send_identity()
        return party
