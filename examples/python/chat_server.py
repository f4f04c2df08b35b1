# SPDX-License-Identifier: Apache-2.0
"""A server in one coroutine: tells everybody what anybody says. Ends with the last client.

usage: chat_server.py [port]
"""

import asyncio
import sys

import net_queue as nq


async def main(port: int) -> None:
    loop = asyncio.get_running_loop()
    gone: asyncio.Queue[object] = asyncio.Queue()
    options = nq.CommunicatorOptions(
        netloc=nq.NetworkLocation(port=port),
        events=nq.EventOptions(fin=lambda peer: loop.call_soon_threadsafe(gone.put_nowait, peer)))
    async with nq.new(purpose=nq.Purpose.SERVER, options=options) as queue:
        print(f"listening on {queue.options.netloc}", flush=True)
        talking = asyncio.create_task(repeat(queue))
        while True:
            await gone.get()
            if not queue.peers():
                break
        talking.cancel()


async def repeat(queue: nq.Communicator) -> None:
    async for message in queue:
        await queue.aput(f"{message.peer}: {message.data}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 51966))
