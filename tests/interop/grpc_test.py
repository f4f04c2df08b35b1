# SPDX-License-Identifier: Apache-2.0
"""WIRE.md, gRPC: our server and our client against old peers, and what strangers may call."""

import itertools
import os
import queue
import socket
import subprocess
import threading
import unittest
import uuid

import grpc

from harness import (ABSENCE, BIN, TIMEOUT, InteropTest, cpu_seconds_while, eventually, fill,
                     threads_of)
from old_grpc_peer import METHOD, POLL_MAX, Ended, OldGrpcClient, OldGrpcServer, Stream
from old_peer import frame


class GrpcTest(InteropTest):
    def server(self, **options):
        return self.puppet("server", protocol="grpc", **options)

    def client(self, server, **options):
        return self.puppet("client", protocol="grpc", port=server.port, **options)

    def old_client(self, server, **options):
        client = OldGrpcClient("127.0.0.1", server.port, timeout=TIMEOUT, **options)
        self.addCleanup(client.abort)
        return client

    def old_server(self, **options):
        server = OldGrpcServer(timeout=TIMEOUT, **options)
        self.addCleanup(server.stop)
        return server

    def channel(self, server):
        channel = grpc.insecure_channel(f"127.0.0.1:{server.port}",
                                        (("grpc.use_local_subchannel_pool", 1),))
        self.addCleanup(channel.close)
        return channel


class OurServerTest(GrpcTest):
    """Old clients."""

    def setUp(self):
        self.cpp = self.server()

    def test_messages_go_both_ways(self):
        client = self.old_client(self.cpp)
        client.put(b"question")
        self.assertEqual(self.cpp.get_octets(), b"question")
        self.cpp.put(b"answer", client.id)
        self.assertEqual(client.get(), b"answer")
        self.assertEqual(client.stream.peer_id, self.cpp.id)

    def test_the_answer_to_an_ini_is_in_the_same_round(self):
        client = self.old_client(self.cpp)
        client.round()
        self.assertEqual(client.stream.peer_id, self.cpp.id)
        self.cpp.expect(f"ini {client.id}")

    def test_what_is_long_goes_in_several_messages(self):
        client = self.old_client(self.cpp)
        octets = fill(11_000_000, 3)
        client.put(octets)
        self.assert_message(self.cpp.get(), client.id, octets)
        self.cpp.tell(f"fill 11000000 5 {client.id}")
        self.assertEqual(client.get(), fill(11_000_000, 5))  # would be refused above 4 MiB each

    def test_a_round_is_not_longer_for_there_being_more(self):
        client = self.old_client(self.cpp)
        client.round()
        self.cpp.tell(f"fill 60000000 5 {client.id}")
        self.assertEqual(client.get(), fill(60_000_000, 5))
        self.assertLess(client.fullest, 24 << 20)

    def test_many_clients_by_turns(self):
        clients = [self.old_client(self.cpp) for _ in range(10)]
        self.cpp.ask("echo", "echoing")
        for turn in range(5):
            for client in clients:
                self.assert_echoes(client, b"%d " % turn + client.id.bytes)
        for client in clients:
            client.close()
            self.cpp.expect(f"fin {client.id}")

    def test_an_idle_client_calls_nothing_and_stays(self):
        client = self.old_client(self.cpp)
        client.put(b"first")
        self.cpp.get()
        # No call is open now, and nothing of ours ends the connection between two.
        self.assertTrue(self.cpp.has_nothing())
        self.assertEqual(self.cpp.state_of(client.id), "open")
        client.put(b"second")
        self.assertEqual(self.cpp.get_octets(), b"second")

    def test_what_is_queued_arrives_before_fin(self):
        client = self.old_client(self.cpp)
        client.put(b"last words")
        self.cpp.get()
        self.cpp.put(b"late", client.id)
        client.close()
        self.assertEqual(client.get(), b"late")
        with self.assertRaises(Ended):
            client.get()
        self.cpp.expect(f"fin {client.id}")

    def test_close_waits_for_the_clients_and_serves_their_rounds(self):
        client = self.old_client(self.cpp)
        client.put(b"here")
        self.cpp.get()
        self.cpp.put(b"queued", client.id)
        self.cpp.tell(f"close {TIMEOUT * 1000}")
        # The door is closed, for all but the clients that are in.
        eventually(lambda: self.refused(), "the port is free")
        client.put(b"still here")
        self.assertEqual(client.get(), b"queued")
        self.assertEqual(self.cpp.said("closed .*"), 0)
        client.close()
        self.cpp.expect("closed 1")

    def refused(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.cpp.port)) != 0

    def test_a_client_that_is_gone_between_rounds_is_lost_and_may_come_back(self):
        client = self.old_client(self.cpp)
        client.put(b"here")
        self.cpp.get()
        client.abort()
        eventually(lambda: self.cpp.state_of(client.id) == "lost", "the client is lost")
        self.cpp.put(b"for later", client.id)
        again = self.old_client(self.cpp, own_id=client.id)
        again.round()
        self.assertEqual(again.get(), b"for later")
        again.put(b"back")
        self.assertEqual(self.cpp.get_octets(), b"back")

    def test_an_id_in_use_is_refused_with_a_session_that_ends(self):
        client = self.old_client(self.cpp)
        client.put(b"first")
        self.cpp.get()
        second = self.old_client(self.cpp, own_id=client.id)
        second.put(b"I am the first")
        with self.assertRaises(Ended):
            second.get()
        second.close()
        client.put(b"unharmed")
        self.assertEqual(self.cpp.get_octets(), b"unharmed")
        self.assertTrue(self.cpp.has_nothing())

    def test_a_stranger_that_is_none_of_ours_is_dropped_without_an_error(self):
        client = self.old_client(self.cpp)
        client.stream.take()
        client.stream.put(b"no ini")
        client.round()  # raises if it ends with anything but OK
        self.cpp.expect("log warning .*stranger dropped.*not this protocol.*")
        self.assertIsNone(client.stream.peer_id)

    def test_an_idle_server_takes_no_time(self):
        clients = [self.old_client(self.cpp) for _ in range(20)]
        for client in clients:
            client.put(b"x")
            self.cpp.get()
        self.assertLess(cpu_seconds_while(self.cpp.pid, 0.5), 0.1)


class OurServerAndStrangersTest(GrpcTest):
    """Calls as any program can make them."""

    def setUp(self):
        self.cpp = self.server(handshake_timeout=300)

    def call(self, *octets, method=METHOD, metadata=()):
        comm = self.channel(self.cpp).stream_stream(method)
        return comm(iter(octets), metadata=metadata, timeout=TIMEOUT)

    def status_of(self, call):
        try:
            list(call)
        except grpc.RpcError:
            pass
        return call.code()

    def test_another_method_is_unimplemented(self):
        self.assertEqual(self.status_of(self.call(method="/grpc/other")),
                         grpc.StatusCode.UNIMPLEMENTED)

    def test_the_key_is_granted_at_once(self):
        outgoing = queue.SimpleQueue()
        comm = self.channel(self.cpp).stream_stream(METHOD)
        call = comm(iter(outgoing.get, None), metadata=(("nq-stream", "1"),), timeout=TIMEOUT)
        self.assertEqual(dict(call.initial_metadata()).get("nq-stream"), "1")
        stream = Stream(uuid.uuid4())
        for piece in stream.take():
            outgoing.put(piece)
        stream.feed(next(call))
        self.assertEqual(stream.peer_id, self.cpp.id)
        self.cpp.put(b"on the open call", stream.own_id)
        self.assertEqual(stream.feed(next(call)), [b"on the open call"])
        # A long one comes in messages of a mebibyte at most.
        self.cpp.tell(f"fill 5000000 3 {stream.own_id}")
        messages, sizes = [], []
        while not messages:
            octets = next(call)
            sizes.append(len(octets))
            messages = stream.feed(octets)
        self.assertEqual(messages, [fill(5_000_000, 3)])
        self.assertLessEqual(max(sizes), 1 << 20)
        outgoing.put(None)

    def test_without_the_key_there_is_none(self):
        client = OldGrpcClient("127.0.0.1", self.cpp.port, timeout=TIMEOUT)
        self.addCleanup(client.abort)
        call = client.comm(iter(client.stream.take()), timeout=TIMEOUT)
        self.assertNotIn("nq-stream", dict(call.initial_metadata()))
        list(call)

    def test_an_id_that_is_none_is_refused(self):
        self.assertEqual(self.status_of(self.call(metadata=(("nq-id", "me"),))),
                         grpc.StatusCode.INVALID_ARGUMENT)

    def test_an_id_that_the_ini_denies_is_dropped(self):
        stream = Stream(uuid.uuid4())
        call = self.call(*stream.take(), metadata=(("nq-id", uuid.uuid4().hex),))
        self.assertEqual(self.status_of(call), grpc.StatusCode.OK)
        self.cpp.expect("log warning .*its ini says .*")

    def test_an_id_in_use_is_told_beneath_a_duplex_stream(self):
        client = OldGrpcClient("127.0.0.1", self.cpp.port, timeout=TIMEOUT)
        self.addCleanup(client.abort)
        client.put(b"first")
        self.cpp.get()
        call = self.call(frame(client.id.bytes), metadata=(("nq-stream", "1"),))
        self.assertEqual(self.status_of(call), grpc.StatusCode.ALREADY_EXISTS)
        self.assertIn("in use", call.details())

    def test_a_silent_call_ends_with_its_deadline(self):
        outgoing = queue.SimpleQueue()
        comm = self.channel(self.cpp).stream_stream(METHOD)
        call = comm(iter(outgoing.get, None), metadata=(("nq-stream", "1"),), timeout=TIMEOUT)
        self.assertEqual(self.status_of(call), grpc.StatusCode.OK)
        outgoing.put(None)
        self.cpp.expect("log warning .*no ini in time.*")

    def test_what_does_not_speak_http2_harms_nobody(self):
        with socket.create_connection(("127.0.0.1", self.cpp.port), TIMEOUT) as stranger:
            stranger.sendall(frame(uuid.uuid4().bytes) * 10)
            while stranger.recv(1 << 16):
                pass
        client = OldGrpcClient("127.0.0.1", self.cpp.port, timeout=TIMEOUT)
        self.addCleanup(client.abort)
        client.put(b"unharmed")
        self.assertEqual(self.cpp.get_octets(), b"unharmed")

    def test_a_message_that_is_too_long_ends_the_call(self):
        comm = grpc.insecure_channel(f"127.0.0.1:{self.cpp.port}", (
            ("grpc.max_send_message_length", -1),)).stream_stream(METHOD)
        call = comm(iter([bytes((64 << 20) + 1)]), timeout=TIMEOUT)
        self.assertNotEqual(self.status_of(call), grpc.StatusCode.OK)


class IdleStreamsTest(GrpcTest):
    def test_a_thousand_idle_streams_cost_no_thread_and_no_time(self):
        self.cpp = self.server()
        outgoing = queue.SimpleQueue()
        self.addCleanup(lambda: [outgoing.put(None) for _ in range(1000)])
        # The server is warm, and has the threads that it takes.
        self.open_idle_streams(10, outgoing)
        before = threads_of(self.cpp.pid)
        self.open_idle_streams(990, outgoing)
        # gRPC has a few more where the machine is slow; a thread for each would be 990.
        self.assertLessEqual(threads_of(self.cpp.pid), before + 30)
        self.assertLess(cpu_seconds_while(self.cpp.pid, 1), 0.5)

    def open_idle_streams(self, count, outgoing):
        """Sessions whose calls stay open, 100 to a connection."""
        calls = []
        for number in range(count):
            if number % 100 == 0:
                comm = self.channel(self.cpp).stream_stream(METHOD)
            own = uuid.uuid4()
            said = itertools.chain([frame(own.bytes)], iter(outgoing.get, None))
            calls.append((own, comm(said, metadata=(("nq-stream", "1"), ("nq-id", own.hex)))))
        for own, call in calls:
            self.assertEqual(next(call), frame(self.cpp.id.bytes))
            self.cpp.expect(f"ini {own}")


class OurClientTest(GrpcTest):
    """Old servers."""

    def setUp(self):
        self.old = self.old_server()

    def test_messages_go_both_ways(self):
        cpp = self.client(self.old)
        cpp.put(b"question")
        self.assertEqual(self.old.get(), (cpp.id, b"question"))
        self.old.put(b"answer", cpp.id)
        self.assertEqual(cpp.get_octets(), b"answer")
        cpp.expect(f"ini {self.old.id}")

    def test_the_first_call_asks_for_a_stream_and_the_others_do_not(self):
        cpp = self.client(self.old)
        eventually(lambda: len(self.old.calls) >= 3, "it goes on in rounds")
        first, *others = list(self.old.calls)
        self.assertEqual((first["nq-stream"], first["nq-id"]), ("1", cpp.id.hex))
        for metadata in others:
            self.assertNotIn("nq-stream", metadata)
            self.assertEqual(metadata["nq-id"], cpp.id.hex)

    def test_what_is_long_goes_in_messages_an_old_server_takes(self):
        cpp = self.client(self.old)
        cpp.tell("fill 11000000 3")
        self.assertEqual(self.old.get(), (cpp.id, fill(11_000_000, 3)))
        self.assertLessEqual(self.old.longest, 4 << 20)
        octets = fill(11_000_000, 7)
        self.old.put(octets, cpp.id)
        self.assert_message(cpp.get(), self.old.id, octets)

    def test_a_round_is_not_longer_for_there_being_more(self):
        cpp = self.client(self.old)
        cpp.tell("fill 60000000 3")
        self.assertEqual(self.old.get(), (cpp.id, fill(60_000_000, 3)))
        self.assertLess(self.old.fullest, 24 << 20)
        self.old.put(b"answer", cpp.id)
        self.assertEqual(cpp.get_octets(), b"answer")

    def test_clients_take_turns_at_one_worker(self):
        clients = [self.client(self.old) for _ in range(5)]
        for number, cpp in enumerate(clients):
            cpp.put(b"%d" % number)
        received = [self.old.get() for _ in clients]
        self.assertEqual({peer for peer, _ in received}, {cpp.id for cpp in clients})
        for peer, octets in received:
            self.old.put(octets + b"!", peer)
        for number, cpp in enumerate(clients):
            self.assertEqual(cpp.get_octets(), b"%d!" % number)
        self.assertEqual(self.old.overlaps, 0)

    def test_close_ends_with_both_fins(self):
        cpp = self.client(self.old)
        cpp.put(b"last")
        self.assertEqual(self.old.get()[1], b"last")
        self.old.put(b"late", cpp.id)
        self.assertEqual(cpp.ask(f"close {TIMEOUT * 1000}", "closed (.)")[1], "1")
        self.assertEqual(cpp.get_octets(), b"late")
        self.assertEqual(cpp.finish(), 0)

    def test_empty_rounds_become_rare(self):
        cpp = self.client(self.old)
        cpp.expect(f"ini {self.old.id}")
        eventually(lambda: self.rounds_in(2 * POLL_MAX) <= 3, "twice a second")

    def rounds_in(self, seconds):
        before = len(self.old.calls)
        threading.Event().wait(seconds)  # watches for what must not happen
        return len(self.old.calls) - before

    def test_a_server_that_stops_is_lost(self):
        cpp = self.client(self.old)
        cpp.expect(f"ini {self.old.id}")
        self.old.stop()
        self.assertIn("the connection to the server was lost",
                      cpp.ask("get", "error (.*)")[1])

    def test_a_server_that_comes_back_at_its_place_does_not_go_on_with_the_session(self):
        cpp = self.client(self.old)
        cpp.expect(f"ini {self.old.id}")
        # Between two rounds, the pause is long enough for a server to go and another to come.
        eventually(lambda: self.rounds_in(2 * POLL_MAX) <= 3, "twice a second")
        before = len(self.old.calls)
        eventually(lambda: len(self.old.calls) > before, "the pause has just begun")
        eventually(lambda: not any(self.old.open_calls.values()), "the call is over")
        self.old.stop()
        again = self.old_server(port=self.old.port)
        self.assertIn("the connection to the server was lost", cpp.ask("get", "error (.*)")[1])
        self.assertEqual(again.calls, [])

    def test_nobody_there(self):
        self.old.stop()
        cpp = self.client(self.old, connect_timeout=300)
        error = cpp.ask("get", "error (.*)")[1]
        self.assertIn(f"cannot connect to 127.0.0.1:{self.old.port}", error)
        self.assertIn("is a server running there?", error)


class BothOursTest(GrpcTest):
    def test_one_call_carries_all(self):
        server = self.server()
        client = self.client(server)
        client.put(b"question")
        self.assertEqual(server.get_octets(), b"question")
        server.put(b"answer")
        self.assertEqual(client.get_octets(), b"answer")
        self.assertLess(cpu_seconds_while(client.pid, ABSENCE), 0.1)
        self.assertEqual(client.finish(), 0)
        server.expect(f"fin {client.id}")
        self.assertEqual(server.ask("close", "closed (.)")[1], "1")

    def test_a_client_that_is_killed_is_lost(self):
        server = self.server()
        client = self.client(server)
        client.put(b"here")
        server.get()
        client.process.kill()
        eventually(lambda: server.state_of(client.id) == "lost", "it is lost")

    def test_a_port_in_use(self):
        server = self.server()
        second = subprocess.run(
            [os.path.join(BIN, "interop_peer"), "server", "--protocol=grpc",
             f"--port={server.port}"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=TIMEOUT, check=False)
        self.assertRegex(second.stdout, "threw cannot listen on .* in use.*choose another port")


if __name__ == "__main__":
    unittest.main()
