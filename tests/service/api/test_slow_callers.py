"""A caller that is slow, or says nothing, holds no connection and no call for ever."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import pytest
import uvicorn
from served_worlds import World

from auditor.errors import RequestTooSlowError, UsageError
from auditor.service.api.body_timeout import BodyTimeoutMiddleware
from auditor.service.server.bind_address import BindAddress
from auditor.service.server.connection_limits import BoundedProtocol

ENOUGH = 60.0
"""Seconds after which a test gives up on a connection that ought to be closed long before."""


class Quick(BoundedProtocol):
    head, stall, linger = 0.2, 0.2, 0.1


async def toy(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401
    """Answer at once, without a look at the body; /long with more than any buffer holds."""
    start = {"type": "http.response.start", "status": 200, "headers": []}
    await send(start)
    size = 2**26 if scope["path"] == "/long" else 2
    await send({"type": "http.response.body", "body": b"." * size})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(toy, http=Quick, lifespan="off", log_config=None, timeout_keep_alive=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join(ENOUGH)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET / HTT",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ",
        b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHo",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n.",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_who_does_not_end_what_it_began_is_hung_up_on(port: int, said: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), ENOUGH) as line:
        line.sendall(said)
        while line.recv(2**16):  # raises where nobody hangs up
            pass


def test_a_head_that_comes_byte_by_byte_gains_no_time(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), ENOUGH) as line:
        over = threading.Event()

        def drip() -> None:
            while not over.wait(0.05):
                try:
                    line.sendall(b"a")
                except OSError:
                    return

        line.sendall(b"GET /")
        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            assert _hung_up(line)
        finally:
            over.set()
            dripping.join()


def test_who_takes_nothing_of_an_answer_is_cut_off(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), ENOUGH) as line:
        line.sendall(b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n")
        # Nothing is read until the other side has gone: then a write to it fails.
        poked = threading.Event()
        for _ in range(600):
            poked.wait(0.1)
            try:
                line.sendall(b".")
            except OSError:
                break
        else:
            pytest.fail("the line still stands")


def _hung_up(line: socket.socket) -> bool:
    try:
        return line.recv(1) == b""
    except ConnectionResetError:
        return True


def body(*parts: bytes | None) -> Callable[[], Any]:
    """Return what receives these parts of a body; ``None`` never comes."""
    left = list(parts)

    async def receive() -> MutableMapping[str, Any]:
        part = left.pop(0) if left else None
        if part is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": part, "more_body": bool(left)}

    return receive


async def read(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401
    while (await receive())["more_body"]:
        pass


@pytest.mark.parametrize("parts", [(None,), (b"a", None), (b"a" * 10**9, None)])
def test_a_body_that_stops_coming_ends_the_call(parts: tuple[bytes | None, ...]) -> None:
    paced = BodyTimeoutMiddleware(read, grace=0.1, rate=1.0)
    with pytest.raises(RequestTooSlowError, match="too slowly"):
        asyncio.run(asyncio.wait_for(paced({"type": "http"}, body(*parts), print), ENOUGH))


def test_a_body_that_has_come_leaves_all_the_time_to_the_call() -> None:
    async def waits(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401
        await read(scope, receive, send)
        asked = asyncio.ensure_future(receive())
        await asyncio.sleep(0.3)  # longer than the body had
        assert not asked.done()
        asked.cancel()

    paced = BodyTimeoutMiddleware(waits, grace=0.1, rate=1.0)
    asyncio.run(paced({"type": "http"}, body(b"whole"), print))


def test_a_call_whose_body_does_not_come_is_told_so(world: World) -> None:
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    headers = {"authorization": f"Bearer {world.keys['admin']}", "content-type": "application/json"}
    scope = {
        "type": "http", "method": "POST", "path": "/v1/keys", "query_string": b"", "root_path": "",
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "scheme": "http",
        "headers": [(name.encode(), said.encode()) for name, said in headers.items()],
    }  # fmt: skip
    assert any(item.cls is BodyTimeoutMiddleware for item in world.app.user_middleware)
    paced = BodyTimeoutMiddleware(world.app, grace=0.1, rate=1.0)
    asyncio.run(asyncio.wait_for(paced(scope, body(b"{", None), send), ENOUGH))
    assert sent[0]["status"] == 408
    assert b"/too_slow" in sent[1]["body"]


@pytest.mark.parametrize("proxy", ["*", "a.example", "10.0.0.1/8", ""])
def test_a_proxy_is_an_address_or_a_network(proxy: str) -> None:
    with pytest.raises(UsageError, match="neither an address nor a network"):
        BindAddress(proxies=(proxy,)).refuse_unusable()
    BindAddress(proxies=("10.0.0.7", "10.0.0.0/24", "::1")).refuse_unusable()
