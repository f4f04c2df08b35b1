# SPDX-License-Identifier: Apache-2.0
"""WIRE.md, TCP, with security: against Python's ssl in both roles, octet for octet."""

import socket
import ssl
import unittest
import uuid
import warnings

from harness import TIMEOUT, AuthorityTest, eventually, fill
from old_peer import Wire, frame

MIB = 1 << 20


class TlsTest(AuthorityTest):
    def client_context(self, trusted="authority.pem"):
        return ssl.create_default_context(cafile=self.file(trusted))

    def server_context(self, name="server"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file(name + ".pem"), self.file(name + ".key"))
        return context

    def secured_server(self):
        return self.server(key=self.file("server.key"), certificate=self.file("server.pem"))

    def secured_wire(self, server, context=None, host="127.0.0.1"):
        connection = socket.create_connection((server.host, server.port), TIMEOUT)
        self.addCleanup(connection.close)
        wire = Wire((context or self.client_context()).wrap_socket(
            connection, server_hostname=host), TIMEOUT)
        self.addCleanup(wire.close)
        return wire

    def join(self, server, own_id, **options):
        wire = self.secured_wire(server, **options)
        wire.send_frame(own_id.bytes)
        self.assertEqual(wire.read_frame(), server.id.bytes)
        server.expect(f"ini {own_id}")
        return wire


class OurServerTest(TlsTest):
    def setUp(self):
        self.cpp = self.secured_server()
        self.id = uuid.uuid4()

    def test_a_session_from_ini_to_fin(self):
        wire = self.join(self.cpp, self.id)
        wire.send(frame(b"hello") + frame(fill(8 * MIB, 3)))
        self.assertEqual(self.cpp.get_octets(), b"hello")
        self.assert_message(self.cpp.get(), self.id, fill(8 * MIB, 3))
        self.cpp.ask(f"fill {8 * MIB} 5 {self.id}", r"put (\d+)")
        self.assertEqual(wire.read_frame(), fill(8 * MIB, 5))
        wire.send_frame(self.id.bytes)
        self.assertEqual(wire.read_frame(), self.cpp.id.bytes)
        self.assertIsNone(wire.read_frame())  # with TLS's own end: otherwise ssl would complain
        wire.socket.unwrap().close()
        self.cpp.expect(f"fin {self.id}")

    def test_tls_1_2_is_spoken_and_nothing_older(self):
        context = self.client_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        wire = self.join(self.cpp, self.id, context=context)
        self.assertEqual(wire.socket.version(), "TLSv1.2")
        old = self.client_context()
        old.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            old.minimum_version = ssl.TLSVersion.TLSv1
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with self.assertRaises(ssl.SSLError):
            self.secured_wire(self.cpp, context=old)
        wire.send_frame(b"unharmed")
        self.assertEqual(self.cpp.get_octets(), b"unharmed")

    def test_a_handshake_octet_by_octet(self):
        connection = socket.create_connection((self.cpp.host, self.cpp.port), TIMEOUT)
        self.addCleanup(connection.close)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")

        def send_slowly():
            for octet in outgoing.read():
                connection.sendall(bytes([octet]))

        def complete(step):
            while True:
                try:
                    result = step()
                    send_slowly()
                    return result
                except ssl.SSLWantReadError:
                    send_slowly()
                    incoming.write(connection.recv(1))

        complete(tls.do_handshake)
        complete(lambda: tls.write(frame(self.id.bytes) + frame(b"slow")))
        self.assertEqual(self.cpp.get_octets(), b"slow")
        self.assertEqual(complete(lambda: tls.read(24)), frame(self.cpp.id.bytes))

    def test_a_connection_cut_off_is_lost_and_its_client_may_come_back(self):
        wire = self.join(self.cpp, self.id)
        wire.send(frame(b"before"))
        self.assertEqual(self.cpp.get_octets(), b"before")
        wire.socket.shutdown(socket.SHUT_RDWR)  # no close_notify
        wire.socket.close()
        eventually(lambda: self.cpp.state_of(self.id) == "lost", "the loss is noticed")
        self.cpp.put(b"kept", self.id)
        wire = self.join(self.cpp, self.id)
        self.assertEqual(wire.read_frame(), b"kept")

    def test_who_does_not_trust_the_server_goes_and_harms_nobody(self):
        wire = self.join(self.cpp, self.id)
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.secured_wire(self.cpp, context=self.client_context("other_authority.pem"))
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.secured_wire(self.cpp, host="elsewhere.example")
        for _ in range(2):  # the alert, or the reset that overtook it
            self.cpp.expect(r"log warning .*stranger dropped.*")
        wire.send_frame(b"unharmed")
        self.assertEqual(self.cpp.get_octets(), b"unharmed")


class OurClientTest(TlsTest):
    def setUp(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.listener.close)
        self.listener.settimeout(TIMEOUT)
        self.port = self.listener.getsockname()[1]
        self.id = uuid.uuid4()

    def accept(self, context=None):
        connection = self.listener.accept()[0]
        self.addCleanup(connection.close)
        connection.settimeout(TIMEOUT)
        wire = Wire((context or self.server_context()).wrap_socket(connection, server_side=True),
                    TIMEOUT)
        self.addCleanup(wire.close)
        return wire

    def client(self, **options):
        return self.puppet("client", port=self.port, certificate=self.file("authority.pem"),
                           **options)

    def test_a_session_from_ini_to_fin(self):
        cpp = self.client()
        wire = self.accept()
        self.assertEqual(wire.read_frame(), cpp.id.bytes)
        wire.send(frame(self.id.bytes) + frame(fill(8 * MIB, 1)))
        self.assert_message(cpp.get(), self.id, fill(8 * MIB, 1))
        cpp.ask(f"fill {8 * MIB} 2", r"put (\d+)")
        self.assertEqual(wire.read_frame(), fill(8 * MIB, 2))
        cpp.tell(f"close {TIMEOUT * 1000}")
        self.assertEqual(wire.read_frame(), cpp.id.bytes)
        wire.send_frame(self.id.bytes)
        cpp.expect("closed 1")

    def test_a_server_of_tls_1_2(self):
        context = self.server_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        cpp = self.client()
        self.assertEqual(self.accept(context).read_frame(), cpp.id.bytes)

    def test_the_name_of_the_server_is_told_to_it(self):
        asked = []
        context = self.server_context()
        context.sni_callback = lambda _, name, __: asked.append(name)
        cpp = self.client(host="localhost")
        self.assertEqual(self.accept(context).read_frame(), cpp.id.bytes)
        self.assertEqual(asked, ["localhost"])

    def test_a_server_that_is_not_the_one_is_told_so(self):
        for name, reason in (("elsewhere", "IP address mismatch"), ("expired", "has expired"),
                             ("stranger", "certificate verify failed")):
            cpp = self.client()
            with self.assertRaises(ssl.SSLError):
                self.accept(self.server_context(name))
            self.assertIn(reason, cpp.ask("get", "error (.*)")[1])


if __name__ == "__main__":
    unittest.main()
