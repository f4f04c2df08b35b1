# SPDX-License-Identifier: Apache-2.0
"""gRPC over TLS: our server and our client against old peers and each other."""

import os
import subprocess
import unittest

import grpc

from harness import BIN, TIMEOUT, AuthorityTest
from old_grpc_peer import OldGrpcClient, OldGrpcServer


def read(path):
    with open(path, "rb") as file:
        return file.read()


class GrpcTlsTest(AuthorityTest):
    def server(self, name="server", **options):
        return self.puppet("server", protocol="grpc", key=self.file(f"{name}.key"),
                           certificate=self.file(f"{name}.pem"), **options)

    def client(self, server, authority="authority.pem", **options):
        return self.puppet("client", protocol="grpc", port=server.port,
                           certificate=self.file(authority), **options)

    def assert_talk(self, server, client):
        client.put(b"question")
        self.assertEqual(server.get_octets(), b"question")
        server.put(b"answer")
        self.assertEqual(client.get_octets(), b"answer")

    def test_both_ours(self):
        server = self.server()
        self.assert_talk(server, self.client(server))

    def test_a_name_is_verified_too(self):
        server = self.server()
        self.assert_talk(server, self.client(server, host="localhost"))

    def test_our_server_and_an_old_client(self):
        server = self.server()
        credentials = grpc.ssl_channel_credentials(read(self.file("authority.pem")))
        client = OldGrpcClient("127.0.0.1", server.port, credentials=credentials, timeout=TIMEOUT)
        self.addCleanup(client.abort)
        client.put(b"question")
        self.assertEqual(server.get_octets(), b"question")
        server.put(b"answer", client.id)
        self.assertEqual(client.get(), b"answer")
        client.close()

    def test_our_client_and_an_old_server(self):
        credentials = grpc.ssl_server_credentials(
            [(read(self.file("server.key")), read(self.file("server.pem")))])
        server = OldGrpcServer(credentials=credentials, timeout=TIMEOUT)
        self.addCleanup(server.stop)
        client = self.client(server)
        client.put(b"question")
        self.assertEqual(server.get(), (client.id, b"question"))
        server.put(b"answer", client.id)
        self.assertEqual(client.get_octets(), b"answer")
        self.assertEqual(client.ask(f"close {TIMEOUT * 1000}", "closed (.)")[1], "1")

    def error_of(self, client):
        return client.ask("get", "error (.*)")[1]

    def test_a_server_of_another_authority_is_not_trusted(self):
        client = self.client(self.server(), authority="other_authority.pem")
        self.assertRegex(self.error_of(client), "certificate verify failed")

    def test_a_server_past_its_date_is_not_trusted(self):
        client = self.client(self.server("expired"))
        self.assertRegex(self.error_of(client), "certificate verify failed")

    def test_a_server_of_another_name_is_not_trusted(self):
        client = self.client(self.server("elsewhere"))
        self.assertRegex(self.error_of(client),
                         "cannot connect to .*127.0.0.1 is not in peer certificate")

    def test_a_client_without_tls_gets_nowhere(self):
        server = self.server()
        client = self.puppet("client", protocol="grpc", port=server.port, connect_timeout=2000)
        self.assertRegex(self.error_of(client), "cannot connect to .*does the server demand TLS")

    def test_a_server_without_tls_is_told_in_words(self):
        server = self.puppet("server", protocol="grpc")
        client = self.client(server, connect_timeout=2000)
        self.assertRegex(self.error_of(client), "cannot connect to .*does the server speak TLS")

    def test_a_server_may_demand_certificates(self):
        server = self.server(client_authority=self.file("authority.pem"))
        refused = self.client(server, connect_timeout=2000)
        self.assertRegex(self.error_of(refused),
                         "no server answered .*or a certificate from its clients")
        self.assert_talk(server, self.client(server, client_key=self.file("client.key"),
                                             client_certificate=self.file("client.pem")))

    def test_files_that_cannot_be_used_are_named_at_once(self):
        server, other = self.file("server.pem"), self.file("other_authority.pem")
        key = self.file("server.key")
        cases = (("server", {"key": "/nowhere", "certificate": server}, "/nowhere"),
                 ("server", {"key": key, "certificate": key}, "server.key"),
                 ("server", {"key": key, "certificate": other}, "server.key"),
                 ("client", {"certificate": key}, "server.key"))
        for purpose, options, text in cases:
            with self.subTest(purpose=purpose, **options):
                arguments = [f"--{name}={value}" for name, value in options.items()]
                program = subprocess.run(
                    [os.path.join(BIN, "interop_peer"), purpose, "--protocol=grpc", *arguments],
                    stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT,
                    check=False)
                self.assertRegex(program.stdout, "threw .*" + text)


if __name__ == "__main__":
    unittest.main()
