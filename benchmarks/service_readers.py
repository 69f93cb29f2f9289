"""Readers of a service, in a process of their own: each asks something once a second.

Reads from its standard input what to ask, as JSON (``port``, ``key``, ``paths``, ``readers``,
``seconds``), and writes how long each answer took, and what it cost this process (s).
"""

import asyncio
import json
import random
import re
import sys
import time
from dataclasses import dataclass

LENGTH = re.compile(rb"(?i)content-length: (\d+)")


@dataclass(frozen=True, slots=True)
class Asked:
    """What readers ask, of whom, and for how long."""

    port: int
    key: str
    paths: list[str]
    readers: int
    seconds: float


async def read(asked: Asked) -> list[float]:
    """Let all readers ask, and return how long each answer took (s).

    Each has a connection of its own and reads no more of an answer than its length: a client's
    pool would be measured in place of the service.
    """
    took: list[float] = []
    head = (
        f"Host: 127.0.0.1:{asked.port}\r\nAuthorization: Bearer {asked.key}\r\n"
        "Accept: application/json\r\n\r\n"
    )

    async def reader(number: int) -> None:
        chance = random.Random(number)  # noqa: S311 -- no secret
        await asyncio.sleep(chance.random())
        incoming, outgoing = await asyncio.open_connection("127.0.0.1", asked.port)
        until = time.perf_counter() + asked.seconds
        while time.perf_counter() < until:
            began = time.perf_counter()
            outgoing.write(f"GET {chance.choice(asked.paths)} HTTP/1.1\r\n{head}".encode())
            answer = await incoming.readuntil(b"\r\n\r\n")
            length = LENGTH.search(answer)
            if not answer.startswith(b"HTTP/1.1 200") or length is None:
                raise RuntimeError(answer.decode())
            await incoming.readexactly(int(length[1]))
            took.append(time.perf_counter() - began)
            await asyncio.sleep(max(0.0, began + 1 - time.perf_counter()))
        outgoing.close()

    await asyncio.gather(*(reader(number) for number in range(asked.readers)))
    return took


def main() -> None:
    """Read, and write what came of it."""
    asked, before = Asked(**json.load(sys.stdin)), time.process_time()
    took = asyncio.run(read(asked))
    json.dump({"took": took, "cpu": time.process_time() - before}, sys.stdout)


if __name__ == "__main__":
    main()
