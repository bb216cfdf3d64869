"""Hands connections on from one address to another: `python -m bench.hosts.forward A=B ...`.

The local stack's services listen on 127.0.0.1 or a socket file only. On the base host this opens
them to the wire; on each other host it stands at the same local address, so that every process
keeps its usual settings and all its packets cross the wire.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

_CHUNK = 65_536


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        writer.close()


async def _serve(listen: str, target: str) -> asyncio.Server:
    async def taken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if target.startswith("/"):
                there = await asyncio.open_unix_connection(target)
            else:
                host, port = target.rsplit(":", 1)
                there = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))

    host, port = listen.rsplit(":", 1)
    return await asyncio.start_server(taken, host, int(port))


async def _all(pairs: list[str]) -> None:
    servers = [await _serve(*pair.split("=", 1)) for pair in pairs]
    print("all forwarded", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(_all(sys.argv[1:]))
