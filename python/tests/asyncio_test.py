# SPDX-License-Identifier: Apache-2.0
"""Coroutines that put and get."""

import asyncio
import gc
import threading
import weakref

import pytest
from support import TIMEOUT, eventually, met

import net_queue as nq


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, TIMEOUT))


def test_aget_and_aput(link):
    server, client = link.pair()

    async def main():
        for number in range(50):
            await client.aput(number)
            assert await server.aget() == (client.id, number)
            await server.aput(-number, client.id)
            assert await client.aget() == (server.id, -number)

    run(main())


def test_aget_before_anything_is_put(link):
    server, client = link.pair()

    async def main():
        waiting = asyncio.create_task(server.aget())
        await asyncio.sleep(0)
        assert not waiting.done()
        await client.aput("text")
        assert (await waiting).data == "text"

    run(main())


def test_the_loop_runs_meanwhile(tcp):
    server, client = tcp.pair()

    async def main():
        waiting = asyncio.create_task(server.aget())
        for _ in range(100):
            await asyncio.sleep(0)
        client.put(1)
        await waiting

    run(main())


def test_async_for_ends_with_close(link):
    server, client = link.pair()

    async def main():
        async with client:
            for number in range(20):
                client.put(number)
        got = []
        async for peer, number in server:
            got.append(number)
            if number == 19:
                await server.aclose()
        assert got == list(range(20))

    run(main())


def test_async_for_of_a_client_whose_server_is_gone(link):
    server, client = link.pair()

    async def main():
        server.put(1, client.id).result(TIMEOUT)
        server.close(timeout=0)
        got = []
        with pytest.raises(ConnectionResetError):
            async for message in client:
                got.append(message.data)
        assert got == [1]

    run(main())


def test_async_with(link):
    async def main():
        async with link.server() as server:
            async with link.client() as client:
                await client.aput("in with")
            with pytest.raises(ConnectionAbortedError):
                await client.aget()
            assert (await server.aget()).data == "in with"
            other = link.client()
            met(server, other)
            await other.aclose()
        with pytest.raises(KeyError):
            async with link.server():
                raise KeyError

    run(main())


def test_aput_raises_as_its_future(link):
    server, client = link.pair()

    async def main():
        with pytest.raises(ConnectionResetError):
            await client.aput(1, client.id)
        with pytest.raises(TypeError):
            await client.aput(1, "nobody")
        with pytest.raises(TypeError):
            await client.aget("nobody")
        await client.aclose()
        with pytest.raises(ConnectionAbortedError):
            await client.aput(1)

    run(main())


def test_cancelled_agets_lose_no_message(link):
    server, client = link.pair()
    count = 1000

    async def main():
        got = []

        async def take():
            got.append((await server.aget()).data)

        sender = threading.Thread(
            target=lambda: [client.put(number) for number in range(count)])
        sender.start()
        while len(got) < count:
            tasks = [asyncio.create_task(take()) for _ in range(20)]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if len(got) < count:  # where nothing was there, wait for something
                await take()
        sender.join()
        assert got == list(range(count))

    run(main())


def test_agets_that_time_out_lose_no_message(tcp):
    server, client = tcp.pair()
    count = 300

    async def main():
        got, empty = [], 0
        sender = threading.Thread(
            target=lambda: [client.put(number).result(TIMEOUT) for number in range(count)])
        sender.start()
        while len(got) < count:
            try:
                got.append((await asyncio.wait_for(server.aget(), 0.0002)).data)
            except asyncio.TimeoutError:
                empty += 1
        sender.join()
        assert got == list(range(count))

    run(main())


def test_agets_of_given_peers(link):
    server = link.server()
    clients = [link.client() for _ in range(3)]
    met(server, *clients)

    async def main():
        agets = {client: asyncio.create_task(server.aget(client.id)) for client in clients}
        await asyncio.sleep(0)
        for number, client in reversed(list(enumerate(clients))):
            await client.aput(number)
            assert await agets[client] == (client.id, number)
        both = asyncio.create_task(server.aget(clients[0].id, clients[1].id))
        await asyncio.sleep(0)
        await clients[2].aput("none of both")
        await clients[1].aput("one of both")
        assert (await both).data == "one of both"
        assert (await server.aget()).data == "none of both"

    run(main())


def test_loops_in_two_threads(tcp):
    server, client = tcp.pair()
    count = 400
    got = []

    async def take():
        async for message in server:
            got.append(message.data)

    threads = [threading.Thread(target=run, args=(take(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(count):
        client.put(number).result(TIMEOUT)
    eventually(lambda: len(got) == count, "all messages")
    client.close()
    server.close(timeout=TIMEOUT)
    for thread in threads:
        thread.join(TIMEOUT)
        assert not thread.is_alive()
    assert sorted(got) == list(range(count))


def test_close_wakes_all(link):
    server, client = link.pair()

    async def main():
        waiting = [asyncio.create_task(client.aget()) for _ in range(5)]
        waiting.append(asyncio.create_task(client.aget(server.id)))
        await asyncio.sleep(0)
        await client.aclose()
        for error in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(error, (ConnectionAbortedError, ConnectionResetError)), error

    run(main())


def test_a_loop_that_was_closed_harms_nobody(tcp):
    server, client = tcp.pair()

    async def give_up():
        asyncio.create_task(server.aget())
        await asyncio.sleep(0)

    for _ in range(3):
        asyncio.run(give_up())
    client.put(1)
    assert run(server.aget()).data == 1


def test_a_coroutine_that_gave_up_keeps_no_communicator(tcp, collected):
    server = tcp.server()
    client = nq.new("tcp", "client", tcp.options("client"))
    met(server, client)

    async def give_up():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.aget(), 0.01)

    asyncio.run(give_up())
    gone = weakref.ref(client)
    del client, give_up
    gc.collect()
    assert gone() is None
    eventually(lambda: server.peers() == [], "its goodbye")


def test_many_at_once(tcp):
    server, client = tcp.pair()

    async def main():
        gets = [asyncio.create_task(server.aget()) for _ in range(200)]
        await asyncio.sleep(0)
        await asyncio.gather(*(client.aput(number) for number in range(200)))
        assert sorted([(await get).data for get in gets]) == list(range(200))

    run(main())
