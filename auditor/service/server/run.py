"""Run a service until it is told to stop: its engine, its doors, and what waits."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from types import FrameType
from typing import Protocol

import uvicorn

from auditor.api.parts import Service
from auditor.api.problems import fault
from auditor.collecting import settle
from auditor.desks import Engine, take_up
from auditor.domain.canonical import Json
from auditor.errors import UsageError
from auditor.serving.assembling import assemble, first_admin
from auditor.serving.choosing import Bind, Choices
from auditor.serving.connections import BoundedProtocol
from auditor.serving.rounds import made, rounds_of
from auditor.serving.sighting import Sighter
from auditor.serving.stopping import told_to_stop
from auditor.store.service.store import ServiceStore
from auditor.web.site import build_site
from auditor.workplaces import Workplace

Say = Callable[[Mapping[str, Json]], None]
KEPT = 75
"""Seconds that an idle connection is kept: longer than proxies do, which would else call on one
that is being closed."""
CALLS = 2048
"""Connections that may wait to be taken up at once."""
STREAMS = 5
"""Seconds that calls in hand have to end once the service is told to stop."""


class Runs(Engine, Protocol):
    """An engine that is started and stopped."""

    def launch(self) -> None:
        """Begin to work."""

    def stop(self, drain_seconds: int) -> None:
        """Take no more work, and wait so long for what is in hand."""


def serve(  # noqa: PLR0913, PLR0917 -- where, by whom, and what it tells
    place: Workplace, engine: Runs, choices: Choices, bind: Bind, say: Say, looks: Sighter
) -> None:
    """Serve until SIGTERM or SIGINT, then let calls and checks in hand come to their end.

    A first start makes the project ``default`` and an admin's key. Raises ``UsageError`` where
    the address cannot be had, and what the engine raises that does not start.
    """
    bind.refuse_unusable()
    with ExitStack() as stack:
        stop = stack.enter_context(told_to_stop())
        service = assemble(place, engine, choices, say, stop.is_set)
        first = first_admin(ServiceStore(place.store), place.settings.home)
        if first is not None:
            say({"event": "admin_key", "path": str(first)})
        service.intake.forget(time.time())
        listening = stack.enter_context(_socket(bind))
        engine.launch()
        stack.callback(engine.stop, bind.drain)
        take_up(service.desk)
        told = partial(_told, say)
        stack.enter_context(made(rounds_of(service, looks), stop, told))
        _run(service, listening, bind, stop, say)


def _run(
    service: Service, listening: socket.socket, bind: Bind, stop: threading.Event, say: Say
) -> None:
    config = uvicorn.Config(
        build_site(service),
        access_log=False,
        log_config=None,
        log_level="warning",
        lifespan="off",
        http=BoundedProtocol,
        proxy_headers=bool(bind.proxies),
        forwarded_allow_ips=list(bind.proxies),
        server_header=False,
        timeout_graceful_shutdown=STREAMS,
        timeout_keep_alive=KEPT,
        ssl_certfile=bind.tls[0] if bind.tls else None,
        ssl_keyfile=bind.tls[1] if bind.tls else None,
    )
    settle()  # before anyone is told that calls are answered
    host, port = listening.getsockname()[:2]
    say(
        {
            "event": "serving",
            "host": host,
            "port": port,
            "open": bind.open,
            "tls": bind.tls is not None,
        }
    )
    _Server(config, stop).run(sockets=[listening])
    say({"event": "stopped"})


def _told(say: Say, error: Exception) -> None:
    say(fault(error, None))


class _Server(uvicorn.Server):
    """A server whose streams hear at once that it is told to stop."""

    def __init__(self, config: uvicorn.Config, stop: threading.Event) -> None:
        super().__init__(config)
        self._stop = stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin, and end at once where the word to stop came while the service was starting."""
        await super().startup(sockets)
        self.should_exit = self.should_exit or self._stop.is_set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take no new calls, and let streams break off."""
        self._stop.set()
        super().handle_exit(sig, frame)


@contextmanager
def _socket(bind: Bind) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    try:
        listening = socket.create_server((bind.host, bind.port), family=family, backlog=CALLS)
    except OSError as error:
        raise UsageError(
            f"{bind.host}:{bind.port} cannot be listened on: {error.strerror or error}",
            cure="Name another --host or --port, or stop what listens there.",
        ) from None
    with listening:
        yield listening
