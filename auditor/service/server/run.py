"""Runs the service until it is stopped: HTTP server, job engine, and periodic tasks."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from types import FrameType

import uvicorn

from auditor._gc import freeze_live_objects
from auditor.domain.json import Json
from auditor.errors import UsageError
from auditor.service.api.context import ServiceContext
from auditor.service.api.errors import format_fault
from auditor.service.approvals.rejudge import WaiverFollower
from auditor.service.jobs.durable import EngineClient
from auditor.service.jobs.queue import dispatch_waiting, requeue_unfinished
from auditor.service.schedules.batch_collector import BatchCollector
from auditor.service.schedules.run import run_due_schedules
from auditor.service.schedules.triggers import TriggerWatcher
from auditor.service.server.assemble import TrendBackfill, assemble_service, create_first_admin
from auditor.service.server.bind_address import BindAddress
from auditor.service.server.connection_limits import BoundedProtocol
from auditor.service.server.options import ServiceOptions, build_engine_config
from auditor.service.server.stop_signals import watch_stop_signals
from auditor.service.server.worker_process import WorkerOrder, WorkerProcess
from auditor.service.store.submission_history import ServiceStore
from auditor.service.web.site import build_site
from auditor.service.webhooks.deliver import DeliveryWorker
from auditor.workflows.workspace import Workspace


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """Something to do every so many seconds, in a thread of its own."""

    name: str
    seconds: float
    act: Callable[[], None]


def list_periodic_tasks(service: ServiceContext) -> Sequence[PeriodicTask]:
    """Return everything that a service does by itself."""
    return (
        PeriodicTask("tending", 2.0, partial(dispatch_waiting, service.desk)),
        PeriodicTask("following", 5.0, WaiverFollower(service.people).follow),
        PeriodicTask("schedules", 2.0, partial(run_due_schedules, service.schedules)),
        PeriodicTask("watching", 30.0, TriggerWatcher(service.schedules).watch),
        PeriodicTask("gathering", 5.0, BatchCollector(service.schedules).gather),
        PeriodicTask("trends", 5.0, TrendBackfill(service.store).note),
        PeriodicTask("hooks", 1.0, DeliveryWorker(service.hooks).deliver),
    )


@contextmanager
def run_periodic_tasks(
    rounds: Sequence[PeriodicTask], stop: threading.Event, failed: Callable[[Exception], None]
) -> Iterator[None]:
    """Make the rounds as long as the block lasts; what one raises is told, and it goes on."""
    with ExitStack() as stack:
        for item in rounds:
            thread = threading.Thread(
                target=_again, args=(item, stop, failed), name=f"auditor-{item.name}", daemon=True
            )
            thread.start()
            stack.callback(thread.join)
        stack.callback(stop.set)
        yield


def _again(item: PeriodicTask, stop: threading.Event, failed: Callable[[Exception], None]) -> None:
    while not stop.wait(item.seconds):
        try:
            item.act()
        except Exception as error:  # noqa: BLE001 -- the next round may find all well again
            failed(error)


Say = Callable[[Mapping[str, Json]], None]
KEPT = 75
"""Seconds that an idle connection is kept: longer than proxies do, which would else call on one
that is being closed."""
CALLS = 2048
"""Connections that may wait to be taken up at once."""
STREAMS = 5
"""Seconds that calls in hand have to end once the service is told to stop."""


def start_service(
    place: Workspace, choices: ServiceOptions, bind: BindAddress, say: Say, *, work: bool = True
) -> None:
    """Serve until SIGTERM or SIGINT, then let calls and checks in hand come to their end.

    This process only answers: what is done for audits is done by a worker that it starts. With
    ``work`` that carries out checks as well. A first start makes the project ``default`` and an
    admin's key. Raises ``UsageError`` where the address cannot be had, ``EngineError`` where the
    engine does not start, and ``MissingExtraError`` where a part is not installed.
    """
    bind.refuse_unusable()
    targets = tuple(it for it in choices.targets if it not in choices.agents) if work else ()
    engine = EngineClient(build_engine_config(place.settings, "serve", targets, control=True))
    worker = WorkerProcess(place, WorkerOrder.of(place, choices, targets, bind.drain))
    with ExitStack() as stack:
        stack.callback(choices.spans.close)
        stop = stack.enter_context(watch_stop_signals())
        first = create_first_admin(ServiceStore(place.store), place.settings.home)
        if first is not None:
            say({"event": "admin_key", "path": str(first)})
        listening = stack.enter_context(_socket(bind))
        stack.callback(worker.stop)
        worker.launch()
        service = assemble_service(place, engine, choices, say, stop.is_set)
        service.intake.forget(time.time())
        worker.await_work()
        stack.callback(engine.close)
        engine.connect()
        requeue_unfinished(service.desk)
        told = partial(_told, say)
        stack.enter_context(run_periodic_tasks(list_periodic_tasks(service), stop, told))
        _run(service, listening, bind, stop, say)


def _run(
    service: ServiceContext,
    listening: socket.socket,
    bind: BindAddress,
    stop: threading.Event,
    say: Say,
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
    freeze_live_objects()  # before anyone is told that calls are answered
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
    _StoppableServer(config, stop).run(sockets=[listening])
    say({"event": "stopped"})


def _told(say: Say, error: Exception) -> None:
    say(format_fault(error, None))


class _StoppableServer(uvicorn.Server):
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
def _socket(bind: BindAddress) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    try:
        listening = socket.create_server((bind.host, bind.port), family=family, backlog=CALLS)
    except OSError as error:
        raise UsageError(
            f"the service cannot listen on {bind.host}:{bind.port}: {error.strerror or error}",
            cure="Choose another --host or --port, or stop the program that uses this port.",
        ) from None
    with listening:
        yield listening
