# SPDX-License-Identifier: Apache-2.0
"""Says a line, and prints what is said until it hears its own. usage: chat_client.py [port]"""

import asyncio
import sys

import net_queue as nq


async def main(port: int) -> None:
    options = nq.CommunicatorOptions(netloc=nq.NetworkLocation(port=port))
    async with nq.new(options=options) as queue:
        await queue.aput("hello, everybody")
        async for message in queue:
            print(message.data)
            if message.data.startswith(str(queue.id)):
                break


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 51966))
