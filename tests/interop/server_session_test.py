# SPDX-License-Identifier: Apache-2.0
"""WIRE.md, Session: our server, scripted and independent clients."""

import socket
import struct
import unittest
import uuid

from harness import NIL, TIMEOUT, InteropTest, cpu_seconds_while, eventually, fill
from old_peer import SIZE, Wire, frame

MIB = 1 << 20


def reset(wire):
    """Ends a connection with RST: what is under way is lost."""
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.socket.close()


class ServerSessionTest(InteropTest):
    def setUp(self):
        self.cpp = self.server()
        self.id = uuid.uuid4()

    def join(self, own_id=None):
        """A connection on which both inis were exchanged."""
        wire = self.wire(self.cpp)
        wire.send_frame((own_id or self.id).bytes)
        self.assertEqual(wire.read_frame(), self.cpp.id.bytes)
        self.cpp.expect(f"ini {own_id or self.id}")
        return wire

    def leave(self, wire, own_id=None):
        wire.send_frame((own_id or self.id).bytes)
        self.assertEqual(wire.read_frame(), self.cpp.id.bytes)
        wire.close()
        self.cpp.expect(f"fin {own_id or self.id}")

    # Start

    def test_the_server_says_nothing_before_it_has_the_whole_ini(self):
        wire = self.wire(self.cpp)
        ini = frame(self.id.bytes)
        wire.send(ini[:-1])
        self.assert_silent(wire)
        wire.send(ini[-1:])
        self.assertEqual(wire.read_frame(), self.cpp.id.bytes)

    def test_messages_may_follow_the_ini_at_once(self):
        wire = self.wire(self.cpp)
        wire.send(frame(self.id.bytes) + frame(b"hello") + frame(self.id.bytes))
        self.assertEqual(self.cpp.get_octets(), b"hello")
        self.assertEqual(wire.read_frame(), self.cpp.id.bytes)
        self.assertEqual(wire.read_frame(), self.cpp.id.bytes)

    def test_anything_but_an_ini_is_dropped_and_reported(self):
        neighbour = self.join()
        for octets in (frame(b"hello"), SIZE.pack(0), SIZE.pack(17), SIZE.pack(1 << 63)):
            wire = self.wire(self.cpp)
            wire.send(octets)
            self.assertIsNone(wire.read_frame())
            self.cpp.expect(r"log (?:info|warning) .*")
        neighbour.send_frame(b"still here")
        self.assertEqual(self.cpp.get_octets(), b"still here")
        self.assertEqual(self.cpp.said("message.*"), 0)

    def test_a_silent_connection_is_dropped_in_time(self):
        server = self.server(handshake_timeout=300)
        wire = self.wire(server)
        self.assertIsNone(wire.read_frame())
        server.expect(r"log (?:info|warning) .*")

    # Stop

    def test_on_fin_the_server_sends_what_is_queued_then_its_fin(self):
        wire = self.join()
        number = self.cpp.ask(f"fill {16 * MIB} 1 {self.id}", r"put (\d+)")[1]
        self.cpp.put(b"last", self.id)
        wire.send_frame(self.id.bytes)
        self.assertEqual(wire.read_frame(), fill(16 * MIB, 1))
        self.cpp.expect(f"done {number}")
        self.assertEqual(wire.read_frame(), b"last")
        self.assertEqual(wire.read_frame(), self.cpp.id.bytes)
        wire.close()
        self.cpp.expect(f"fin {self.id}")

    def test_what_was_received_stays_readable_after_a_clean_stop(self):
        wire = self.join()
        wire.send_frame(b"read me later")
        self.leave(wire)
        self.assertEqual(self.cpp.get_octets(), b"read me later")

    def test_what_follows_a_fin_is_no_message(self):
        wire = self.join()
        wire.send(frame(b"before") + frame(self.id.bytes) + frame(b"after") + frame(bytes(16)))
        self.assertEqual(self.cpp.get_octets(), b"before")
        self.assertEqual(wire.read_frame(), self.cpp.id.bytes)
        self.assertTrue(self.cpp.has_nothing())

    def test_close_stops_accepting_and_waits_for_the_clients(self):
        wire = self.join()
        self.cpp.tell(f"close {TIMEOUT * 1000}")
        eventually(self.refuses_connections, "the listener is closed")
        self.assert_silent(wire)
        self.assertEqual(self.cpp.said("closed .*"), 0)
        wire.send_frame(self.id.bytes)
        self.assertEqual(wire.read_frame(), self.cpp.id.bytes)
        wire.close()
        self.cpp.expect("closed 1")
        self.assertEqual(self.cpp.finish(), 0)

    def refuses_connections(self):
        try:
            Wire.connect(self.cpp.host, self.cpp.port, TIMEOUT).close()
            return False
        except ConnectionError:
            return True

    def test_close_with_a_deadline_ends_with_fin_and_reads_until_fin(self):
        wire = self.join()
        self.cpp.tell("close 300")
        self.assertEqual(wire.read_frame(), self.cpp.id.bytes)
        wire.send_frame(b"too late")
        wire.send_frame(self.id.bytes)
        self.assertIsNone(wire.read_frame())
        self.cpp.expect("closed .")

    # Loss

    def test_a_client_that_comes_back_gets_what_was_queued(self):
        wire = self.join()
        wire.send_frame(b"before the loss")
        reset(wire)
        eventually(lambda: self.cpp.state_of(self.id) == "lost", "the loss is noticed")
        self.cpp.put(b"while away", self.id)
        self.cpp.put(b"to all")
        wire = self.join()
        self.assertEqual(wire.read_frame(), b"while away")
        self.assertEqual(wire.read_frame(), b"to all")
        self.leave(wire)

    def test_what_was_received_before_a_loss_stays_readable(self):
        wire = self.join()
        wire.send(frame(b"whole") + SIZE.pack(100) + b"half")
        wire.close()
        eventually(lambda: self.cpp.state_of(self.id) == "lost", "the loss is noticed")
        self.assertEqual(self.cpp.get_octets(), b"whole")
        self.assertTrue(self.cpp.has_nothing())

    def test_a_frame_cut_off_on_its_way_in_is_dropped_and_may_come_again(self):
        wire = self.join()
        octets = fill(5 * MIB, 3)
        wire.send(frame(octets)[:-1])
        wire.close()
        wire = self.rejoin()
        wire.send_frame(octets)
        self.assert_message(self.cpp.get(), self.id, octets)
        self.assertTrue(self.cpp.has_nothing())

    def test_a_frame_cut_off_on_its_way_out_is_sent_again_whole(self):
        # More than two sockets' buffers hold, so that the loss comes in the middle.
        size = 64 * MIB
        wire = self.join()
        self.cpp.tell(f"fill {size} 5 {self.id}")
        self.assertEqual(wire.read_size(), size)
        self.assertEqual(wire.read_exactly(MIB), fill(MIB, 5))
        reset(wire)
        wire = self.rejoin()
        self.assertEqual(wire.read_frame(), fill(size, 5))
        self.leave(wire)

    def rejoin(self):
        """Comes back once the server has noticed the loss: until then the id is in use."""
        eventually(lambda: self.cpp.state_of(self.id) == "lost", "the loss is noticed")
        return self.join()

    def test_a_lost_session_expires(self):
        self.cpp = self.server(session_expiry=300)
        wire = self.join()
        wire.close()
        self.cpp.expect(f"fin {self.id}")
        self.assertEqual(self.cpp.state_of(self.id), "unknown")
        number = self.cpp.put(b"anybody?", self.id)
        self.cpp.expect(rf"failed {number} .*")
        self.assertEqual(self.cpp.ask("totals", r"totals (\d+) (\d+) (\d+) (\d+)")[4], "1")

    def test_a_loss_costs_no_cpu_and_does_not_hold_up_close(self):
        wire = self.join()
        wire.close()
        eventually(lambda: self.cpp.state_of(self.id) == "lost", "the loss is noticed")
        self.assertLess(cpu_seconds_while(self.cpp.pid, 0.5), 0.05)
        self.cpp.put(b"never to be had", self.id)
        self.cpp.ask(f"close {TIMEOUT * 1000}", "closed 0", timeout=5)

    # One live connection per UUID

    def assert_refused(self, claimed):
        wire = self.wire(self.cpp)
        wire.send(frame(claimed.bytes) + frame(b"from nobody"))
        self.assertEqual(wire.read_frame(), self.cpp.id.bytes)
        self.assertEqual(wire.read_frame(), self.cpp.id.bytes)
        wire.send_frame(b"from nobody, again")
        wire.send_frame(claimed.bytes)
        self.assertIsNone(wire.read_frame())
        self.cpp.expect(r"log (?:info|warning) .*")

    def test_an_id_in_use_is_refused_and_its_owner_unharmed(self):
        owner = self.join()
        self.assert_refused(self.id)
        self.cpp.put(b"for the owner", self.id)
        self.assertEqual(owner.read_frame(), b"for the owner")
        owner.send_frame(b"from the owner")
        self.assertEqual(self.cpp.get_octets(), b"from the owner")
        self.assertTrue(self.cpp.has_nothing())
        self.leave(owner)

    def test_the_servers_own_id_is_refused(self):
        self.assert_refused(self.cpp.id)
        self.assertTrue(self.cpp.has_nothing())

    def test_the_nil_id_is_refused(self):
        self.assert_refused(NIL)
        self.assertTrue(self.cpp.has_nothing())

    def test_a_refused_connection_stays_open_until_its_fin(self):
        # An old client that reads a fin and finds the socket still open leaves cleanly.
        wire = self.wire(self.cpp)
        wire.send_frame(NIL.bytes)
        self.assertEqual(wire.read_frame(), self.cpp.id.bytes)
        self.assertEqual(wire.read_frame(), self.cpp.id.bytes)
        self.assert_silent(wire)
        wire.send_frame(NIL.bytes)
        self.assertIsNone(wire.read_frame())

    def test_refusals_are_counted(self):
        for claimed in (self.cpp.id, NIL):
            self.assert_refused(claimed)
        self.assertEqual(self.cpp.ask("totals", r"totals (\d+) (\d+) (\d+) (\d+)")[3], "2")

    def test_an_id_is_free_again_after_a_clean_stop(self):
        for _ in range(3):
            self.leave(self.join())

    # Many

    def test_a_put_to_nobody_reaches_every_identified_client_and_no_stranger(self):
        stranger = self.wire(self.cpp)
        ids = [uuid.uuid4() for _ in range(5)]
        wires = [self.join(own_id) for own_id in ids]
        self.cpp.put(b"to all")
        for wire, own_id in zip(wires, ids):
            self.assertEqual(wire.read_frame(), b"to all")
            self.leave(wire, own_id)
        self.assert_silent(stranger)


if __name__ == "__main__":
    unittest.main()
